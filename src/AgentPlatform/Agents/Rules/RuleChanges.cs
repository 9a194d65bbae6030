using AgentPlatform.Actions.Registry;
using AgentPlatform.Agents.Scenarios;
using AgentPlatform.Kernel;

namespace AgentPlatform.Agents.Rules;

/// <summary>A rule in the place of another.</summary>
public sealed record RuleReplacement(Guid Id, RuleInput Rule);

/// <summary>Rules that are otherwise than an agent's: some more, some in the place of others, some switched off.</summary>
public sealed record RuleChanges(RuleInput[]? Add, RuleReplacement[]? Replace, Guid[]? Disable)
{
    private const int Most = 100;

    internal bool IsEmpty => Add is null or [] && Replace is null or [] && Disable is null or [];

    /// <summary>What is wrong with them, where; the same things that are wrong with an agent's own.</summary>
    internal Problem? Check(string at, IReadOnlyList<Rule> rules, IReadOnlyList<Scenario> scenarios, IReadOnlyList<ActionDefinition> actions, Guid agentId)
    {
        if ((Add?.Length ?? 0) + (Replace?.Length ?? 0) + (Disable?.Length ?? 0) > Most)
        {
            return Problem.Invalid(at, $"Are at most {Most} changes.");
        }

        var unknown = (Replace ?? []).Select(one => one.Id).Concat(Disable ?? []).Where(id => rules.All(rule => rule.Id != id)).ToArray();
        if (unknown.Length > 0)
        {
            return Problem.Invalid(at, $"The agent has no rule {unknown[0]}.");
        }

        var written = (Add ?? []).Select((input, i) => (Where: $"{at}.add[{i}]", Input: input))
            .Concat((Replace ?? []).Select((one, i) => (Where: $"{at}.replace[{i}].rule", Input: one.Rule))).ToList();
        return written.Select(one => Under(one.Where, one.Input is null ? Problem.Invalid("rule", "Is required.") : RuleRules.Check(one.Input))).OfType<Problem>().FirstOrDefault()
            ?? Around(at, Over(rules, agentId), scenarios, actions);
    }

    /// <summary>The rules with these changes. The added ones are the newest, in their order.</summary>
    internal IReadOnlyList<Rule> Over(IReadOnlyList<Rule> rules, Guid agentId)
    {
        var replaced = (Replace ?? []).ToDictionary(one => one.Id, one => one.Rule);
        return
        [
            .. rules.Select(rule => replaced.TryGetValue(rule.Id, out var input) ? input.As(rule.Id, agentId) : (Disable ?? []).Contains(rule.Id) ? rule with { Enabled = false } : rule),
            .. (Add ?? []).Select((input, i) => input.As(NewestId(i), agentId)),
        ];
    }

    private static Problem? Around(string at, IReadOnlyList<Rule> rules, IReadOnlyList<Scenario> scenarios, IReadOnlyList<ActionDefinition> actions)
    {
        foreach (var rule in rules)
        {
            var named = RuleRules.Names(rule.Action);
            if (Under(at, RuleRules.Check(rule, new(rules, scenarios, actions.FirstOrDefault(action => action.ActionId == named)))) is { } wrong)
            {
                return wrong;
            }
        }

        return null;
    }

    private static Problem? Under(string at, Problem? problem) => problem is { Errors: { } errors }
        ? Problem.Invalid(errors.ToDictionary(error => $"{at}.{error.Key}", error => error.Value, StringComparer.Ordinal))
        : problem;

    /// <summary>An id that comes after those of all rules there are.</summary>
    private static Guid NewestId(int number) => new(uint.MaxValue, ushort.MaxValue, ushort.MaxValue, 0, 0, 0, 0, 0, 0, (byte)(number >> 8), (byte)number);
}
