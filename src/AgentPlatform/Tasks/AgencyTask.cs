using System.Text.Json;
using AgentPlatform.Kernel;

namespace AgentPlatform.Tasks;

/// <summary>
/// A task on the agency's board, as the API shows it. Status: <c>pending</c> (something still stands in its way, see
/// <see cref="StatusReason"/>), <c>queued</c> (the bot takes it when it is due), <c>in_progress</c>, <c>completed</c>, <c>failed</c>,
/// <c>cancelled</c>.
/// </summary>
public sealed record AgencyTask
{
    public Guid Id { get; init; }

    /// <summary>The id to show outside the tenant's own systems.</summary>
    public Guid TaskUuid { get; init; }

    /// <summary>The member who put it up; null when the platform did.</summary>
    public Guid? UserId { get; init; }

    /// <summary><c>api</c>, or <c>conversation</c>: somebody asked for it.</summary>
    public string SourceType { get; init; } = "";
    public Guid? SourceWebhookId { get; init; }

    /// <summary>The inbound message that asked for it.</summary>
    public Guid? SourceMessageId { get; init; }
    public Guid? ConversationId { get; init; }
    public string Title { get; init; } = "";
    public string? Description { get; init; }

    /// <summary>What the person said, word for word.</summary>
    public string? OriginalMessage { get; init; }
    public string Category { get; init; } = "";

    /// <summary>Decides who does it: see <see cref="IAgencyTaskProcessor"/>.</summary>
    public string TaskType { get; init; } = "";

    /// <summary><c>low</c>, <c>medium</c>, <c>high</c> or <c>critical</c>.</summary>
    public string Priority { get; init; } = "";

    /// <summary><c>normal</c>, <c>urgent</c> (one class of priority up) or <c>overdue</c> (past its deadline: before all others).</summary>
    public string Urgency { get; init; } = "";
    public string Status { get; init; } = "";
    public string? StatusReason { get; init; }

    /// <summary>False: a person does it, and says so with <c>complete</c>.</summary>
    public bool AssignedToBot { get; init; }
    public bool RequiresHumanReview { get; init; }
    public Guid? HumanReviewedBy { get; init; }
    public DateTimeOffset? HumanReviewedAt { get; init; }

    /// <summary><c>automatic</c>, or <c>manual</c>: the bot does it when somebody says <c>run</c>.</summary>
    public string ExecutionType { get; init; } = "";

    /// <summary>What the task's type needs to know.</summary>
    public JsonElement ExecutionConfig { get; init; }
    public DateTimeOffset? ScheduledFor { get; init; }
    public DateTimeOffset? Deadline { get; init; }

    /// <summary>Tasks that must be completed first.</summary>
    public Guid[] DependsOn { get; init; } = [];

    /// <summary>A task that must be over first, however it ends.</summary>
    public Guid? BlockedBy { get; init; }
    public JsonElement? Result { get; init; }
    public string? ResultSummary { get; init; }
    public string? LastError { get; init; }
    public int ErrorCount { get; init; }
    public int MaxRetries { get; init; }
    public bool NotifyOnComplete { get; init; }
    public bool NotifyOnFailure { get; init; }

    /// <summary>A JSON array of <c>{kind, via, at}</c>: each kind (completed, failed) at most once.</summary>
    public JsonElement NotificationsSent { get; init; }
    public string[] Tags { get; init; } = [];
    public JsonElement Metadata { get; init; }
    public int QueueRound { get; init; }
    public DateTimeOffset? QueuedAt { get; init; }
    public DateTimeOffset? StartedAt { get; init; }
    public DateTimeOffset? CompletedAt { get; init; }
    public DateTimeOffset CreatedAt { get; init; }
    public DateTimeOffset UpdatedAt { get; init; }

    internal static readonly string[] Statuses = ["pending", "queued", "in_progress", "completed", "failed", "cancelled"];
    internal static readonly string[] Priorities = ["low", "medium", "high", "critical"];
    internal static readonly string[] Urgencies = ["normal", "urgent"];
    internal static readonly string[] ExecutionTypes = ["automatic", "manual"];

    /// <summary>What tasks are alike: those of a type, and of <c>run_action</c> those that run the same action.</summary>
    internal string Kind => TaskType == Processors.RunAction.TaskType && JsonPath.Find(ExecutionConfig, "action_id") is { ValueKind: JsonValueKind.String } action && action.GetString() is { Length: > 0 and <= 100 } id
        ? $"{TaskType}:{id}" : TaskType;

    internal bool IsOver => Status is "completed" or "failed" or "cancelled";
}

/// <summary>The classes of priority as the work engine counts them: 0 is most urgent, a point is a minute of waiting.</summary>
internal static class TaskPriority
{
    private static readonly short[] Classes = [75, 50, 25, 5];

    internal static short ForWork(string priority, string urgency)
    {
        var place = Array.IndexOf(AgencyTask.Priorities, priority);
        return urgency switch
        {
            "overdue" => 0,
            "urgent" => place == Classes.Length - 1 ? (short)2 : Classes[place + 1],
            _ => Classes[place],
        };
    }
}

/// <summary>
/// One attempt at a task: by the bot, step by step, or by a person. Status: <c>started</c>, <c>completed</c>, <c>failed</c>,
/// <c>interrupted</c> (its worker went away) or <c>cancelled</c>.
/// </summary>
public sealed record TaskExecution
{
    public Guid Id { get; init; }
    public Guid TaskId { get; init; }
    public Guid ExecutionUuid { get; init; }
    public int AttemptNumber { get; init; }
    public string Status { get; init; } = "";

    /// <summary><c>created</c>, <c>schedule</c>, <c>dependency</c>, <c>review</c>, <c>change</c>, <c>retry</c> or <c>user</c>.</summary>
    public string TriggeredBy { get; init; } = "";
    public Guid? TriggeredByUserId { get; init; }

    /// <summary>The queued action whose outcome the attempt waits for.</summary>
    public Guid? ActionQueueId { get; init; }

    /// <summary>What it was given of what had worked before: an action pattern, or a success pattern of the member who put the task up.</summary>
    public Guid? ActionPatternId { get; init; }
    public Guid? SuccessPatternId { get; init; }

    /// <summary>These three, and <see cref="Screenshots"/>: what an endpoint that drives a browser says of its run.</summary>
    public string? BrowserSessionId { get; init; }
    public string? DebugUrl { get; init; }
    public string? RecordingUrl { get; init; }
    public int StepsTotal { get; init; }
    public int StepsCompleted { get; init; }
    public string? CurrentStep { get; init; }
    public JsonElement StepResults { get; init; }
    public JsonElement? Output { get; init; }

    /// <summary>A JSON array of <c>{at, message}</c>.</summary>
    public JsonElement Logs { get; init; }
    public JsonElement Screenshots { get; init; }
    public string? Error { get; init; }
    public string? ErrorCode { get; init; }
    public string? ErrorStack { get; init; }

    /// <summary>Milliseconds.</summary>
    public int? Duration { get; init; }
    public JsonElement? ResourceUsage { get; init; }
    public DateTimeOffset StartedAt { get; init; }
    public DateTimeOffset? CompletedAt { get; init; }
    public DateTimeOffset CreatedAt { get; init; }
}
