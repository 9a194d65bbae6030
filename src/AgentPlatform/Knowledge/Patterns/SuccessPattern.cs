using System.Text.Json;
using AgentPlatform.Api;
using AgentPlatform.Kernel;

namespace AgentPlatform.Knowledge.Patterns;

/// <summary>How a task of a member's succeeded, and when to do it so again: a row of <c>task_success_patterns</c>, theirs alone.</summary>
public sealed record SuccessPattern : ILearnedRow
{
    public Guid Id { get; init; }
    public string PatternId { get; init; } = "";
    public Guid UserId { get; init; }
    public string TaskType { get; init; } = "";
    public string? TaskName { get; init; }
    public JsonElement SuccessfulApproach { get; init; }

    /// <summary>Selectors of elements by their names.</summary>
    public JsonElement Selectors { get; init; }

    /// <summary>A list of steps.</summary>
    public JsonElement Workflow { get; init; }

    /// <summary>It fits a task whose context holds all of this,</summary>
    public JsonElement ContextConditions { get; init; }

    /// <summary>and whose state holds all of this.</summary>
    public JsonElement RequiredState { get; init; }

    /// <summary>Milliseconds, over all uses.</summary>
    public float? AvgExecutionTime { get; init; }
    public float SuccessRate { get; init; }
    public int UsageCount { get; init; }

    /// <summary>A failure takes a fifth of it, a success gives back a tenth of what is missing to 1. Below 0.3 the pattern is not used any more.</summary>
    public float Confidence { get; init; }

    /// <summary>The latest deviations, oldest first, at most 100: <c>{at, succeeded, deviation}</c>.</summary>
    public JsonElement Adaptations { get; init; }
    public string? ReasoningPatternId { get; init; }
    public DateTimeOffset CreatedAt { get; init; }
    public DateTimeOffset UpdatedAt { get; init; }
    public DateTimeOffset? LastUsedAt { get; init; }
}

/// <summary>A use of a pattern that has ended.</summary>
internal sealed record PatternUse(bool Succeeded, double ExecutionTime, JsonElement? Deviation);

/// <summary>A new pattern, or what to change of one: then what is absent stays.</summary>
internal sealed record SuccessPatternBody(
    string? PatternId, string? TaskType, string? TaskName, JsonElement? SuccessfulApproach, JsonElement? Selectors, JsonElement? Workflow, JsonElement? ContextConditions,
    JsonElement? RequiredState, double? AvgExecutionTime, string? ReasoningPatternId)
{
    internal Problem? ProblemAsNew => Rules(new Validation().Text("pattern_id", PatternId, 255).Text("task_type", TaskType, 255, required: true)
        .Check("successful_approach", SuccessfulApproach is not null, "Is required.")
        .Check("avg_execution_time", AvgExecutionTime is null or >= 0 and <= MaxTime, "Is in milliseconds, and not negative.")).Problem;

    internal Problem? ProblemAsChange => Rules(new Validation().Check("pattern_id", PatternId is null, "Cannot be changed: make another pattern.")
        .Check("task_type", TaskType is null, "Cannot be changed: make another pattern.")
        .Check("avg_execution_time", AvgExecutionTime is null, "Follows from the uses that are reported.")).Problem;

    /// <summary>A month in milliseconds.</summary>
    internal const double MaxTime = 2_678_400_000;

    private Validation Rules(Validation rules) => rules.Text("task_name", TaskName, 1000).Text("reasoning_pattern_id", ReasoningPatternId, 255)
        .MustBeObject("successful_approach", SuccessfulApproach).MustBeObject("selectors", Selectors)
        .Check("workflow", Workflow is not { } steps || (steps.ValueKind == JsonValueKind.Array && steps.GetArrayLength() <= ActionPattern.MaxSteps), $"Must be a list of at most {ActionPattern.MaxSteps} steps.")
        .MustBeObject("context_conditions", ContextConditions).MustBeObject("required_state", RequiredState);
}

/// <summary>A task to be done, for which a pattern is looked for.</summary>
internal sealed record MatchBody(string? TaskType, JsonElement? Context, JsonElement? State)
{
    internal Problem? Problem => new Validation().Text("task_type", TaskType, 255, required: true).MustBeObject("context", Context).MustBeObject("state", State).Problem;
}

/// <summary>How a use went; <c>execution_time</c> in milliseconds, <c>deviation</c> what was done otherwise than the pattern says.</summary>
internal sealed record UseBody(bool? Succeeded, double? ExecutionTime, JsonElement? Deviation)
{
    internal Problem? Problem => new Validation().Check("succeeded", Succeeded is not null, "Is required.")
        .Check("execution_time", ExecutionTime is >= 0 and <= SuccessPatternBody.MaxTime, "Is required, in milliseconds, and not negative.")
        .MustBeObject("deviation", Deviation).Problem;

    internal PatternUse Use => new(Succeeded!.Value, ExecutionTime!.Value, Deviation);
}
