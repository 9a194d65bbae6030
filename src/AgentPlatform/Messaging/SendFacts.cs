using AgentPlatform.Channels;
using AgentPlatform.Contacts;
using AgentPlatform.Conversations;
using AgentPlatform.Kernel;
using AgentPlatform.Messaging.Pacing;
using AgentPlatform.Postgres;
using AgentPlatform.Resilience;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Messaging;

/// <summary>Gathers what a decision needs, and no more than that: a reply asks fewer questions than an unasked message.</summary>
internal sealed class SendFacts(
    ConversationLog conversations, ContactDirectory contacts, ChannelDirectory channels, Budgets budgets, CircuitBreaker circuits, IOptions<MessagingOptions> options, TimeProvider clock)
{
    /// <summary>Asked for together with the message, which nearly always still names them.</summary>
    internal async Task<Parties> PartiesAsync(Transaction tx, Guid conversationId, Guid contactId, CancellationToken ct)
    {
        var (conversation, contact) = (conversations.FindAsync(tx, conversationId, ct), contacts.FindAsync(tx, contactId, ct));
        return new(await conversation, await contact);
    }

    /// <param name="channelId">The channel that an attempt was made over: a further one goes the same way, or the provider that is asked about the first would know nothing of it.</param>
    internal async Task<Facts> LoadAsync(Transaction tx, QueuedMessage message, Parties parties, Guid? channelId, CancellationToken ct)
    {
        if (parties.Conversation?.Id != message.ConversationContextId || parties.Contact?.Id != message.ContactId)
        {
            tx.Gather();
            var asking = PartiesAsync(tx, message.ConversationContextId, message.ContactId, ct);
            await tx.AskAsync(ct);
            parties = await asking;
        }

        var (conversation, contact) = parties;
        var facts = new Facts(message, Json.Read<QueuedText>(message.MessageData), conversation, contact);
        if (conversation is null || contact is null)
        {
            return facts;
        }

        if (!facts.IsInternal)
        {
            tx.Gather();
            var optedOut = contacts.IsOptedOutAsync(tx, contact.Id, conversation.Channel, ct);
            var route = channelId is { } tried
                ? channels.FindAsync(tx, tried, ct)
                : channels.RouteAsync(tx, conversation.WebhookId, conversation.AgentId, conversation.Channel, ct);
            var thread = message.InReplyToInboundId is { } inbound ? channels.ThreadAsync(tx, inbound, ct) : Task.FromResult<ThreadPosition?>(null);
            var troubled = circuits.TroubledAsync(tx, ct);
            await tx.AskAsync(ct);
            facts = facts with { OptedOut = await optedOut, Route = await route, Thread = await thread, Troubled = await troubled };
        }

        return await WithPaceAsync(tx, facts with { QuietByDefault = options.Value.QuietWindow }, contact, ct);
    }

    private async Task<Facts> WithPaceAsync(Transaction tx, Facts facts, Contact contact, CancellationToken ct)
    {
        var message = facts.Message;
        if (message.RequiresFreshContext)
        {
            var context = await conversations.LoadAsync(tx, message.ConversationContextId, ct);
            facts = facts with { WroteSince = context.Messages.Any(m => m.Direction == "inbound" && m.CreatedAt > message.CreatedAt) };
        }

        if (!message.Proactive)
        {
            return facts;
        }

        // What was approved once has been counted.
        var today = QuietHours.Today(clock.GetUtcNow(), contact.Timezone);
        return facts with { Budget = message.Status == "approved" ? await budgets.LookAsync(tx, contact.Id, today, ct) : await budgets.LockAsync(tx, contact.Id, today, ct) };
    }
}

/// <summary>Null when they are gone.</summary>
internal sealed record Parties(Conversation? Conversation, Contact? Contact);
