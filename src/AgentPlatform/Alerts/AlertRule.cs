using System.Text.Json;
using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Schedules.Automations;

namespace AgentPlatform.Alerts;

/// <summary>
/// What is to be told of how scheduled tasks run. Rule type and the units of <see cref="Conditions"/>: see <see cref="RuleCondition"/>. Target type:
/// <c>all_tasks</c>, <c>specific_tasks</c> or <c>tags</c> (of a task, at least one). Severity: <c>low</c>, <c>medium</c>, <c>high</c> or <c>critical</c>.
/// </summary>
public sealed record AlertRule
{
    internal static readonly string[] Targets = ["all_tasks", "specific_tasks", "tags"];
    internal static readonly string[] Severities = ["low", "medium", "high", "critical"];

    public Guid Id { get; init; }

    /// <summary>Whose rule it is: notifications in the console that name nobody are theirs.</summary>
    public Guid UserId { get; init; }
    public string Name { get; init; } = "";
    public string? Description { get; init; }
    public string RuleType { get; init; } = "";
    public string TargetType { get; init; } = "";
    public Guid[] TargetTaskIds { get; init; } = [];
    public string[] TargetTags { get; init; } = [];
    public JsonElement Conditions { get; init; }

    /// <summary>A list of <see cref="NotificationChannel"/>.</summary>
    public JsonElement NotificationChannels { get; init; }

    /// <summary>So long after an alert there is no other.</summary>
    public int CooldownMinutes { get; init; }

    /// <summary>What matches meanwhile is folded into one alert, which is told when it may be; else it is only counted.</summary>
    public bool AggregationEnabled { get; init; }
    public int MaxAlertsPerHour { get; init; }
    public string Severity { get; init; } = "";

    /// <summary>1 is told first, 10 last.</summary>
    public int Priority { get; init; }
    public bool IsActive { get; init; }
    public bool IsPaused { get; init; }
    public DateTimeOffset? LastAlertSentAt { get; init; }

    /// <summary>Alerts since the hour began that ends at <see cref="HourlyResetAt"/>.</summary>
    public int AlertsThisHour { get; init; }
    public DateTimeOffset? HourlyResetAt { get; init; }

    /// <summary>Matches that were neither told nor folded into an alert.</summary>
    public int SuppressedCount { get; init; }
    public Guid CreatedBy { get; init; }
    public Guid LastModifiedBy { get; init; }

    /// <summary>The last change by a member (alerts are none); the ETag.</summary>
    public DateTimeOffset ChangedAt { get; init; }
    public DateTimeOffset CreatedAt { get; init; }
    public DateTimeOffset UpdatedAt { get; init; }

    /// <summary>Pure: whether the end of a run is one that this rule looks for. Share: see <see cref="Window"/>.</summary>
    internal bool Matches(RunEnded run, RunShare? share)
    {
        var condition = RuleCondition.Of(RuleType);
        return condition.Matches(run, name => condition.Number(Conditions, name), share);
    }

    /// <summary>The span before a run's end whose runs it has to know; null when it needs none.</summary>
    internal TimeSpan? Window =>
        RuleType == "failure_rate" ? TimeSpan.FromMinutes(RuleCondition.Of(RuleType).Number(Conditions, RuleCondition.WindowMinutes)) : null;
}

/// <summary>A rule as its author writes it: all of it, every time.</summary>
internal sealed record AlertRuleInput
{
    private const int MostTargets = 100;

    public string? Name { get; init; }
    public string? Description { get; init; }
    public string? RuleType { get; init; }
    public string? TargetType { get; init; }
    public Guid[]? TargetTaskIds { get; init; }
    public string[]? TargetTags { get; init; }
    public JsonElement? Conditions { get; init; }
    public NotificationChannel[]? NotificationChannels { get; init; }
    public int? CooldownMinutes { get; init; }
    public bool? AggregationEnabled { get; init; }
    public int? MaxAlertsPerHour { get; init; }
    public string? Severity { get; init; }
    public int? Priority { get; init; }
    public bool? IsActive { get; init; }

    internal string Target => TargetType ?? "all_tasks";

    internal Guid[] TaskIds => [.. (TargetTaskIds ?? []).Distinct()];

    internal string[] Tags => [.. (TargetTags ?? []).Distinct(StringComparer.Ordinal)];

    internal JsonElement Given => Conditions ?? Json.Of(new { });

    internal Problem? Problem => new Validation()
        .Text("name", Name, 255, required: true).Text("description", Description, 10_000).OneOf("rule_type", RuleType, required: true, RuleCondition.Types)
        .OneOf("target_type", TargetType, required: false, AlertRule.Targets).OneOf("severity", Severity, required: false, AlertRule.Severities)
        .Check("target_task_ids", (Target == "specific_tasks") == (TaskIds.Length > 0), "Is given with target_type specific_tasks, and only then.")
        .Check("target_task_ids", TaskIds.Length <= MostTargets, $"Names at most {MostTargets} tasks.")
        .Check("target_tags", (Target == "tags") == (Tags.Length > 0), "Is given with target_type tags, and only then.")
        .Check("target_tags", Tags.Length <= MostTargets && Tags.All(tag => tag is { Length: >= 1 and <= 255 }), $"Holds at most {MostTargets} tags of 1 to 255 characters.")
        .Check("notification_channels", PlacesProblem is null, PlacesProblem ?? "")
        .Check("cooldown_minutes", CooldownMinutes is null or (>= 0 and <= 10080), "Must be between 0 and 10080 minutes.")
        .Check("max_alerts_per_hour", MaxAlertsPerHour is null or (>= 1 and <= 1000), "Must be between 1 and 1000.")
        .Check("priority", Priority is null or (>= 1 and <= 10), "Must be between 1 (first) and 10.")
        .Check("conditions", ConditionsProblem is null, ConditionsProblem ?? "").Problem;

    private string? PlacesProblem => NotificationChannels is { Length: > 0 } places ? NotificationChannel.Wrong(places) : "Names at least one place.";

    private string? ConditionsProblem => RuleCondition.Types.Contains(RuleType) ? RuleCondition.Of(RuleType!).Wrong(Given) : null;
}
