using System.Text.Json;
using AgentPlatform.Api;
using AgentPlatform.Kernel;

namespace AgentPlatform.Tasks;

/// <summary>A task to put up, or what to change of one: then what is absent stays, and <see cref="Clear"/> names fields to empty.</summary>
internal sealed record TaskBody
{
    public string? Title { get; init; }
    public string? TaskType { get; init; }
    public string? Description { get; init; }
    public string? Category { get; init; }
    public string? Priority { get; init; }
    public string? Urgency { get; init; }
    public bool? AssignedToBot { get; init; }
    public bool? RequiresHumanReview { get; init; }
    public string? ExecutionType { get; init; }
    public JsonElement? ExecutionConfig { get; init; }
    public DateTimeOffset? ScheduledFor { get; init; }
    public DateTimeOffset? Deadline { get; init; }
    public Guid[]? DependsOn { get; init; }
    public Guid? BlockedBy { get; init; }
    public int? MaxRetries { get; init; }
    public bool? NotifyOnComplete { get; init; }
    public bool? NotifyOnFailure { get; init; }
    public string[]? Tags { get; init; }
    public JsonElement? Metadata { get; init; }

    /// <summary>Only when it is put up.</summary>
    public Guid? ConversationId { get; init; }

    /// <summary>Only when it is changed: <c>scheduled_for</c>, <c>deadline</c>, <c>blocked_by</c>.</summary>
    public string[]? Clear { get; init; }

    private static readonly string[] Clearable = ["scheduled_for", "deadline", "blocked_by"];

    internal bool Clears(string field) => Clear?.Contains(field) == true;

    internal Problem? ProblemAsNew => Rules(new Validation().Text("title", Title, 500, required: true).Text("task_type", TaskType, 100, required: true)
        .Check("clear", Clear is null, "There is nothing to clear yet.")).Problem;

    internal Problem? ProblemAsChange => Rules(new Validation().Text("title", Title, 500, required: Title is not null)
        .Check("task_type", TaskType is null, "Cannot be changed: put up another task.")
        .Check("conversation_id", ConversationId is null, "Cannot be changed: put up another task.")
        .Check("clear", Clear is null || Clear.All(Clearable.Contains), $"May name {string.Join(", ", Clearable)}.")).Problem;

    private Validation Rules(Validation rules) => rules
        .Text("description", Description, 20_000)
        .Text("category", Category, 100, required: Category is not null)
        .OneOf("priority", Priority, required: false, AgencyTask.Priorities)
        .OneOf("urgency", Urgency, required: false, AgencyTask.Urgencies)
        .OneOf("execution_type", ExecutionType, required: false, AgencyTask.ExecutionTypes)
        .MustBeObject("execution_config", ExecutionConfig)
        .MustBeObject("metadata", Metadata)
        .Check("depends_on", DependsOn is not { Length: > 100 }, "Names at most 100 tasks.")
        .Check("max_retries", MaxRetries is null or (>= 0 and <= 100), "Must be between 0 and 100.")
        .Check("tags", Tags is not { Length: > 50 } && Tags?.All(tag => tag is { Length: >= 1 and <= 100 }) != false, "Are at most 50, of 1 to 100 characters.");
}

/// <summary>The answer to a review; without approval the task is cancelled, with the note as its reason.</summary>
internal sealed record ReviewBody(bool? Approved, string? Note)
{
    internal Problem? Problem => new Validation().Check("approved", Approved is not null, "Is required.").Text("note", Note, 2000, required: Approved == false).Problem;
}

internal sealed record CancelBody(string? Reason)
{
    internal Problem? Problem => new Validation().Text("reason", Reason, 2000).Problem;
}

/// <summary>What a person did.</summary>
internal sealed record CompleteBody(string? Summary, JsonElement? Result, string[]? Screenshots, string? RecordingUrl)
{
    internal Problem? Problem => new Validation().Text("summary", Summary, 1000, required: true).MustBeObject("result", Result)
        .Check("screenshots", Screenshots is not { Length: > 50 } && Screenshots?.All(url => TaskEvidence.Address(url) is not null) != false, "Are at most 50 http(s) addresses.")
        .Check("recording_url", RecordingUrl is null || TaskEvidence.Address(RecordingUrl) is not null, "Must be an http(s) address.").Problem;

    internal TaskEvidence Evidence => new(null, null, RecordingUrl, Screenshots ?? [], null);
}
