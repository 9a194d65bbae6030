using System.Text.Json;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Agents.Scenarios;
using AgentPlatform.Kernel;

namespace AgentPlatform.Brain.Scenarios;

/// <summary>Pure: the way from a step to the next one that has to wait for an answer, or to the end.</summary>
internal sealed class ScenarioWalk
{
    private readonly List<ScenarioStep> _steps = [];
    private readonly List<string> _say = [];
    private readonly List<string> _actions = [];

    private ScenarioWalk()
    {
    }

    internal IReadOnlyList<ScenarioStep> Steps => _steps;

    internal IReadOnlyList<string> Say => _say;

    internal IReadOnlyList<string> Actions => _actions;

    /// <summary>The question of the step that waits; null at the end.</summary>
    internal string? Prompt { get; private set; }

    /// <param name="known">Slots that need no question, unless the way comes by them twice.</param>
    /// <param name="silent">Steps that have said and done their part already.</param>
    internal static ScenarioWalk From(
        Scenario scenario, ScenarioStep? step, IReadOnlyDictionary<string, JsonElement> variables, IReadOnlySet<string> known, IReadOnlySet<Guid> silent)
    {
        var (walk, scope) = (new ScenarioWalk(), Json.Of(variables));
        while (step is not null && walk.Waits(step, scope, known, silent) is false)
        {
            step = Follow(scenario, step, scope);
        }

        return walk;
    }

    internal static ScenarioStep? Follow(Scenario scenario, ScenarioStep step, JsonElement scope) =>
        scenario.Step(Array.Find(step.Branches, branch => Condition.Holds(branch.When, scope))?.To ?? step.Next);

    private bool Waits(ScenarioStep step, JsonElement scope, IReadOnlySet<string> known, IReadOnlySet<Guid> silent)
    {
        var again = _steps.Contains(step);
        _steps.Add(step);
        if (!silent.Contains(step.Id))
        {
            _say.AddRange(step.Say is { } say ? [Templates.Text(say, scope)] : []);
            _actions.AddRange(step.Action is { } action ? [action] : []);
        }

        if (step.Collect is { } slot && (again || !known.Contains(slot.Name)))
        {
            Prompt = Templates.Text(slot.Prompt, scope);
            return true;
        }

        return false;
    }
}
