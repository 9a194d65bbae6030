using System.Text.Json;
using AgentPlatform.Api;
using AgentPlatform.Kernel;

namespace AgentPlatform.Memory.Episodes;

/// <summary>
/// Something that happened or held. Episode type: <c>TURN</c> (what was said in a turn), <c>SUMMARY</c> (of a conversation), <c>FACT</c> (a value of a
/// profile's field) or <c>EVENT</c> (an action that succeeded). Importance: 0 to 1. Valid from and to: when it was true; recorded at: when it was learned.
/// Without an agent it is known to all of the tenant's. Embedding model: null until the embedding is made.
/// </summary>
public sealed record Episode
{
    internal static readonly string[] Types = ["TURN", "SUMMARY", "FACT", "EVENT"];

    public Guid Id { get; init; }
    public Guid? AgentId { get; init; }
    public Guid? CustomerProfileId { get; init; }
    public Guid? ConversationId { get; init; }
    public Guid? SessionId { get; init; }

    /// <summary>Episodes that belong together share it: those of a conversation have the conversation's id.</summary>
    public Guid? GroupId { get; init; }
    public string Content { get; init; } = "";
    public string EpisodeType { get; init; } = "";
    public double Importance { get; init; }
    public DateTimeOffset ValidFrom { get; init; }
    public DateTimeOffset? ValidTo { get; init; }
    public DateTimeOffset RecordedAt { get; init; }
    public string? EmbeddingModel { get; init; }
    public JsonElement Metadata { get; init; }
}

/// <summary>An episode that a member or a system of the tenant's tells. Importance: 0.5 unless told.</summary>
public sealed record EpisodeInput(
    string? Content, string? EpisodeType, Guid? AgentId = null, Guid? ContactId = null, Guid? SessionId = null, Guid? GroupId = null, double? Importance = null,
    DateTimeOffset? ValidFrom = null, DateTimeOffset? ValidTo = null, JsonElement? Metadata = null)
{
    internal const int Longest = 8000;

    internal Problem? Problem => new Validation()
        .Text("content", Content, Longest, required: true)
        .OneOf("episode_type", EpisodeType, required: true, Episode.Types)
        .Check("importance", Importance is null or (>= 0 and <= 1), "Must be between 0 and 1.")
        .Check("valid_to", ValidTo is null || ValidFrom is null || ValidTo >= ValidFrom, "Must not be before valid_from.")
        .MustBeObject("metadata", Metadata)
        .Problem;
}

/// <summary>Which episodes are asked for. As of: those that were true then; known at: those that had been learned by then.</summary>
internal sealed record EpisodeFilter(
    Guid? AgentId, Guid? ContactId, Guid? SessionId, Guid? GroupId, string? EpisodeType, DateTimeOffset? AsOf, DateTimeOffset? KnownAt, bool? Embedded);
