using System.Text.Json;
using AgentPlatform.Brain.Rules;
using AgentPlatform.Kernel;

namespace AgentPlatform.Brain.Shadows;

/// <summary>What was understood, and how.</summary>
public sealed record OutlinedIntent(string Type, string? Canonical, string? MatchType, decimal Confidence, string? Reasoning);

/// <summary>What a turn decided, as far as it can be told before anything is done: two of them can be laid beside each other.</summary>
/// <param name="Reply">The words, with the question, without what actions add when they run or are blocked.</param>
/// <param name="Actions">In their order, each with its parameters or values.</param>
/// <param name="Rules">What became of the rules.</param>
/// <param name="Scenario">Where the scenario went; null when it stayed where it was.</param>
/// <param name="Handoff">Why a person takes over; null when none does.</param>
public sealed record Outline(
    IReadOnlyList<OutlinedIntent> Intents, string Reply, IReadOnlyList<JsonElement> Actions, IReadOnlyList<JsonElement> Rules, JsonElement? Scenario, string? Handoff)
{
    internal static Outline Of(TurnInput input, Envelope decided)
    {
        var envelope = Wording.FallBack(input, decided);
        var said = string.Join('\n', envelope.Say.Append(envelope.Ask?.Text ?? envelope.Resume).Where(part => !string.IsNullOrWhiteSpace(part)));
        return new(
            [.. envelope.Intents.Select(intent => new OutlinedIntent(intent.Type, intent.Canonical, intent.MatchType, intent.Confidence, intent.Reasoning))],
            Wording.Of(input, envelope, said).Text,
            [.. envelope.Do.Select(Action)],
            [.. envelope.Rules.Select(verdict => Json.Of(verdict.Record))],
            envelope.Scenario is { } move ? Json.Of(move.Record) : null,
            envelope.Handoff);
    }

    /// <summary>The kinds in which they differ. How sure an intent was and why a rule did not fire is told, and makes no difference by itself.</summary>
    internal static string[] Differences(Outline live, Outline candidate)
    {
        (string Kind, object Live, object Candidate)[] kinds =
        [
            ("intents", live.Intents.Select(Meaning), candidate.Intents.Select(Meaning)),
            ("actions", live.Actions, candidate.Actions),
            ("reply", live.Reply, candidate.Reply),
            ("rules", live.Rules.Where(HasFired).Select(Name), candidate.Rules.Where(HasFired).Select(Name)),
            ("scenario", new { live.Scenario }, new { candidate.Scenario }),
            ("handoff", live.Handoff is null, candidate.Handoff is null),
        ];
        return [.. kinds.Where(kind => !JsonElement.DeepEquals(Json.Of(kind.Live), Json.Of(kind.Candidate))).Select(kind => kind.Kind)];
    }

    private static JsonElement Action(Step step) => step switch
    {
        Step.Enqueue enqueue => Json.Of(new { kind = "do", action = enqueue.Action.ActionId, @params = enqueue.Params }),
        Step.Supply supply => Json.Of(new { kind = "supply", request = supply.QueuedId, values = supply.Values }),
        Step.Cancel cancel => Json.Of(new { kind = "cancel", request = cancel.QueuedId }),
        Step.OpenTask => Json.Of(new { kind = "task" }),
        _ => throw new InvalidOperationException($"{step.GetType().Name} is no step."),
    };

    private static object Meaning(OutlinedIntent intent) => new { intent.Type, intent.Canonical };

    private static bool HasFired(JsonElement rule) => rule.GetProperty("outcome").GetString() == RuleVerdict.Fired;

    private static string? Name(JsonElement rule) => rule.GetProperty("name").GetString();
}
