using System.Text.Json;
using System.Text.RegularExpressions;
using AgentPlatform.Kernel;

namespace AgentPlatform.Agents.Rules;

/// <summary>
/// When its condition holds for what was said, and the talk is inside its scope, the agent does what it says. <see cref="ConditionText"/>: phrases, one
/// a line, a regular expression, a condition in JSON, or sentences, one a line, that the agent's classifier learns from or that the message is compared with,
/// by <see cref="ConditionKind"/>. <see cref="Threshold"/>: how near it has to come then, 0.30 to 1. <see cref="ScopeId"/>: a scenario or a step.
/// </summary>
public sealed record Rule(
    Guid Id, Guid AgentId, string Name, string? Description, string ConditionKind, string ConditionText, string ActionType, JsonElement ActionConfig,
    string Scope, Guid? ScopeId, int Priority, bool Enabled, Guid[] Requires, Guid[] Excludes, Guid[] Overrides, DateTimeOffset CreatedAt, DateTimeOffset UpdatedAt,
    decimal? Threshold)
{
    internal const string Phrases = "phrases";
    internal const string Pattern = "pattern";
    internal const string Expression = "expression";
    internal const string Examples = "examples";

    internal const string Embedding = "embedding";

    /// <summary>Where nothing else is said.</summary>
    internal const decimal DefaultThreshold = 0.60m;

    internal static readonly string[] Kinds = [Phrases, Pattern, Expression, Examples, Embedding];

    internal static string[] Lines(string conditionText) => conditionText.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);

    /// <summary>With a time-out: an engine that never backtracks needs none, and takes a thousand times the memory.</summary>
    internal static Regex Compile(string pattern) => new(pattern, RegexOptions.IgnoreCase | RegexOptions.CultureInvariant, TimeSpan.FromMilliseconds(20));

    internal RuleAction Action => RuleAction.Of(ActionType, ActionConfig);
}

/// <summary>A rule as its author writes it: all of it, every time.</summary>
public sealed record RuleInput(
    string? Name, string? Description, string? ConditionKind, string? ConditionText, string? ActionType, JsonElement? ActionConfig, string? Scope, Guid? ScopeId,
    int? Priority, bool? Enabled, Guid[]? Requires, Guid[]? Excludes, Guid[]? Overrides, decimal? Threshold = null)
{
    /// <summary>The rule that this is, once it was checked.</summary>
    internal Rule As(Guid id, Guid agentId) => new(
        id, agentId, Name!.Trim(), Description, ConditionKind ?? Rule.Phrases, ConditionText!, ActionType!, ActionConfig ?? Actions.Registry.Parameters.None,
        Scope ?? Agents.Scope.Global, ScopeId, Priority ?? 0, Enabled ?? true, Once(Requires), Once(Excludes), Once(Overrides), default, default,
        ConditionKind == Rule.Embedding ? Math.Round(Threshold ?? Rule.DefaultThreshold, 2) : null);

    private static Guid[] Once(Guid[]? ids) => [.. (ids ?? []).Distinct()];
}

/// <summary>What a rule does. Texts, and the strings in parameters and values, are templates.</summary>
internal abstract record RuleAction
{
    internal static readonly string[] Types = ["say", "ask", "do", "enter_scenario", "hand_off", "set_variable"];

    private RuleAction()
    {
    }

    internal sealed record Say(string Text) : RuleAction;

    /// <summary><see cref="OnYes"/>: the action that a yes asks for.</summary>
    internal sealed record Ask(string Text, string? OnYes, JsonElement? Params) : RuleAction;

    internal sealed record Do(string Action, JsonElement? Params) : RuleAction;

    internal sealed record EnterScenario(Guid ScenarioId) : RuleAction;

    internal sealed record HandOff(string? Reason, string? Text) : RuleAction;

    internal sealed record SetVariable(string Name, JsonElement Value) : RuleAction;

    internal static RuleAction Of(string type, JsonElement config) => type switch
    {
        "say" => Json.Read<Say>(config),
        "ask" => Json.Read<Ask>(config),
        "do" => Json.Read<Do>(config),
        "enter_scenario" => Json.Read<EnterScenario>(config),
        "hand_off" => Json.Read<HandOff>(config),
        _ => Json.Read<SetVariable>(config),
    };
}
