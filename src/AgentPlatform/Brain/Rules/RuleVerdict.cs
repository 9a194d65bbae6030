using AgentPlatform.Agents;
using AgentPlatform.Agents.Rules;
using AgentPlatform.Actions.Execution;
using AgentPlatform.Brain.Nlu.Models;
using AgentPlatform.Kernel;

namespace AgentPlatform.Brain.Rules;

/// <summary>
/// What became of a rule whose condition held inside its scope, or nearly did. <see cref="Outcome"/>: <c>fired</c>, <c>lost</c> to another rule,
/// <c>unmet</c> because one that it requires did not fire, <c>unavailable</c> because what it asks for is not there, or <c>below_threshold</c>.
/// </summary>
internal sealed record RuleVerdict(ReadyRule Rule, string Outcome, string? Reason = null, Guid? OtherId = null, string? Other = null)
{
    internal const string Fired = "fired";
    internal const string Lost = "lost";
    internal const string Unmet = "unmet";
    internal const string Unavailable = "unavailable";
    internal const string BelowThreshold = "below_threshold";

    internal bool HasFired => Outcome == Fired;

    /// <summary>For conditions that hold by degrees.</summary>
    internal Nearness? Near { get; init; }

    /// <summary>As the turn's record and its event keep it.</summary>
    internal object Record => new
    {
        rule_id = Rule.Rule.Id,
        name = Rule.Rule.Name,
        priority = Rule.Rule.Priority,
        action_type = Rule.Rule.ActionType,
        outcome = Outcome,
        reason = Reason,
        other_rule_id = OtherId,
        other_rule = Other,
        similarity = Near?.Similarity,
        threshold = Near?.Threshold,
        measured_by = Near?.MeasuredBy,
    };
}

/// <summary>Pure: which rules fire, and why the others that could have do not.</summary>
internal static class RuleDecision
{
    /// <summary>Of a thousand rules that are a little like what was said nobody reads all.</summary>
    private const int MostBelow = 5;

    /// <summary>Highest priority first. Rules whose condition is far from holding, or that are disabled or out of scope, are not among them.</summary>
    internal static IReadOnlyList<RuleVerdict> Decide(TurnInput input)
    {
        var (verdicts, fired) = (new List<RuleVerdict>(), new Dictionary<Guid, ReadyRule>());
        // What a scenario asked for is hardly ever an example of something else.
        var text = new RuleText(
            input.Text, () => Json.Of(Scope(input)), () => input.Place is null ? Taught.Of(input, ClassNames.Rules) : null, input.Options.ConfirmModelBelow);
        var (scenario, step) = (input.Place?.Scenario.Id, input.Place?.Step.Id);
        foreach (var rule in input.Rules.MayHold(text).Where(rule => Agents.Scope.Holds(rule.Rule.Scope, rule.Rule.ScopeId, scenario, step)))
        {
            var found = rule.Find(text);
            if (found is { Holds: false, Near: null })
            {
                continue;
            }

            var verdict = found.Holds switch
            {
                true => Judge(input, rule, fired),
                false => new(rule, RuleVerdict.BelowThreshold),
                null => new(rule, RuleVerdict.Unavailable, "its pattern takes too long"),
            };
            verdicts.Add(verdict with { Near = found.Near });
            if (verdict.HasFired)
            {
                fired.Add(rule.Rule.Id, rule);
            }
        }

        return OneWay([.. Candidates(verdicts).OrderByDescending(v => v.Rule.Rule.Priority).ThenBy(v => v.Rule.Rule.Id)]);
    }

    /// <summary>Of those that did not come near enough, the nearest.</summary>
    private static IEnumerable<RuleVerdict> Candidates(List<RuleVerdict> verdicts) => verdicts.Where(v => v.Outcome != RuleVerdict.BelowThreshold)
        .Concat(verdicts.Where(v => v.Outcome == RuleVerdict.BelowThreshold).OrderBy(v => v.Near!.Threshold - v.Near.Similarity).ThenBy(v => v.Rule.Rule.Id).Take(MostBelow));

    /// <summary>What the conditions of rules look at.</summary>
    internal static object Scope(TurnInput input) => new
    {
        text = input.Text,
        channel = input.Channel,
        turn = input.Turn,
        contact = TemplateData.Person(input.Contact),
        variables = input.Declared.Resolve(input.Variables),
        scenario = input.Place?.Scenario.Name,
        step = input.Place?.Step.Name,
    };

    /// <summary>All rules that it waits for have been decided.</summary>
    private static RuleVerdict Judge(TurnInput input, ReadyRule ready, Dictionary<Guid, ReadyRule> fired)
    {
        var rule = ready.Rule;
        return Missing(input, ready.Action) is { } missing ? new(ready, RuleVerdict.Unavailable, missing)
            : fired.Values.FirstOrDefault(other => other.Rule.Overrides.Contains(rule.Id)) is { } over ? Lost(ready, "overridden", over)
            : fired.Values.FirstOrDefault(other => other.Rule.Excludes.Contains(rule.Id) || rule.Excludes.Contains(other.Rule.Id)) is { } excluding ? Lost(ready, "excluded", excluding)
            : rule.Requires.Where(id => !fired.ContainsKey(id)).ToArray() is [var unmet, ..] ? new(ready, RuleVerdict.Unmet, "required", unmet, input.Rules.Names.GetValueOrDefault(unmet))
            : new(ready, RuleVerdict.Fired);
    }

    private static RuleVerdict Lost(ReadyRule ready, string reason, ReadyRule to) => new(ready, RuleVerdict.Lost, reason, to.Rule.Id, to.Rule.Name);

    private static string? Missing(TurnInput input, RuleAction action) => action switch
    {
        RuleAction.Do does when input.FindAction(does.Action) is null => $"the agent does not offer the action {does.Action}",
        RuleAction.Ask { OnYes: { } id } when input.FindAction(id) is null => $"the agent does not offer the action {id}",
        RuleAction.EnterScenario enter when !input.Scenarios.Any(s => s.Id == enter.ScenarioId && s.Enabled) => "the scenario is switched off or deleted",
        RuleAction.EnterScenario enter when input.Place?.Scenario.Id == enter.ScenarioId => "the talk is in the scenario",
        _ => null,
    };

    /// <summary>A talk goes on in one way: of the rules that ask, enter a scenario or hand over only the first does.</summary>
    private static List<RuleVerdict> OneWay(List<RuleVerdict> ranked)
    {
        var leads = ranked.Find(v => v.HasFired && Leads(v.Rule.Action));
        return ranked.ConvertAll(v => v != leads && v.HasFired && Leads(v.Rule.Action) ? Lost(v.Rule, "led_elsewhere", leads!.Rule) : v);
    }

    private static bool Leads(RuleAction action) => action is RuleAction.Ask or RuleAction.EnterScenario or RuleAction.HandOff;
}
