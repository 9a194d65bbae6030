using AgentPlatform.Channels;
using AgentPlatform.Contacts;
using AgentPlatform.Conversations;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Resilience;

namespace AgentPlatform.Messaging;

/// <summary>Gathers what a decision needs, and no more than that: a reply asks fewer questions than an unasked message.</summary>
internal sealed class SendFacts(ConversationLog conversations, ContactDirectory contacts, ChannelDirectory channels, Budgets budgets, CircuitBreaker circuits, TimeProvider clock)
{
    internal async Task<Facts> LoadAsync(Transaction tx, QueuedMessage message, CancellationToken ct)
    {
        tx.Gather();
        var (thread, person) = (conversations.FindAsync(tx, message.ConversationContextId, ct), contacts.FindAsync(tx, message.ContactId, ct));
        await tx.AskAsync(ct);
        var (conversation, contact) = (await thread, await person);
        var facts = new Facts(message, Json.Read<QueuedText>(message.MessageData), conversation, contact);
        if (conversation is null || contact is null)
        {
            return facts;
        }

        if (!facts.IsInternal)
        {
            tx.Gather();
            var optedOut = contacts.IsOptedOutAsync(tx, contact.Id, conversation.Channel, ct);
            var route = channels.RouteAsync(tx, conversation.WebhookId, conversation.AgentId, conversation.Channel, ct);
            var troubled = circuits.TroubledAsync(tx, ct);
            await tx.AskAsync(ct);
            facts = facts with { OptedOut = await optedOut, Route = await route, Troubled = await troubled };
        }

        // What was approved once has been counted and found fresh.
        return message.Status == "approved" ? facts : await WithPaceAsync(tx, facts, contact, ct);
    }

    private async Task<Facts> WithPaceAsync(Transaction tx, Facts facts, Contact contact, CancellationToken ct)
    {
        var message = facts.Message;
        if (message.RequiresFreshContext)
        {
            var context = await conversations.LoadAsync(tx, message.ConversationContextId, ct);
            facts = facts with { WroteSince = context.Messages.Any(m => m.Direction == "inbound" && m.CreatedAt > message.CreatedAt) };
        }

        return message.Proactive
            ? facts with { Budget = await budgets.LockAsync(tx, contact.Id, QuietHours.Today(clock.GetUtcNow(), contact.Timezone), ct) }
            : facts;
    }
}
