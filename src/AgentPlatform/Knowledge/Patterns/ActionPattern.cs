using System.Text.Json;
using AgentPlatform.Api;
using AgentPlatform.Kernel;

namespace AgentPlatform.Knowledge.Patterns;

/// <summary>Steps that worked for a kind of task: a row of <c>action_patterns</c>.</summary>
public sealed record ActionPattern : ILearnedRow
{
    public Guid Id { get; init; }

    /// <summary>The member who alone sees and changes it; null when the tenant shares it.</summary>
    public Guid? UserId { get; init; }

    /// <summary>A task's type; of <c>run_action</c> with the action: <c>run_action:export_data</c>.</summary>
    public string TaskType { get; init; } = "";
    public string TaskName { get; init; } = "";
    public string? PageUrl { get; init; }

    /// <summary>A list, in the words of whoever carries them out.</summary>
    public JsonElement Steps { get; init; }
    public int SuccessCount { get; init; }
    public int FailureCount { get; init; }

    /// <summary>(successes + 1) / (tries + 2): the pattern with the highest is preferred.</summary>
    public float Score { get; init; }
    public DateTimeOffset? LastExecuted { get; init; }

    /// <summary>Holds <c>learned</c> until a person changes the row.</summary>
    public JsonElement Metadata { get; init; }
    public DateTimeOffset CreatedAt { get; init; }
    public DateTimeOffset UpdatedAt { get; init; }

    internal const int MaxSteps = 200;
}

internal sealed record ActionPatternBody(string? TaskType, string? TaskName, string? PageUrl, JsonElement? Steps, JsonElement? Metadata, bool Shared)
{
    internal Problem? Problem => new Validation().Text("task_type", TaskType, 255, required: true).Text("task_name", TaskName, 1000, required: true).Text("page_url", PageUrl, 2000)
        .Check("steps", Steps is { ValueKind: JsonValueKind.Array } steps && steps.GetArrayLength() is >= 1 and <= ActionPattern.MaxSteps, $"Must be a list of 1 to {ActionPattern.MaxSteps} steps.")
        .MustBeObject("metadata", Metadata).Problem;
}

/// <summary>What of a pattern may change. Other steps are another pattern, with counts of its own.</summary>
internal sealed record ActionPatternChange(string? TaskName, JsonElement? Metadata)
{
    internal Problem? Problem => new Validation().Text("task_name", TaskName, 1000, required: TaskName is not null).MustBeObject("metadata", Metadata).Problem;
}

/// <summary>How a task went that was done by a pattern.</summary>
internal sealed record PatternOutcome(bool? Succeeded)
{
    internal Problem? Problem => new Validation().Check("succeeded", Succeeded is not null, "Is required.").Problem;
}
