using AgentPlatform.Agents.Scenarios;
using AgentPlatform.Api;
using AgentPlatform.Kernel;

namespace AgentPlatform.Agents.Plans;

/// <summary>Pure: what is wrong with a plan. A talk stands only at steps that collect, so these are what a plan speaks of.</summary>
internal static class PlanRules
{
    internal static Problem? Check(PlanInput input) => new Validation()
        .Check("from_version", input.FromVersion is not null, "Is required.")
        .Check("to_version", input.ToVersion is not null, "Is required.")
        .Check("to_version", input.ToVersion is null || input.ToVersion != input.FromVersion, "Must be another version.")
        .Check("transformation_map", input.TransformationMap is not null, "Is required.")
        .Problem;

    internal static Problem? Check(PlanInput input, Scenario from, Scenario to)
    {
        var rules = new Validation();
        var (stands, may) = (Waiting(from), Waiting(to));
        foreach (var (step, target) in input.TransformationMap!)
        {
            rules.Check($"transformation_map.{step}", stands.Contains(step), $"Version {from.Version} has no step of this name that collects.")
                .Check($"transformation_map.{step}", target is null || may.Contains(target), $"Version {to.Version} has no step '{target}' that collects.");
        }

        foreach (var (step, policy) in input.AnchorPolicies ?? [])
        {
            rules.Check($"anchor_policies.{step}", stands.Contains(step), $"Version {from.Version} has no step of this name that collects.")
                .OneOf($"anchor_policies.{step}", policy, required: true, AnchorPolicy.All);
        }

        foreach (var step in stands.Where(step => !may.Contains(step) && !input.TransformationMap.ContainsKey(step) && input.AnchorPolicies?.GetValueOrDefault(step, AnchorPolicy.Move) is null or AnchorPolicy.Move))
        {
            rules.Check($"transformation_map.{step}", ok: false, $"Version {to.Version} has no step of this name: say where it leads.");
        }

        return rules.Check("scope_filter.steps", input.ScopeFilter?.Steps?.All(stands.Contains) != false, "Names a step where nobody can stand.").Problem;
    }

    private static HashSet<string> Waiting(Scenario scenario) => scenario.Path.Where(step => step.Collect is not null).Select(step => step.Name).ToHashSet(StringComparer.Ordinal);
}
