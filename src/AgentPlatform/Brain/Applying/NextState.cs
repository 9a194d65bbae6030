using System.Text.Json;
using AgentPlatform.Brain.Understanding;
using AgentPlatform.Conversations;
using AgentPlatform.Kernel;

namespace AgentPlatform.Brain.Applying;

/// <summary>Pure: the session's state after a turn, but for the copies of tables, which are read back from them.</summary>
internal static class NextState
{
    internal static SessionState Of(TurnInput input, Envelope envelope, IReadOnlyList<string> intents, ActiveTask? task, bool asks, DateTimeOffset now, int remembered)
    {
        var before = input.State;
        var sheet = Sheet(before.AnswerSheet, envelope, asks);
        return before with
        {
            ExpectingResponse = asks,
            AnswerSheet = sheet,
            AvailableSignals = Signals.Available(sheet),
            ActiveTask = task,
            More = Resume(before.More, asks ? null : envelope.Resume),
            PreviousIntents = [.. before.PreviousIntents.Concat(envelope.Intents.Select(i => Previous(i, input.Turn))).TakeLast(remembered)],
            ConversationContext = Context(input, envelope, task),
            StreamingUpdates = [.. envelope.Intents.SelectMany((intent, i) => Updates(intent, intents[i], now))],
        };
    }

    /// <summary>The scenario's question that waits for an action to end; null when nothing does.</summary>
    internal static string? Resume(SessionState state) => state.More is { } more && more.TryGetValue("resume", out var prompt) ? prompt.GetString() : null;

    private static Dictionary<string, JsonElement>? Resume(IDictionary<string, JsonElement>? before, string? prompt)
    {
        var more = new Dictionary<string, JsonElement>(before ?? new Dictionary<string, JsonElement>(StringComparer.Ordinal), StringComparer.Ordinal);
        more.Remove("resume");
        if (prompt is not null)
        {
            more["resume"] = Json.Of(prompt);
        }

        return more;
    }

    /// <summary>An open question makes an older list of options meaningless; small talk does not.</summary>
    private static AnswerSheet? Sheet(AnswerSheet? before, Envelope envelope, bool asks) =>
        envelope.Ask?.Sheet ?? (asks || before?.Type != "choice" ? null : before);

    private static PreviousIntent Previous(Intent intent, int turn) =>
        new() { IntentType = intent.Type, CanonicalAction = intent.Canonical, Confidence = (double)intent.Confidence, Turn = turn };

    private static TalkContext Context(TurnInput input, Envelope envelope, ActiveTask? task)
    {
        var context = input.State.ConversationContext;
        var action = envelope.Do.OfType<Step.Enqueue>().LastOrDefault()?.Action;
        var more = new Dictionary<string, JsonElement>(context.More ?? new Dictionary<string, JsonElement>(StringComparer.Ordinal), StringComparer.Ordinal);
        if (envelope.Remember.OfType<Memory.Selected>().LastOrDefault() is { } selected)
        {
            more["selected"] = selected.Item;
        }

        return context with
        {
            Domain = action?.Category ?? context.Domain,
            UserState = task is { CanonicalAction: Onboarding.ActionId } ? "onboarding" : task is not null ? "collecting_params" : action is not null ? "waiting_for_action" : "browsing",
            More = more,
        };
    }

    private static IEnumerable<StreamingUpdate> Updates(Intent intent, string intentId, DateTimeOffset now)
    {
        if (intent.MatchType is { } match)
        {
            yield return new() { UpdateType = "action_lookup", Status = match == ActionMatch.NotFound ? "not_found" : "found", Timestamp = now };
        }

        yield return new() { UpdateType = "intent_logged", IntentId = intentId, Timestamp = now };
    }
}
