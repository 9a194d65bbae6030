using System.Text.Json;
using AgentPlatform.Schedules.Automations;

namespace AgentPlatform.Alerts;

/// <summary>A number that conditions of a type hold: whole, from least to most, in this unit. Without a default it has to be given.</summary>
internal sealed record ConditionField(string Name, int Least, int Most, string Unit, int? Default = null);

/// <summary>
/// What a rule type looks for in the end of a run, with the numbers that its conditions hold. A run that is repeated has not ended; <c>failure_rate</c> alone
/// counts each attempt.
/// </summary>
internal sealed record RuleCondition(string RuleType, ConditionField[] Fields, Func<RunEnded, Func<string, int>, RunShare?, bool> Matches)
{
    internal const string Seconds = "seconds", Count = "count", Percent = "percent", WindowMinutes = "window_minutes", MinRuns = "min_runs";

    internal static readonly RuleCondition[] All =
    [
        new("task_failure", [], (run, _, _) => run.Status == "failed"),
        new("task_timeout", [], (run, _, _) => run.Status == "timeout"),
        new("task_success", [], (run, _, _) => !run.IsFailure),
        new("slow_run", [new(Seconds, 1, 86400, "seconds")], (run, of, _) => run.Duration > of(Seconds) * 1000L),
        new("consecutive_failures", [new(Count, 2, 1000, "runs")], (run, of, _) => run.IsFailure && run.FailureStreak >= of(Count)),
        new(
            "failure_rate",
            [new(Percent, 1, 100, "percent"), new(WindowMinutes, 1, 10080, "minutes"), new(MinRuns, 1, 1000, "runs", Default: 5)],
            (run, of, share) => run.IsFailure && share is not null && share.Runs >= of(MinRuns) && share.Failures * 100L >= (long)of(Percent) * share.Runs),
    ];

    internal static readonly string[] Types = [.. All.Select(c => c.RuleType)];

    internal static RuleCondition Of(string ruleType) => All.Single(c => c.RuleType == ruleType);

    /// <summary>Pure: what is wrong with conditions of this type; null when nothing is.</summary>
    internal string? Wrong(JsonElement conditions)
    {
        if (conditions.ValueKind != JsonValueKind.Object)
        {
            return "Must be an object.";
        }

        if (conditions.EnumerateObject().Select(c => c.Name).FirstOrDefault(name => Fields.All(f => f.Name != name)) is { } unknown)
        {
            return $"A rule of type {RuleType} has no condition '{unknown}'; it has {(Fields is [] ? "none" : string.Join(", ", Fields.Select(f => f.Name)))}.";
        }

        return Fields.FirstOrDefault(f => conditions.TryGetProperty(f.Name, out var value)
                ? !(value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var number) && number >= f.Least && number <= f.Most)
                : f.Default is null) is { } wrong
            ? $"'{wrong.Name}' must be a whole number of {wrong.Unit} from {wrong.Least} to {wrong.Most}."
            : null;
    }

    /// <summary>Pure: a number of conditions that are right, or its default.</summary>
    internal int Number(JsonElement conditions, string name) =>
        conditions.TryGetProperty(name, out var value) ? value.GetInt32() : Fields.Single(f => f.Name == name).Default!.Value;
}
