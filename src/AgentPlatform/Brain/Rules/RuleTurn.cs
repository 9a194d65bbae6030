using System.Text.Json;
using AgentPlatform.Actions.Execution;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Agents.Rules;
using AgentPlatform.Brain.Scenarios;
using AgentPlatform.Brain.Understanding;
using AgentPlatform.Contacts;
using AgentPlatform.Kernel;

namespace AgentPlatform.Brain.Rules;

/// <summary>
/// Pure: what the rules that fire make of a turn. One that says, asks, does, enters or hands over answers the message; those that only set variables
/// leave the answer to what comes after, which sees the new values.
/// </summary>
internal static class RuleTurn
{
    internal static Envelope Decide(TurnInput input, Func<TurnInput, Envelope> otherwise)
    {
        var verdicts = RuleDecision.Decide(input);
        if (verdicts.Count == 0)
        {
            return otherwise(input);
        }

        var fired = verdicts.Where(v => v.HasFired).Select(v => v.Rule).ToList();
        var now = fired.Aggregate(input, Set);
        var envelope = fired.Exists(rule => rule.Action is not RuleAction.SetVariable) ? Answer(now, fired) : otherwise(now);
        return envelope with { Rules = verdicts, Variables = now == input ? null : now.Variables };
    }

    private static TurnInput Set(TurnInput input, ReadyRule rule) => rule.Action is RuleAction.SetVariable set
        ? input with { Variables = input.Declared.Update(input.Variables, [KeyValuePair.Create(set.Name, Filled(set.Value, Data(input)))]) }
        : input;

    private static Envelope Answer(TurnInput input, List<ReadyRule> fired)
    {
        var data = Data(input);
        return fired.Aggregate(new Envelope(input.Role), (envelope, rule) => rule.Action switch
        {
            RuleAction.Say say => envelope with { Intents = [.. envelope.Intents, Said(rule, "text")], Say = [.. envelope.Say, Templates.Text(say.Text, data)] },
            RuleAction.Ask ask => Ask(input, envelope, rule, ask, data),
            RuleAction.Do does => Do(input, envelope, rule, does, data),
            RuleAction.EnterScenario enter => Enter(input, envelope, rule, enter),
            RuleAction.HandOff off => envelope with
            {
                Intents = [.. envelope.Intents, Said(rule, "text")],
                Say = [.. envelope.Say, off.Text is { } text ? Templates.Text(text, data) : "I am getting a colleague for you. Somebody will answer here."],
                Handoff = off.Reason ?? $"the rule \"{rule.Rule.Name}\"",
            },
            _ => envelope,
        });
    }

    private static Envelope Ask(TurnInput input, Envelope envelope, ReadyRule rule, RuleAction.Ask ask, JsonElement data)
    {
        var sheet = ask.OnYes is { } id ? Requests.ConfirmSheet(new OnYes(id, Values(input, input.FindAction(id)!, ask.Params, data), ActionMatch.Exact)) : null;
        return envelope with { Intents = [.. envelope.Intents, Said(rule, "question")], Ask = new Question(Templates.Text(ask.Text, data), sheet) };
    }

    /// <summary>Where requests are confirmed first, this one is too, unless something else is asked already.</summary>
    private static Envelope Do(TurnInput input, Envelope envelope, ReadyRule rule, RuleAction.Do does, JsonElement data)
    {
        var action = input.FindAction(does.Action)!;
        var values = Values(input, action, does.Params, data);
        var intent = new Intent("action", 1.00m) { Canonical = action.ActionId, MatchType = ActionMatch.Exact, Reasoning = $"rule {rule.Rule.Name}", Entities = Requests.Flat(values) };
        return input.RequireConfirmation
            ? envelope with
            {
                Intents = [.. envelope.Intents, intent with { Resolution = "confirmation asked", ResponseType = "question" }],
                Ask = envelope.Ask ?? new Question($"Shall I {Requests.Lower(action.Title)}?", Requests.ConfirmSheet(new OnYes(action.ActionId, values, ActionMatch.Exact))),
            }
            : envelope with { Intents = [.. envelope.Intents, intent], Do = [.. envelope.Do, new Step.Enqueue(envelope.Intents.Count, action, values)] };
    }

    private static Envelope Enter(TurnInput input, Envelope envelope, ReadyRule rule, RuleAction.EnterScenario enter)
    {
        var scenario = input.Scenarios.First(s => s.Id == enter.ScenarioId);
        var begun = ScenarioTurn.Begin(input, scenario, input.Text, Said(rule, "question") with { Canonical = scenario.Name, Reasoning = $"rule {rule.Rule.Name}", Resolution = "entered" });
        return begun with
        {
            Intents = [.. envelope.Intents, .. begun.Intents],
            Say = [.. envelope.Say, .. begun.Say],
            Do = [.. envelope.Do, .. begun.Do.Select(step => step with { Intent = step.Intent + envelope.Intents.Count })],
            Ask = begun.Ask ?? envelope.Ask,
        };
    }

    /// <summary>What the rule gives, over what was said and is known of the contact.</summary>
    private static JsonElement Values(TurnInput input, ActionDefinition action, JsonElement? given, JsonElement data) =>
        Parameters.Merge(action, Json.Of(Requests.ValuesOf(input, action, input.Text)), given is { ValueKind: JsonValueKind.Object } values ? Filled(values, data) : Parameters.None);

    private static JsonElement Filled(JsonElement template, JsonElement data) => Json.Of(Templates.Body(template, data));

    /// <summary>What rules' texts may use: the talk's variables, by name, and the contact.</summary>
    internal static JsonElement Data(TurnInput input)
    {
        var data = input.Declared.Resolve(input.Variables);
        data["contact"] = Json.Of(TemplateData.Person(input.Contact));
        return Json.Of(data);
    }

    private static Intent Said(ReadyRule rule, string responseType) =>
        new("rule", 1.00m) { Canonical = rule.Rule.Name, Reasoning = $"its {rule.Rule.ConditionKind} hold", Resolution = $"rule: {rule.Rule.ActionType}", ResponseType = responseType };
}
