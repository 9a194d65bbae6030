using System.Text.Json;
using AgentPlatform.Actions;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Brain.Rules;
using AgentPlatform.Contacts;
using AgentPlatform.Conversations;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Brain;

/// <summary>A turn and everything it happens in, loaded and locked by its transaction.</summary>
internal sealed record TurnScene(Conversation Conversation, ConversationSession Session, TurnInput Input, IReadOnlyList<Message> Messages, DateTimeOffset BeganAt, AgentBook Book)
{
    /// <summary>False where neither the conversation nor the contact had a request that the turn could go on with.</summary>
    internal bool HasRequests { get; init; } = true;

    internal IntentPlace Place(int sequence) =>
        new(Session.SessionId, Input.Contact.Id, Input.Agent.Id, Conversation.Id, Input.Turn, sequence, Input.Instance?.Id);
}

/// <summary>The contact as eligibility sees it.</summary>
internal static class Who
{
    internal static EligibilityContext Of(Contact contact, SessionState state) => new(
        Tiers(contact), contact.Verified, Json.Of(new { contact, context = state.ConversationContext }));

    private static string[] Tiers(Contact contact) =>
        [contact.Verified ? "verified" : "unverified", contact.StatusLevel, .. contact.Innovator ? new[] { "innovator" } : []];
}

/// <summary>An intent that its turn answered.</summary>
internal sealed record EndedIntent(string IntentId, string Type, string? Canonical, string Status);

/// <summary>Keeps the copies inside <c>sessions.state</c> equal to the tables they come from.</summary>
internal sealed class SessionMirror(IntentLedger ledger, ActionQueue queue, SessionStore sessions)
{
    private const int Intents = 20;

    /// <summary>Reads what this transaction has written; call it last.</summary>
    internal async Task<SessionState> RefreshAsync(Transaction tx, Guid sessionId, SessionState state, CancellationToken ct)
    {
        tx.Gather();
        var (intents, items) = (ledger.OfSessionAsync(tx, sessionId, Intents, ct), queue.OfSessionAsync(tx, sessionId, ct));
        await tx.AskAsync(ct);
        return state with
        {
            IntentLedger = [.. (await intents).Select(i => Entry(i.IntentId, i.IntentType, i.CanonicalIntent, i.Status, i.TurnNumber))],
            ActionQueue = Entries(await items),
        };
    }

    /// <summary>
    /// The same without a look, where this transaction has changed no request and no intent but those it <paramref name="ended"/>; null when an earlier
    /// intent is open and may have moved.
    /// </summary>
    internal static SessionState? Extend(SessionState state, int turn, IEnumerable<EndedIntent> ended, IReadOnlyList<QueuedAction> items) =>
        state.IntentLedger.Any(i => i.GetProperty("status").GetString() is not ("completed" or "failed" or "action_not_found" or "cancelled"))
            ? null
            : state with
            {
                IntentLedger =
                [
                    .. ended.OrderByDescending(i => i.IntentId, StringComparer.Ordinal).Select(i => Entry(i.IntentId, i.Type, i.Canonical, i.Status, turn))
                        .Concat(state.IntentLedger).Take(Intents),
                ],
                ActionQueue = Entries(items),
            };

    private static JsonElement Entry(string intentId, string intentType, string? canonicalIntent, string status, int turn) =>
        Json.Of(new { intentId, intentType, canonicalIntent, status, turn });

    private static JsonElement[] Entries(IReadOnlyList<QueuedAction> items) =>
        [.. items.Select(q => Json.Of(new { q.QueueId, q.ActionId, q.Status, q.Priority, q.ParamsMissing }))];

    /// <summary>The state now; an empty one when the session is over.</summary>
    internal async Task<SessionState> StateAsync(Transaction tx, Guid sessionId, CancellationToken ct) =>
        (await sessions.PeekAsync(tx, sessionId, ct))?.State ?? new SessionState();

    /// <summary>Changes the state of a session that may be over by now; then there is nothing to keep.</summary>
    internal async Task UpdateAsync(Transaction tx, Guid sessionId, Func<SessionState, SessionState> change, CancellationToken ct)
    {
        if (await sessions.TakeAsync(tx, sessionId, ct) is { } session)
        {
            sessions.Save(tx, session with { State = await RefreshAsync(tx, sessionId, change(session.State), ct) });
        }
    }
}

/// <summary>The parameter that a waiting request needs next, and the task that asks for it.</summary>
internal static class Waiting
{
    internal static (string Asked, string Text) Next(QueuedAction item, ActionDefinition action)
    {
        var errors = Requests.Flat(item.ParamsValidationErrors);
        if (errors.Count > 0)
        {
            var wrong = errors.First();
            return (wrong.Key, wrong.Value.GetString()!);
        }

        var name = item.Missing[0];
        return (name, Parameters.Prompt(action, name));
    }

    internal static ActiveTask Task(QueuedAction item, string asked) => new()
    {
        TaskId = item.Id,
        CanonicalAction = item.ActionId,
        ParamsCollected = Requests.Flat(item.ParamsCollected),
        ParamsMissing = item.Missing,
        Status = "collecting_params",
        More = new Dictionary<string, JsonElement>(StringComparer.Ordinal) { [TurnDecision.Asked] = Json.Of(asked) },
    };
}
