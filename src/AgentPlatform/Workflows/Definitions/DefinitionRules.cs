using System.Text.Json;
using System.Text.RegularExpressions;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Kernel;

namespace AgentPlatform.Workflows.Definitions;

/// <summary>What a definition is checked against: the actions its agents offer, and the tenant's other workflows with those they call.</summary>
internal sealed record DefinitionFacts(
    Guid AgentId, IReadOnlyDictionary<(Guid Agent, string ActionId), ActionDefinition> Actions, IReadOnlyDictionary<string, string[]> Workflows)
{
    internal ActionDefinition? Action(StepDefinition step, string? actionId) =>
        actionId is null ? null : Actions.GetValueOrDefault((step.AgentId ?? AgentId, actionId));

    /// <summary>Whether a workflow calls another, however many lie between.</summary>
    internal bool Calls(string from, string target)
    {
        var (seen, open) = (new HashSet<string>(StringComparer.Ordinal) { from }, new Stack<string>([from]));
        while (open.TryPop(out var at))
        {
            if (at == target)
            {
                return true;
            }

            foreach (var next in Workflows.GetValueOrDefault(at, []).Where(seen.Add))
            {
                open.Push(next);
            }
        }

        return false;
    }
}

/// <summary>Pure: whether a definition can be run as written; each error stands under the JSON path of what is wrong.</summary>
internal sealed partial class DefinitionRules
{
    private const int MostSteps = 200;
    private const int MostSeconds = 90 * 24 * 60 * 60;

    private readonly Dictionary<string, string[]> _errors = new(StringComparer.Ordinal);
    private readonly WorkflowDefinition _definition;
    private readonly string _workflowId;
    private readonly DefinitionFacts _facts;
    private readonly StepGraph _graph;

    private DefinitionRules(WorkflowDefinition definition, string workflowId, DefinitionFacts facts) =>
        (_definition, _workflowId, _facts, _graph) = (definition, workflowId, facts, new StepGraph(definition.Steps));

    /// <summary>The complete definition, or all that is wrong with it.</summary>
    internal static Result<WorkflowDefinition> Check(WorkflowDefinition definition, string workflowId, DefinitionFacts facts)
    {
        var rules = new DefinitionRules(definition, workflowId, facts);
        rules.CheckWhole();
        return rules._errors.Count > 0 ? Problem.Invalid(rules._errors) : Complete(definition, facts);
    }

    /// <summary>With all that was left out.</summary>
    private static WorkflowDefinition Complete(WorkflowDefinition definition, DefinitionFacts facts) => definition with
    {
        TimeoutSeconds = definition.TimeoutSeconds ?? WorkflowDefinition.DefaultTimeoutSeconds,
        Steps = [.. definition.Steps.Select((step, i) => step with
        {
            Name = step.Name ?? facts.Action(step, step.Action)?.Title ?? step.Id.Replace('_', ' '),
            After = StepGraph.Direct(definition.Steps, i),
            Reversibility = step.Reversibility ?? (step.Undo is null ? Reversibility.Reversible : Reversibility.Compensable),
            Undo = UndoOf(step, facts),
            EstimatedSeconds = step.EstimatedSeconds ?? step.SleepSeconds ?? facts.Action(step, step.Action)?.EstimatedDurationSeconds,
        })],
    };

    private static StepUndo? UndoOf(StepDefinition step, DefinitionFacts facts) =>
        step.Undo ?? (!step.IsFinal && facts.Action(step, step.Action) is { RollbackPossible: true, RollbackActionId: { } rollback } ? new StepUndo(rollback, null, null) : null);

    private void CheckWhole()
    {
        Require("$.steps", _definition.Steps.Count is >= 1 and <= MostSteps, $"Must be 1 to {MostSteps} steps.");
        Seconds("$.timeout_seconds", _definition.TimeoutSeconds);
        Require("$.failure_message", _definition.FailureMessage is null or { Length: >= 1 and <= 1000 }, "Must have 1 to 1000 characters.");
        for (var i = 0; i < _definition.Steps.Count; i++)
        {
            CheckStep(_definition.Steps[i], $"$.steps[{i}]");
        }

        if (_definition.Output is { } output)
        {
            Add(Mapping.Errors(output, "$.output", new PathRules(_definition.Steps.Select(s => s.Id).ToHashSet(StringComparer.Ordinal))));
        }

        if (_errors.Count == 0)
        {
            CheckFinals();
        }
    }

    private void CheckStep(StepDefinition step, string at)
    {
        Require($"{at}.id", IdShape().IsMatch(step.Id), "Must be 1 to 100 lower-case letters, digits and underscores, and begin with a letter.");
        Require($"{at}.id", _definition.Steps.Count(other => other.Id == step.Id) == 1, $"Another step is called '{step.Id}', too.");
        CheckPlace(step, at);
        CheckMembers(step, at);
        var paths = new PathRules(_graph.Before(step.Id)) { HasItem = step.ForEach is not null };
        if (step.When is { } when)
        {
            Add(Condition.Errors(when, $"{at}.when", paths.Error));
            Require($"{at}.when", when.ValueKind != JsonValueKind.False, "Is never true: the step is unreachable.");
        }

        if (step.ForEach is { } list)
        {
            Require($"{at}.for_each", list.StartsWith('$'), "Must be the path of a list.");
            Add(Mapping.Errors(Json.Of(list), $"{at}.for_each", paths with { HasItem = false }));
        }

        CheckTarget(step, at, paths);
        CheckUndo(step, at, paths);
    }

    private void CheckPlace(StepDefinition step, string at)
    {
        for (var i = 0; i < (step.After?.Count ?? 0); i++)
        {
            Require($"{at}.after[{i}]", _definition.Steps.Any(other => other.Id == step.After![i]), $"There is no step '{step.After![i]}'.");
        }

        Require($"{at}.after", !_graph.OnCycle.Contains(step.Id), "The step waits for itself: a cycle.");
        Require($"{at}.after", !_graph.Unreachable.Contains(step.Id), "The step is unreachable: what it waits for never ends.");
    }

    private void CheckMembers(StepDefinition step, string at)
    {
        Require($"{at}.concurrency", step.Concurrency is null || (step.ForEach is not null && step.Concurrency is >= 1 and <= 100), "Must be between 1 and 100, in a step with for_each.");
        Seconds($"{at}.timeout_seconds", step.TimeoutSeconds);
        Require($"{at}.estimated_seconds", step.EstimatedSeconds is null or (>= 0 and <= MostSeconds), $"Must be between 0 and {MostSeconds}.");
        CheckRetry(step.Retry, $"{at}.retry");
        foreach (var (member, given, belongs) in new[]
        {
            ("action", step.Action is not null, step.IsAction), ("workflow", step.Workflow is not null, step.Type == StepType.Workflow),
            ("sleep_seconds", step.SleepSeconds is not null, step.Type == StepType.Sleep), ("event", step.Event is not null, step.Type == StepType.Wait),
            ("input", step.Input is not null, step.IsAction || step.Type == StepType.Workflow), ("for_each", step.ForEach is not null, step.IsAction || step.Type == StepType.Workflow),
            ("retry", step.Retry is not null, step.IsAction), ("on_timeout", step.OnTimeout is not null, step.Type == StepType.Wait),
            ("undo", step.Undo is not null, step.IsAction || step.Type == StepType.Workflow),
            ("timeout_seconds", step.TimeoutSeconds is not null, step.Type != StepType.Sleep), ("agent_id", step.AgentId is not null, step.IsAction || step.Undo is not null),
        })
        {
            Require($"{at}.{member}", !given || belongs, $"Has no meaning in a step of type {step.Type.ToString().ToLowerInvariant()}.");
        }

        Require($"{at}.on_timeout", step.OnTimeout is null or "fail" or "continue", "Must be fail or continue.");
        Require($"{at}.on_timeout", step.OnTimeout is null || step.TimeoutSeconds is not null, "Needs timeout_seconds.");
    }

    private void CheckTarget(StepDefinition step, string at, PathRules paths)
    {
        switch (step.Type)
        {
            case StepType.Sleep:
                Require($"{at}.sleep_seconds", step.SleepSeconds is >= 1 and <= MostSeconds, $"Must be between 1 and {MostSeconds}.");
                break;
            case StepType.Wait:
                Require($"{at}.event", step.Event is { Length: >= 1 and <= 100 }, "Must have 1 to 100 characters.");
                break;
            case StepType.Workflow when step.Workflow is null || !_facts.Workflows.ContainsKey(step.Workflow):
                Require($"{at}.workflow", step.Workflow == _workflowId, $"There is no workflow '{step.Workflow}'.");
                Require($"{at}.workflow", step.Workflow != _workflowId, "The workflow calls itself: a cycle.");
                break;
            case StepType.Workflow:
                Require($"{at}.workflow", !_facts.Calls(step.Workflow, _workflowId), "That workflow calls this one: a cycle.");
                Require($"{at}.input", step.Input is null or { ValueKind: JsonValueKind.Object }, "Must be an object.");
                Add(step.Input is { } input ? Mapping.Errors(input, $"{at}.input", paths) : []);
                break;
            default:
                CheckAction(step, step.Action, $"{at}.action", step.Input ?? Parameters.None, $"{at}.input", paths);
                Require($"{at}.type", step.Type != StepType.Approval || _facts.Action(step, step.Action) is not { Approval: not { ValueKind: JsonValueKind.Object } }, "The action needs no approval; give it one in the registry.");
                break;
        }
    }

    private void CheckAction(StepDefinition step, string? actionId, string at, JsonElement input, string inputAt, PathRules paths)
    {
        if (_facts.Action(step, actionId) is not { IsActive: true } action)
        {
            Require(at, false, actionId is null ? "Is required." : $"The agent offers no action '{actionId}'.");
            return;
        }

        Require(at, !action.TriggersWorkflow, "The action starts a workflow; use a step of type workflow.");
        Require(inputAt, input.ValueKind == JsonValueKind.Object, "Must be an object.");
        if (input.ValueKind == JsonValueKind.Object)
        {
            var known = action.Required.Concat(action.Optional).ToHashSet(StringComparer.Ordinal);
            Add(input.EnumerateObject().Where(p => !known.Contains(p.Name)).Select(p => ($"{inputAt}.{p.Name}", $"Action '{actionId}' has no parameter '{p.Name}'.")));
            Add(action.Required.Where(name => !input.TryGetProperty(name, out _)).Select(name => ($"{inputAt}.{name}", $"Action '{actionId}' requires it.")));
            Add(Mapping.Errors(input, inputAt, paths));
        }
    }

    private void CheckUndo(StepDefinition step, string at, PathRules paths)
    {
        Require($"{at}.undo", step.Reversibility != Reversibility.Compensable || step.Undo is not null, "A compensable step says what undoes it.");
        Require($"{at}.reversibility", step.Undo is null || !step.IsFinal, "A final step is not undone.");
        if (step.Undo is { } undo)
        {
            CheckRetry(undo.Retry, $"{at}.undo.retry");
            var rules = paths with { HasStep = true };
            if (undo.Input is { } input)
            {
                CheckAction(step, undo.Action, $"{at}.undo.action", input, $"{at}.undo.input", rules);
            }
            else
            {
                Require($"{at}.undo.action", _facts.Action(step, undo.Action) is { IsActive: true }, $"The agent offers no action '{undo.Action}'.");
            }
        }
        else if (UndoOf(step, _facts) is { } rollback)
        {
            Require($"{at}.action", _facts.Action(step, rollback.Action) is { IsActive: true }, $"Its rollback action '{rollback.Action}' is not offered.");
        }
    }

    /// <summary>Whatever may have to be undone has succeeded before a final step begins.</summary>
    private void CheckFinals()
    {
        var steps = _definition.Steps;
        for (var f = 0; f < steps.Count; f++)
        {
            foreach (var (undoable, at) in steps.Select((step, i) => (step, $"$.steps[{i}]")).Where(s => steps[f].IsFinal && s.step.Id != steps[f].Id && UndoOf(s.step, _facts) is not null))
            {
                if (_graph.Before(undoable.Id).Contains(steps[f].Id))
                {
                    Require($"{at}.after", false, $"May have to be undone, but comes after the final step '{steps[f].Id}'.");
                }
                else
                {
                    Require($"$.steps[{f}].after", _graph.Before(steps[f].Id).Contains(undoable.Id), $"A final step waits for all that may have to be undone; '{undoable.Id}' does not come before it.");
                }
            }
        }
    }

    private void CheckRetry(StepRetry? retry, string at)
    {
        Require($"{at}.max_retries", retry?.MaxRetries is null or (>= 0 and <= 20), "Must be between 0 and 20.");
        Require($"{at}.initial_delay_seconds", retry?.InitialDelaySeconds is null or (>= 0 and <= 3600), "Must be between 0 and 3600.");
        Require($"{at}.max_delay_seconds", retry?.MaxDelaySeconds is null or (>= 0 and <= 24 * 60 * 60), "Must be between 0 and 86400.");
    }

    private void Seconds(string at, int? value) => Require(at, value is null or (>= 1 and <= MostSeconds), $"Must be between 1 and {MostSeconds}.");

    private void Add(IEnumerable<(string At, string Message)> errors)
    {
        foreach (var (at, message) in errors)
        {
            Require(at, false, message);
        }
    }

    /// <summary>The first message about a place stands.</summary>
    private void Require(string at, bool ok, string message)
    {
        if (!ok)
        {
            _errors.TryAdd(at, [message]);
        }
    }

    [GeneratedRegex(@"^[a-z][a-z0-9_]{0,99}\z", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex IdShape();
}
