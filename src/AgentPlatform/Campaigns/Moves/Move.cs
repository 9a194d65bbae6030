using System.Text.Json;
using AgentPlatform.Api;
using AgentPlatform.Kernel;

namespace AgentPlatform.Campaigns.Moves;

/// <summary>
/// A thing to do in a campaign. Type: <c>content</c> (words are drafted), <c>outreach</c> (they are sent), <c>research</c> (what is known is summed up) or
/// <c>admin</c> (a member does it). Status: <c>pending</c>, <c>in_progress</c>, <c>completed</c> or <c>failed</c>. Priority: <c>low</c> to <c>urgent</c>.
/// </summary>
public sealed record Move
{
    public Guid Id { get; init; }

    /// <summary>Who put it up; null when a generation did.</summary>
    public Guid? UserId { get; init; }

    /// <summary>Null when its campaign was deleted, or it never had one.</summary>
    public Guid? CampaignId { get; init; }
    public string Title { get; init; } = "";
    public string? Description { get; init; }
    public string Type { get; init; } = "";
    public string Status { get; init; } = "";
    public string Priority { get; init; } = "";
    public DateTimeOffset? DueDate { get; init; }

    /// <summary>A member of the workspace.</summary>
    public Guid? AssignedTo { get; init; }

    /// <summary>What an outreach says (<c>text</c>, <c>subject</c>, <c>channel</c>), and what became of a move that was run.</summary>
    public JsonElement Content { get; init; }

    /// <summary>Names the run, once there is one: <c>exec_YYYYMMDD_HHMMSS_…</c>.</summary>
    public string? ExecutionId { get; init; }

    /// <summary>A generation of the campaign made it.</summary>
    public bool Generated { get; init; }

    /// <summary>The last contact that an outreach has looked at.</summary>
    public Guid? Reached { get; init; }

    /// <summary>Why it failed.</summary>
    public string? Error { get; init; }
    public DateTimeOffset CreatedAt { get; init; }
    public DateTimeOffset UpdatedAt { get; init; }
    public DateTimeOffset? CompletedAt { get; init; }

    internal const string Draft = "content";
    internal const string Outreach = "outreach";
    internal const string Research = "research";
    internal const string Admin = "admin";

    internal static readonly string[] Types = [Draft, Outreach, Research, Admin];
    internal static readonly string[] Statuses = ["pending", "in_progress", "completed", "failed"];
    internal static readonly string[] Priorities = ["low", "medium", "high", "urgent"];

    internal string? Said(string member) => Content.TryGetProperty(member, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
}

/// <summary>A move as its author writes it: all of it, every time.</summary>
internal sealed record MoveInput
{
    public Guid? CampaignId { get; init; }
    public string? Title { get; init; }
    public string? Description { get; init; }
    public string? Type { get; init; }
    public string? Priority { get; init; }
    public DateTimeOffset? DueDate { get; init; }
    public Guid? AssignedTo { get; init; }
    public JsonElement? Content { get; init; }

    internal Problem? Problem => new Validation()
        .Text("title", Title, 500, required: true).Text("description", Description, 10_000).OneOf("type", Type, required: true, Move.Types)
        .OneOf("priority", Priority, required: false, Move.Priorities).MustBeObject("content", Content)
        .Check("content", Content is null || Content.Value.GetRawText().Length <= 20_000, "Must have at most 20000 characters.")
        .Check("content", ContentError is null, ContentError ?? "").Problem;

    private string? ContentError => Type == Move.Outreach && Content is { ValueKind: JsonValueKind.Object } content ? OutreachText.Error(content) : null;
}

/// <summary>What a member did, for a move of theirs.</summary>
internal sealed record CompleteMove(JsonElement? Content)
{
    internal Problem? Problem => new Validation().MustBeObject("content", Content).Problem;
}

/// <summary>Why a member could not do it.</summary>
internal sealed record FailMove(string? Reason)
{
    internal Problem? Problem => new Validation().Text("reason", Reason, 1000, required: true).Problem;
}

/// <summary>
/// A contact that an outreach has looked at. Status: <c>queued</c>, <c>sent</c>, <c>delivered</c>, <c>failed</c> or <c>skipped</c>; reason: why the last two.
/// </summary>
public sealed record MoveRecipient(
    Guid ContactId, string Status, string? Reason, string? Channel, Guid? ConversationId, Guid? QueueId, Guid? MessageId, DateTimeOffset? SentAt, DateTimeOffset? RepliedAt,
    DateTimeOffset? OptedOutAt, DateTimeOffset CreatedAt);
