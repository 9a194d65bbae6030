using System.Text.Json;
using AgentPlatform.Kernel;

namespace AgentPlatform.Schedules.Automations;

/// <summary>
/// An automation and when it is run. Automation type: chat, observe, extract, workflow or custom. Schedule type: daily, weekly, monthly, cron or
/// once. Status: active, paused, failed, completed or archived. Durations are milliseconds; retry delay and timeout are seconds.
/// </summary>
public sealed record ScheduledTask
{
    internal static readonly string[] Types = ["chat", "observe", "extract", "workflow", "custom"];

    internal static readonly string[] Statuses = ["active", "paused", "failed", "completed", "archived"];

    public Guid Id { get; init; }
    public Guid UserId { get; init; }
    public string Name { get; init; } = "";
    public string? Description { get; init; }
    public string AutomationType { get; init; } = "";
    public JsonElement AutomationConfig { get; init; }
    public string ScheduleType { get; init; } = "";
    public string CronExpression { get; init; } = "";
    public string Timezone { get; init; } = "";
    public string Status { get; init; } = "";
    public DateTimeOffset? NextRun { get; init; }
    public DateTimeOffset? LastRun { get; init; }
    public string? LastRunStatus { get; init; }
    public string? LastRunError { get; init; }
    public int? LastRunDuration { get; init; }
    public int ExecutionCount { get; init; }
    public int SuccessCount { get; init; }
    public int FailureCount { get; init; }

    /// <summary>How many runs in a row ended without success; attempts that were repeated are not counted.</summary>
    public int FailureStreak { get; init; }
    public int AverageDuration { get; init; }
    public bool RetryOnFailure { get; init; }
    public int MaxRetries { get; init; }
    public int RetryDelay { get; init; }
    public int Timeout { get; init; }
    public bool KeepExecutionHistory { get; init; }
    public int MaxHistoryRecords { get; init; }
    public bool NotifyOnSuccess { get; init; }
    public bool NotifyOnFailure { get; init; }

    /// <summary>A list of <see cref="NotificationChannel"/>.</summary>
    public JsonElement NotificationChannels { get; init; }
    public JsonElement Tags { get; init; }
    public JsonElement Metadata { get; init; }
    public bool IsActive { get; init; }
    public Guid CreatedBy { get; init; }
    public Guid LastModifiedBy { get; init; }
    public DateTimeOffset CreatedAt { get; init; }
    public DateTimeOffset UpdatedAt { get; init; }

    internal bool MayStart => Status == "active" && IsActive;

    internal IReadOnlyList<NotificationChannel> Places => Json.Read<NotificationChannel[]>(NotificationChannels);

    internal IReadOnlyList<string> TagTexts => [.. Tags.EnumerateArray().Where(tag => tag.ValueKind == JsonValueKind.String).Select(tag => tag.GetString()!)];
}

/// <summary>One run. Status: queued, running, success, failed, timeout or cancelled. Trigger: scheduled, manual or retry.</summary>
public sealed record ScheduledExecution
{
    internal static readonly string[] Statuses = ["queued", "running", "success", "failed", "timeout", "cancelled"];

    public Guid Id { get; init; }
    public Guid TaskId { get; init; }
    public string Status { get; init; } = "";
    public string TriggerType { get; init; } = "";
    public int AttemptNumber { get; init; }

    /// <summary>The time it was due at.</summary>
    public DateTimeOffset ScheduledFor { get; init; }
    public DateTimeOffset? StartedAt { get; init; }
    public DateTimeOffset? CompletedAt { get; init; }
    public int? Duration { get; init; }
    public JsonElement? Output { get; init; }
    public string? Error { get; init; }

    /// <summary><c>{"at", "text"}</c> of each thing that happened to it, in order.</summary>
    public JsonElement Logs { get; init; }
    public DateTimeOffset CreatedAt { get; init; }
}

/// <summary>The entry of a task in the registry of cron jobs.</summary>
public sealed record CronJob(
    Guid Id, Guid TaskId, string JobId, string JobName, string CronExpression, string Timezone, bool IsRunning, DateTimeOffset? LastStartedAt,
    DateTimeOffset? LastCompletedAt, DateTimeOffset? NextRunAt, DateTimeOffset CreatedAt, DateTimeOffset UpdatedAt);
