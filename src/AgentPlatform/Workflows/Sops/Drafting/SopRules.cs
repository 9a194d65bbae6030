using System.Globalization;
using System.Text.Json;
using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Workflows.Definitions;

namespace AgentPlatform.Workflows.Sops.Drafting;

/// <summary>Pure: whether the steps of an SOP can be executed as written; each error stands under the place of what is wrong.</summary>
internal sealed class SopRules
{
    private const int MostSteps = 200;
    private const int MostSeconds = 90 * 24 * 60 * 60;

    private readonly IReadOnlyList<SopStepBody> _steps;
    private readonly Validation _errors;
    private readonly HashSet<int> _instead;

    /// <summary>Any step may lie behind: which ones do is not known before the execution.</summary>
    private readonly PathRules _paths;

    private SopRules(IReadOnlyList<SopStepBody> steps, Validation errors)
    {
        (_steps, _errors) = (steps, errors);
        _instead = steps.SelectMany(Branches).ToHashSet();
        _paths = new PathRules(steps.Select(step => Name(step.StepNumber)).ToHashSet(StringComparer.Ordinal));
    }

    internal static Validation Check(IReadOnlyList<SopStepBody> steps, Validation errors)
    {
        errors.Check("steps", steps.Count is >= 1 and <= MostSteps, $"Must be 1 to {MostSteps} steps.");
        var rules = new SopRules(steps, errors);
        for (var i = 0; i < steps.Count; i++)
        {
            rules.CheckStep(steps[i], $"steps[{i}]");
        }

        rules.CheckOrder();
        return errors;
    }

    private static IEnumerable<int> Branches(SopStepBody step) => (step.Alternatives ?? []).Select(other => other.Step).Concat(step.ErrorHandling?.Step is { } instead ? [instead] : []);

    private static string Name(int number) => number.ToString(CultureInfo.InvariantCulture);

    private void CheckStep(SopStepBody step, string at)
    {
        _errors.Check($"{at}.step_number", step.StepNumber is >= 1 and <= 1000, "Must be between 1 and 1000.")
            .Check($"{at}.step_number", _steps.Count(other => other.StepNumber == step.StepNumber) == 1, "Another step has this number, too.")
            .Text($"{at}.title", step.Title, 255, required: true).Text($"{at}.instructions", step.Instructions, 20_000, required: true)
            .OneOf($"{at}.action_type", step.ActionType, required: false, "manual", "action")
            .Text($"{at}.expected_outcome", step.ExpectedOutcome, 10_000).Text($"{at}.tips", step.Tips, 10_000)
            .Check($"{at}.estimated_duration", step.EstimatedDuration is null or >= 0, "Must be at least 0.")
            .Check($"{at}.timeout", step.Timeout is null or (>= 1 and <= MostSeconds), $"Must be between 1 and {MostSeconds}.")
            .Check($"{at}.resources", step.Resources is null or { ValueKind: JsonValueKind.Array }, "Must be a list.")
            .Check($"{at}.examples", step.Examples is null or { ValueKind: JsonValueKind.Array }, "Must be a list.");
        CheckAction(step, at);
        CheckCondition(step.Conditions, $"{at}.conditions", _paths);
        CheckCondition(step.ValidationCriteria, $"{at}.validation_criteria", _paths with { HasStep = true });
        CheckAlternatives(step, at);
        CheckErrorHandling(step.ErrorHandling, $"{at}.error_handling");
        foreach (var number in step.DependsOn ?? [])
        {
            CheckNumber(number, $"{at}.depends_on");
            _errors.Check($"{at}.depends_on", !_instead.Contains(number), $"Step {number} is taken only in place of another: depend on that one.");
        }

        _errors.Check($"{at}.depends_on", step.DependsOn is null || !_instead.Contains(step.StepNumber), "Has no meaning in a step that is taken in place of another.");
    }

    private void CheckAction(SopStepBody step, string at)
    {
        var isAction = step.ActionType == "action";
        _errors.Check($"{at}.action_config", isAction == step.ActionConfig is not null, isAction ? "Must name the action." : "Has no meaning in a manual step.");
        if (step.ActionConfig is { } config)
        {
            _errors.Text($"{at}.action_config.action_id", config.ActionId, 100, required: true).MustBeObject($"{at}.action_config.params", config.Params);
            foreach (var (place, message) in config.Params is { } values ? Mapping.Errors(values, $"{at}.action_config.params", _paths) : [])
            {
                _errors.Check(place, false, message);
            }
        }
    }

    private void CheckAlternatives(SopStepBody step, string at)
    {
        for (var i = 0; i < (step.Alternatives?.Length ?? 0); i++)
        {
            var other = step.Alternatives![i];
            CheckNumber(other.Step, $"{at}.alternatives[{i}].step");
            CheckCondition(other.When, $"{at}.alternatives[{i}].when", _paths);
        }

        _errors.Check($"{at}.alternatives", step.Alternatives is not { Length: > 0 } || step.Conditions is not null, "Need conditions: they are taken when those do not hold.");
    }

    private void CheckErrorHandling(StepErrorHandling? handling, string at)
    {
        if (handling is null)
        {
            return;
        }

        _errors.OneOf($"{at}.strategy", handling.Strategy, required: true, StepErrorHandling.Strategies)
            .Check($"{at}.max_retries", handling.Strategy == "retry" ? handling.MaxRetries is >= 1 and <= 20 : handling.MaxRetries is null, "Must be between 1 and 20, with strategy retry only.")
            .OneOf($"{at}.otherwise", handling.Otherwise, required: false, StepErrorHandling.Strategies[..3])
            .Check($"{at}.otherwise", handling.Otherwise is null || handling.Strategy == "retry", "Goes with strategy retry only.")
            .Check($"{at}.step", handling.Final == "alternative" == handling.Step is not null, "Is named by an alternative, and by nothing else.");
        if (handling.Step is { } step)
        {
            CheckNumber(step, $"{at}.step");
        }
    }

    private void CheckNumber(int number, string at) => _errors.Check(at, _steps.Any(step => step.StepNumber == number), $"There is no step {number}.");

    private void CheckCondition(JsonElement? condition, string at, PathRules paths)
    {
        foreach (var (place, message) in condition is { } given ? Condition.Errors(given, at, paths.Error) : [])
        {
            _errors.Check(place, false, message);
        }
    }

    /// <summary>No step waits for itself, and none is taken in its own place.</summary>
    private void CheckOrder()
    {
        var order = _steps.OrderBy(step => step.StepNumber).Where(step => !_instead.Contains(step.StepNumber));
        var waits = new StepGraph([.. order.Select(step => new StepDefinition { Id = Name(step.StepNumber), After = step.DependsOn?.Select(Name).ToArray() })]);
        var branches = new StepGraph([.. _steps.Select(step => new StepDefinition { Id = Name(step.StepNumber), After = [.. Branches(step).Select(Name)] })]);
        _errors.Check("steps", waits.OnCycle.Count == 0, $"Wait for each other: {string.Join(", ", waits.OnCycle)}.")
            .Check("steps", branches.OnCycle.Count == 0, $"Stand in for each other: {string.Join(", ", branches.OnCycle)}.");
    }
}
