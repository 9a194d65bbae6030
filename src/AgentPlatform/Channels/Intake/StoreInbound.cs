using AgentPlatform.Contacts;
using AgentPlatform.Conversations;
using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Work;

namespace AgentPlatform.Channels.Intake;

/// <summary>The channel a message came over, as far as its place depends on it.</summary>
internal sealed record InboundSource(Guid Id, Guid AgentId, string ChannelType)
{
    /// <summary>How the sender is known to Contacts.</summary>
    internal ChannelAddress Address(string sender) => new(ChannelTypes.Identity(ChannelType), sender);
}

/// <summary>A message that is to be stored, under the id its sender may have been told.</summary>
internal sealed record Arrival(Guid Id, InboundEnvelope Message, LoggedCall Call, DateTimeOffset ReceivedAt)
{
    /// <summary>The trace of the delivery, for those who store it later.</summary>
    internal string? TraceParent { get; init; }
}

/// <summary>Who wrote, and the message it answers; null for what is not known yet.</summary>
internal sealed record KnownSender(Contact? Contact, Guid? ParentId);

/// <summary>Puts an admitted message in its place: with its contact and conversation, the event, and the turn that will answer it.</summary>
internal sealed class StoreInbound(ContactDirectory contacts, ConversationLog conversations, EventStore events, WorkQueue work, TimeProvider clock)
{
    /// <summary>To be gathered, with whatever else the caller asks before it stores the message.</summary>
    internal async Task<KnownSender> KnownAsync(Transaction tx, InboundSource source, InboundEnvelope message, CancellationToken ct)
    {
        var contact = contacts.FindByAddressAsync(tx, source.Address(message.Sender), ct);
        var parent = message.InReplyTo.Count > 0
            ? tx.FindAsync<Guid?>(Sql.Parent, [tx.TenantId, source.Id, message.InReplyTo.ToArray()], ct)
            : Task.FromResult<Guid?>(null);
        return new KnownSender(await contact, await parent);
    }

    /// <summary>All in the caller's transaction; what needs no answer travels with its commit.</summary>
    internal async Task StoreAsync(Transaction tx, InboundSource source, Arrival arrival, KnownSender known, CancellationToken ct)
    {
        var address = source.Address(arrival.Message.Sender);
        var contact = known.Contact ?? await contacts.CreateAsync(tx, address, arrival.Message.SenderName, ct);
        var conversation = await conversations.OpenAsync(tx, new OpenConversation(contact.Id, source.AgentId, address.Channel, address.Address, source.Id), ct);
        Post(tx, source, arrival, new Place(contact.Id, conversation.Id, clock.NewId(), known.ParentId));
        WebhookLog.PostInbound(tx, clock.NewId(), source.Id, arrival.Id, "message.received", arrival.Call, arrival.Message.RawPayload);
    }

    private void Post(Transaction tx, InboundSource source, Arrival arrival, Place place)
    {
        var message = arrival.Message;
        PostInbound(tx, source, arrival, place);
        conversations.Append(tx, new NewMessage(place.MessageId, place.ConversationId, place.ContactId, "user", "inbound", message.Content) { InboundMessageId = arrival.Id });
        events.Append(tx, new NewEvent("message.received", "conversation", place.ConversationId, new
        {
            inbound_message_id = arrival.Id,
            message_id = place.MessageId,
            contact_id = place.ContactId,
            channel = source.ChannelType,
            content = message.Content,
        }));
        if (message.IgnoredBecause is null)
        {
            EnqueueTurn(tx, source, arrival.Id, place);
        }

        ChannelTraffic.Received(tx, source.Id, arrival.Id, arrival.ReceivedAt);
    }

    private void EnqueueTurn(Transaction tx, InboundSource source, Guid id, Place place) =>
        work.Enqueue(tx, new NewWork("conversation.turn", id.ToString(), new
        {
            inbound_message_id = id,
            message_id = place.MessageId,
            conversation_id = place.ConversationId,
            contact_id = place.ContactId,
            agent_id = source.AgentId,
        })
        { SerialKey = $"conversation:{place.ConversationId}", Priority = 10 });

    private void PostInbound(Transaction tx, InboundSource source, Arrival arrival, Place place)
    {
        var message = arrival.Message;
        var files = message.Attachments.Select(a => (Id: a.Content is null ? (Guid?)null : clock.NewId(), File: a)).ToList();
        var references = files.Select(f => new { id = f.Id, file_name = f.File.FileName, content_type = f.File.ContentType, url = f.File.Url, size = f.File.Content?.Length, content_id = f.File.ContentId });
        tx.Post(
            Sql.Insert,
            tx.TenantId, arrival.Id, source.Id, source.AgentId, place.ContactId, message.ExternalId, message.Sender, message.SenderName, message.MessageType,
            message.Content, Json.Param(message.Parsed), files.Count > 0, Json.Param(references), place.ConversationId,
            place.ParentId is not null || message.InReplyTo.Count > 0, place.ParentId, Json.Param(message.RawPayload), Json.Param(message.ProviderMetadata),
            arrival.ReceivedAt.ToUniversalTime(), message.IgnoredBecause is null ? "received" : "ignored", message.IgnoredBecause);
        foreach (var (fileId, file) in files.Where(f => f.Id is not null))
        {
            tx.Post(Sql.InsertFile, tx.TenantId, fileId, arrival.Id, file.FileName, file.ContentType, file.ContentId, file.Content);
        }
    }

    private sealed record Place(Guid ContactId, Guid ConversationId, Guid MessageId, Guid? ParentId);

    private static class Sql
    {
        internal const string Parent =
            """
            SELECT id FROM channels.inbound_messages WHERE tenant_id = $1 AND webhook_id = $2 AND external_message_id = ANY ($3)
            UNION ALL
            SELECT inbound_message_id FROM channels.outbound_messages
            WHERE tenant_id = $1 AND webhook_id = $2 AND external_message_id = ANY ($3) AND inbound_message_id IS NOT NULL
            ORDER BY id DESC LIMIT 1
            """;

        internal const string Insert =
            """
            INSERT INTO channels.inbound_messages (
                tenant_id, id, webhook_id, agent_id, contact_id, external_message_id, sender_identifier, sender_name, message_type,
                content, content_parsed, has_attachments, attachments, conversation_id,
                is_part_of_thread, parent_message_id, raw_payload, provider_metadata, received_at,
                processing_status, processing_error, processed_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19,
                    $20, $21, CASE WHEN $20 = 'ignored' THEN $19::timestamptz END)
            """;

        internal const string InsertFile =
            """
            INSERT INTO channels.inbound_attachments (tenant_id, id, inbound_message_id, file_name, content_type, content_id, content)
            VALUES ($1, $2, $3, $4, $5, $6, $7)
            """;
    }
}
