using System.Text.Json;
using AgentPlatform.Actions;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Brain.Rules;
using AgentPlatform.Contacts;
using AgentPlatform.Conversations;
using AgentPlatform.Kernel;
using AgentPlatform.Messaging;
using AgentPlatform.Postgres;
using AgentPlatform.Schemas;

namespace AgentPlatform.Brain.Feedback;

/// <summary>
/// What an answer of the tenant's own system means for the talk: the session learns of it, and the contact's blocked requests are decided anew. What
/// became of them is said at once, so that nobody has to write again to hear it; those that run now tell it themselves at their end.
/// </summary>
internal sealed class SchemaFeedback(
    ContactDirectory contacts, ConversationLog conversations, SessionMirror mirror, ActionQueue queue, ActionRegistry registry, AgentBooks books, Outbox outbox) : ISchemaListener
{
    public async Task ReadAsync(Transaction tx, SchemaRead read, CancellationToken ct)
    {
        var moved = await queue.HasBlockedAsync(tx, read.ContactId, ct) && await contacts.FindAsync(tx, read.ContactId, ct) is { } contact
            ? await queue.ReevaluateAsync(tx, read.ContactId, Who.Of(contact, await mirror.StateAsync(tx, read.SessionId, ct)), ct)
            : [];
        var own = moved.Where(item => item.SessionId == read.SessionId).ToArray();
        var asking = own.FirstOrDefault(item => item.Status == QueueStatus.Pending) is { } pending && await registry.FindAsync(tx, pending.AgentId, pending.ActionId, ct) is { } action
            ? (Item: pending, Next: Waiting.Next(pending, action))
            : default;
        var asks = false;
        await mirror.UpdateAsync(tx, read.SessionId, state =>
        {
            var next = state with { SchemaStates = After(state.SchemaStates, read) };
            // Another question is open: the turn that answers it asks this one.
            asks = asking.Item is not null && state.ActiveTask is null;
            return asks ? next with { ActiveTask = Waiting.Task(asking.Item!, asking.Next.Asked), ExpectingResponse = true } : next;
        }, ct);
        var said = own.Where(item => item.Status == QueueStatus.Blocked && !IsAwaitingApproval(item)).Select(item => JsonPath.Find(item.BlockerDetails!.Value, "say")?.GetString())
            .Append(asks ? asking.Next.Text : null).OfType<string>().ToArray();
        await SayAsync(tx, read, said, ct);
    }

    private static bool IsAwaitingApproval(QueuedAction item) => item.BlockerReason == Actions.Approvals.ApprovalPolicy.Awaiting;

    /// <summary>Pure: the session's copy of the state.</summary>
    private static Dictionary<string, SchemaState> After(IReadOnlyDictionary<string, SchemaState> before, SchemaRead read)
    {
        var states = new Dictionary<string, SchemaState>(before, StringComparer.Ordinal);
        states.Remove(read.SchemaId);
        if (read.State is { Serves: true } state)
        {
            states[read.SchemaId] = new SchemaState
            {
                SchemaId = read.SchemaId,
                SchemaStatus = state.SchemaStatus,
                CacheExpiresAt = state.CacheExpiresAt,
                Keys = Json.Read<Dictionary<string, JsonElement>>(state.Keys).ToDictionary(
                    key => key.Key, key => new SchemaKey(key.Value.GetProperty("status").GetString()!, JsonPath.Find(key.Value, "value")), StringComparer.Ordinal),
            };
        }

        return states;
    }

    private async Task SayAsync(Transaction tx, SchemaRead read, string[] said, CancellationToken ct)
    {
        if (said.Length > 0 && await conversations.FindAsync(tx, read.ConversationId, ct) is { BotMayReply: true, AgentId: { } agentId }
            && await contacts.FindAsync(tx, read.ContactId, ct) is { } contact)
        {
            var role = Persona.Of(contact, (await books.OfAgentAsync(tx, agentId, ct)).Actions);
            outbox.Queue(tx, new OutgoingMessage(contact.Id, read.ConversationId, role, string.Join('\n', said)) { Priority = "high" });
        }
    }
}
