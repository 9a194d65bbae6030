using AgentPlatform.Agents.Scenarios;

namespace AgentPlatform.Agents;

/// <summary>Where a rule or a template applies: everywhere, inside one scenario, or at one step.</summary>
internal static class Scope
{
    internal const string Global = "GLOBAL";
    internal const string Scenario = "SCENARIO";
    internal const string Step = "STEP";

    internal static readonly string[] All = [Global, Scenario, Step];

    /// <summary>What is wrong with the id that goes with the scope; null when it fits.</summary>
    internal static string? TargetError(string scope, Guid? scopeId) => scope == Global
        ? scopeId is null ? null : "Goes with SCENARIO and STEP only."
        : scopeId is null ? $"Is required with {scope}." : null;

    /// <summary>Whether the agent has what the id names.</summary>
    internal static bool HasTarget(string scope, Guid? scopeId, IReadOnlyList<Scenario> scenarios) => scope switch
    {
        Scenario => scenarios.Any(scenario => scenario.Id == scopeId),
        Step => scenarios.Any(scenario => scenario.Step(scopeId) is not null),
        _ => true,
    };

    /// <summary>Whether a talk that stands there is inside.</summary>
    internal static bool Holds(string scope, Guid? scopeId, Guid? scenarioId, Guid? stepId) => scope switch
    {
        Scenario => scopeId == scenarioId,
        Step => scopeId == stepId,
        _ => true,
    };

    /// <summary>The narrower, the higher.</summary>
    internal static int Narrowness(string scope) => Array.IndexOf(All, scope);
}
