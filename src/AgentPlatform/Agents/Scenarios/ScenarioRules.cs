using System.Text.Json;
using System.Text.RegularExpressions;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Api;
using AgentPlatform.Kernel;

namespace AgentPlatform.Agents.Scenarios;

/// <summary>Pure: what is wrong with a scenario, with where it stands.</summary>
internal static partial class ScenarioRules
{
    internal const int MostSteps = 100;

    internal static Problem? Check(ScenarioInput input)
    {
        var rules = new Validation()
            .Text("name", input.Name, 255, required: true)
            .Text("description", input.Description, 5000)
            .Check("entry_condition", input.EntryCondition is not { Length: > 100 } && input.EntryCondition?.All(phrase => phrase is { Length: > 0 and <= 255 }) != false, "Holds at most 100 phrases of 1 to 255 characters.")
            .Check("steps", input.Steps is { Length: > 0 and <= MostSteps }, $"Must hold 1 to {MostSteps} steps.");
        rules.Check("steps", input.Steps?.All(IsWhole) != false, "A step, its name, its lists and what is in them must not be null.");
        return rules.Problem ?? Steps(input.Steps!, rules).Problem;
    }

    private static bool IsWhole(ScenarioStep? step) =>
        step is { Name: not null, Branches: not null } && step.Branches.All(branch => branch is { To: not null }) && step.Collect is null or { Name: not null, Prompt: not null };

    private static Validation Steps(ScenarioStep[] steps, Validation rules)
    {
        var names = steps.Select(step => step.Name).ToHashSet(StringComparer.Ordinal);
        rules.Check("steps", names.Count == steps.Length, "Names a step twice.");
        rules.Check("steps", steps.Where(step => step.Collect is not null).Select(step => step.Collect!.Name).Distinct(StringComparer.Ordinal).Count() == steps.Count(step => step.Collect is not null), "Two steps collect a value of the same name.");
        foreach (var (step, i) in steps.Select((step, i) => (step, i)))
        {
            rules.Check($"steps[{i}].name", Name().IsMatch(step.Name), "Must be a name of lower-case letters, digits and underscores.")
                .Check($"steps[{i}]", step.Say is not null || step.Collect is not null || step.Action is not null || step.Branches.Length > 0, "Must say, collect, ask for an action or branch.")
                .Text($"steps[{i}].say", step.Say, 2000)
                .Check($"steps[{i}].say", step.Say is null || Templates.Error(step.Say) is null, "Is not a template.")
                .Text($"steps[{i}].action", step.Action, 255)
                .Check($"steps[{i}].next", step.Next is null || names.Contains(step.Next), "Is not the name of a step.");
            Collect(step.Collect, $"steps[{i}].collect", rules);
            Branches(step.Branches, names, $"steps[{i}].branches", rules);
        }

        var endless = EndlessWay(steps);
        return rules.Check("steps", endless is null, $"Step '{endless}' comes back to itself without collecting anything.");
    }

    private static void Collect(Slot? slot, string at, Validation rules)
    {
        if (slot is null)
        {
            return;
        }

        rules.Check($"{at}.name", Name().IsMatch(slot.Name), "Must be a name of lower-case letters, digits and underscores.")
            .OneOf($"{at}.type", slot.Type, required: true, Slot.Types)
            .Text($"{at}.prompt", slot.Prompt, 1000, required: true)
            .Check($"{at}.prompt", Templates.Error(slot.Prompt) is null, "Is not a template.")
            .Text($"{at}.message", slot.Message, 1000)
            .Check($"{at}.choices", slot.Type == "choice" == (slot.Choices is { Length: > 0 }), "Belong to the type choice, and to it only.")
            .Check($"{at}.choices", slot.Choices is not { Length: > 50 } && slot.Choices?.All(choice => choice is { Length: > 0 and <= 100 }) != false, "Are at most 50, of 1 to 100 characters.")
            .Check($"{at}.maximum", slot.Minimum is null || slot.Maximum is null || slot.Minimum <= slot.Maximum, "Must not be below the minimum.");
    }

    private static void Branches(Branch[] branches, HashSet<string> names, string at, Validation rules)
    {
        rules.Check(at, branches.Length <= 50, "Are at most 50.");
        foreach (var (branch, i) in branches.Select((branch, i) => (branch, i)))
        {
            rules.Check($"{at}[{i}].to", names.Contains(branch.To), "Is not the name of a step.");
            foreach (var (where, message) in Condition.Errors(branch.When, $"{at}[{i}].when", PathError))
            {
                rules.Check(where, ok: false, message);
            }
        }
    }

    private static string? PathError(string path) => Path().IsMatch(path) ? null : $"'{path}' is not a path such as $.email.";

    /// <summary>A step from which a turn would walk for ever: only a step that collects makes the walk wait.</summary>
    private static string? EndlessWay(ScenarioStep[] steps)
    {
        var waitless = steps.Where(step => step.Collect is null).DistinctBy(step => step.Name).ToDictionary(step => step.Name, StringComparer.Ordinal);
        var over = new HashSet<string>(StringComparer.Ordinal);
        bool Ends(string name, HashSet<string> way) =>
            !waitless.TryGetValue(name, out var step) || over.Contains(name)
            || (way.Add(name) && step.Leads.All(to => Ends(to, way)) && way.Remove(name) && over.Add(name));
        return waitless.Keys.FirstOrDefault(name => !Ends(name, new HashSet<string>(StringComparer.Ordinal)));
    }

    [GeneratedRegex(@"^[a-z][a-z0-9_]{0,99}\z", RegexOptions.CultureInvariant, 1000)]
    private static partial Regex Name();

    [GeneratedRegex(@"^\$(\.[A-Za-z0-9_-]+)+\z", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Path();
}
