using System.Text.Json;
using AgentPlatform.Schedules.Automations;

namespace AgentPlatform.Alerts;

/// <summary>
/// What was raised, by a rule, or because a task's own settings want it told (<see cref="RuleId"/> is null). Alert type: the rule's, or <c>task_success</c>,
/// <c>task_failure</c>, <c>task_timeout</c>. Status: <c>folding</c> (held back, matches are added), <c>pending</c> (being delivered), <c>sent</c>,
/// <c>partial</c> or <c>failed</c>. Task and execution: the latest of those it tells of.
/// </summary>
public sealed record Alert
{
    internal static readonly string[] Statuses = ["folding", "pending", "sent", "partial", "failed"];

    public Guid Id { get; init; }
    public Guid? RuleId { get; init; }

    /// <summary>Whose rule or task it was.</summary>
    public Guid UserId { get; init; }
    public Guid TaskId { get; init; }
    public Guid ExecutionId { get; init; }
    public string AlertType { get; init; } = "";
    public string Severity { get; init; } = "";
    public int Priority { get; init; }
    public string Title { get; init; } = "";
    public string Message { get; init; } = "";

    /// <summary><c>{"runs": [...]}</c>: the first hundred <see cref="AlertedRun"/> that it tells of.</summary>
    public JsonElement Details { get; init; }

    /// <summary>How many it tells of.</summary>
    public int MatchCount { get; init; }

    /// <summary>A list of <see cref="NotificationChannel"/>.</summary>
    public JsonElement Channels { get; init; }

    /// <summary><c>{"email": {"ops@acme.example": "sent"}}</c>: see <see cref="AlertDelivery"/> for the words.</summary>
    public JsonElement DeliveryStatus { get; init; }
    public string Status { get; init; } = "";

    /// <summary>When it was told; when the first of its matches came, while it is folding.</summary>
    public DateTimeOffset TriggeredAt { get; init; }
    public DateTimeOffset? AcknowledgedAt { get; init; }
    public Guid? AcknowledgedBy { get; init; }
    public DateTimeOffset CreatedAt { get; init; }
}

/// <summary>A run that an alert tells of. Duration: milliseconds.</summary>
public sealed record AlertedRun(Guid ExecutionId, Guid TaskId, string TaskName, string Status, int Duration, int FailureStreak, string? Error, DateTimeOffset EndedAt)
{
    private const int LongestError = 500;

    internal static AlertedRun Of(RunEnded run) => new(
        run.ExecutionId, run.TaskId, run.TaskName, run.Status, run.Duration, run.FailureStreak, run.Error is { } error ? AlertWords.Clip(error, LongestError) : null, run.EndedAt);
}

/// <summary>
/// One place that an alert goes to. Status: <c>pending</c> (tried at <see cref="ScheduledFor"/>), <c>sending</c> (in the queue of outgoing messages),
/// <c>sent</c> (taken by the provider, or shown in the console) or <c>failed</c>.
/// </summary>
public sealed record AlertDelivery
{
    internal static readonly string[] Statuses = ["pending", "sending", "sent", "failed"];

    public Guid Id { get; init; }
    public Guid AlertHistoryId { get; init; }
    public string Channel { get; init; } = "";
    public string Destination { get; init; } = "";
    public JsonElement Payload { get; init; }
    public string Status { get; init; } = "";
    public int Attempts { get; init; }
    public int MaxAttempts { get; init; }
    public DateTimeOffset? LastAttemptAt { get; init; }

    /// <summary>Why the last attempt did not succeed.</summary>
    public string? Error { get; init; }
    public int Priority { get; init; }
    public DateTimeOffset ScheduledFor { get; init; }
    public DateTimeOffset? SentAt { get; init; }

    /// <summary>Its message in the queue of outgoing messages.</summary>
    public Guid? QueueId { get; init; }
    public DateTimeOffset CreatedAt { get; init; }
}

/// <summary>What is delivered, and the text of a webhook as it stands.</summary>
public sealed record AlertPayload(
    Guid AlertId, Guid? RuleId, string AlertType, string Severity, string Title, string Message, int MatchCount, Guid TaskId, Guid ExecutionId, DateTimeOffset TriggeredAt)
{
    internal static AlertPayload Of(Alert alert) => new(
        alert.Id, alert.RuleId, alert.AlertType, alert.Severity, alert.Title, alert.Message, alert.MatchCount, alert.TaskId, alert.ExecutionId, alert.TriggeredAt);
}
