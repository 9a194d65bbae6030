using System.Text.Json;
using AgentPlatform.Kernel;

namespace AgentPlatform.Schedules.Automations;

/// <summary>A task from the API. What is not named stays as it is, or takes its default.</summary>
internal sealed record ScheduledTaskBody
{
    public string? Name { get; init; }
    public string? Description { get; init; }
    public string? AutomationType { get; init; }
    public JsonElement? AutomationConfig { get; init; }
    public string? ScheduleType { get; init; }
    public string? CronExpression { get; init; }
    public string? Timezone { get; init; }
    public bool? RetryOnFailure { get; init; }
    public int? MaxRetries { get; init; }
    public int? RetryDelay { get; init; }
    public int? Timeout { get; init; }
    public bool? KeepExecutionHistory { get; init; }
    public int? MaxHistoryRecords { get; init; }
    public bool? NotifyOnSuccess { get; init; }
    public bool? NotifyOnFailure { get; init; }
    public NotificationChannel[]? NotificationChannels { get; init; }
    public JsonElement? Tags { get; init; }
    public JsonElement? Metadata { get; init; }
    public bool? IsActive { get; init; }

    private static ScheduledTask Fresh => new()
    {
        Timezone = "UTC",
        RetryOnFailure = true,
        MaxRetries = 3,
        RetryDelay = 60,
        Timeout = 300,
        KeepExecutionHistory = true,
        MaxHistoryRecords = 100,
        NotifyOnFailure = true,
        NotificationChannels = Json.Of(new[] { new NotificationChannel(NotificationChannel.InApp, null) }),
        Status = "active",
        IsActive = true,
        Tags = Json.Of(Array.Empty<string>()),
        Metadata = Json.Of(new { }),
    };

    internal ScheduledTask Over(ScheduledTask? known)
    {
        var task = known ?? Fresh;
        return task with
        {
            Name = Name ?? task.Name,
            Description = Description ?? task.Description,
            AutomationType = AutomationType ?? task.AutomationType,
            AutomationConfig = AutomationConfig ?? task.AutomationConfig,
            ScheduleType = ScheduleType ?? task.ScheduleType,
            CronExpression = CronExpression ?? task.CronExpression,
            Timezone = Timezone ?? task.Timezone,
            RetryOnFailure = RetryOnFailure ?? task.RetryOnFailure,
            MaxRetries = MaxRetries ?? task.MaxRetries,
            RetryDelay = RetryDelay ?? task.RetryDelay,
            Timeout = Timeout ?? task.Timeout,
            KeepExecutionHistory = KeepExecutionHistory ?? task.KeepExecutionHistory,
            MaxHistoryRecords = MaxHistoryRecords ?? task.MaxHistoryRecords,
            NotifyOnSuccess = NotifyOnSuccess ?? task.NotifyOnSuccess,
            NotifyOnFailure = NotifyOnFailure ?? task.NotifyOnFailure,
            NotificationChannels = NotificationChannels is null ? task.NotificationChannels : Json.Of(NotificationChannels),
            Tags = Tags ?? task.Tags,
            Metadata = Metadata ?? task.Metadata,
            IsActive = IsActive ?? task.IsActive,
        };
    }

    internal static Problem? Check(ScheduledTask t) =>
        t.Name.Length is not (>= 1 and <= 255) ? Problem.Invalid("name", "Must be 1 to 255 characters.")
        : t.AutomationConfig.ValueKind != JsonValueKind.Object ? Problem.Invalid("automation_config", "Must be an object.")
        : !Cadence.Types.Contains(t.ScheduleType) ? Problem.Invalid("schedule_type", $"Must be one of {string.Join(", ", Cadence.Types)}.")
        : t.CronExpression.Length is not (>= 1 and <= 255) ? Problem.Invalid("cron_expression", "Must be 1 to 255 characters.")
        : t.MaxRetries is < 0 or > 100 ? Problem.Invalid("max_retries", "Must be between 0 and 100.")
        : t.RetryDelay is < 0 or > 86400 ? Problem.Invalid("retry_delay", "Must be between 0 and 86400 seconds.")
        : t.Timeout is < 1 or > 86400 ? Problem.Invalid("timeout", "Must be between 1 and 86400 seconds.")
        : t.MaxHistoryRecords is < 1 or > 10000 ? Problem.Invalid("max_history_records", "Must be between 1 and 10000.")
        : NotificationChannel.Wrong(t.Places) is { } wrong ? Problem.Invalid("notification_channels", wrong)
        : t.Tags.ValueKind != JsonValueKind.Array ? Problem.Invalid("tags", "Must be a list.")
        : t.Metadata.ValueKind != JsonValueKind.Object ? Problem.Invalid("metadata", "Must be an object.")
        : null;
}
