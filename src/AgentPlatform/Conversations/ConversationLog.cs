using AgentPlatform.Contacts;
using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Conversations;

/// <summary>The threads and what was said in them. Every method joins the caller's transaction.</summary>
public sealed class ConversationLog(ContactDirectory contacts, EventStore events, TimeProvider clock)
{
    /// <summary>The agent's window on the messages.</summary>
    public const int HistoryWindow = 20;

    /// <summary>
    /// The living conversation (active or paused) of contact, channel, participant and agent, or a new active one. Its row stays
    /// locked until the transaction ends: messages of one conversation are stored one after the other.
    /// </summary>
    public Task<Conversation> OpenAsync(Transaction tx, OpenConversation request, CancellationToken ct)
    {
        var phone = request.Channel == ChannelAddress.Sms ? request.Participant : null;
        return tx.SingleAsync<Conversation>(
            Sql.Open, [clock.NewId(), request.ContactId, request.AgentId, request.Channel, request.Participant, phone, request.WebhookId, clock.GetUtcNow()],
            ct);
    }

    /// <summary>
    /// The same for many in one statement: the living conversations, in no order. Of two requests for the same conversation the first counts.
    /// </summary>
    public Task<IReadOnlyList<OpenedConversation>> OpenManyAsync(Transaction tx, IReadOnlyCollection<OpenConversation> requests, CancellationToken ct)
    {
        OpenConversation[] wanted = [.. requests.DistinctBy(r => (r.ContactId, r.AgentId, r.Channel, r.Participant)).OrderBy(r => r.ContactId)];
        return tx.QueryAsync<OpenedConversation>(
            Sql.OpenMany,
            [
                wanted.Select(_ => clock.NewId()).ToArray(), wanted.Select(r => r.ContactId).ToArray(), wanted.Select(r => r.AgentId).ToArray(),
                wanted.Select(r => r.Channel).ToArray(), wanted.Select(r => r.Participant).ToArray(), wanted.Select(r => r.WebhookId).ToArray(), clock.GetUtcNow(),
            ],
            ct);
    }

    /// <summary>From now on the conversation is this member's alone, unless it is private to another already.</summary>
    public void KeepFor(Transaction tx, Guid conversationId, Guid userId) => tx.Post(Sql.KeepFor, conversationId, userId);

    public Task<Conversation?> FindAsync(Transaction tx, Guid id, CancellationToken ct) => tx.FindAsync<Conversation>(Sql.Find, [id], ct);

    /// <summary>Stores a message; triggers keep the conversation's counters and ask for a summary every fiftieth time.</summary>
    public void Append(Transaction tx, NewMessage message)
    {
        var at = (message.CreatedAt ?? clock.GetUtcNow()).ToUniversalTime();
        tx.Post(
            Sql.Append, message.Id, message.ConversationId, message.ContactId, message.SessionId, message.TurnNumber, message.Role, message.Direction,
            message.Content, Json.Param(message.Attachments ?? Json.Of(Array.Empty<object>())), message.Status, message.InboundMessageId, message.AuthorUserId,
            at, message.DeliveredAt?.ToUniversalTime());
        if (message is { Direction: "inbound", ContactId: { } contact })
        {
            contacts.RecordActivity(tx, contact, at);
        }
    }

    /// <summary>Summary, messages after it, contact and priorities, for an agent about to answer.</summary>
    /// <exception cref="InvalidOperationException">There is no such conversation.</exception>
    public async Task<ConversationContext> LoadAsync(Transaction tx, Guid conversationId, CancellationToken ct)
    {
        var conversation = await FindAsync(tx, conversationId, ct) ?? throw new InvalidOperationException($"There is no conversation {conversationId}.");
        var messages = await tx.QueryAsync<Message>(Sql.Window, [conversationId, conversation.LastSummaryMessageId ?? Guid.Empty, HistoryWindow], ct);
        if (conversation.ContactId is not { } contactId)
        {
            return new(conversation, conversation.ConversationSummary, messages, null, []);
        }

        var contact = await contacts.FindAsync(tx, contactId, ct);
        var priorities = await contacts.TopPrioritiesAsync(tx, contactId, ct);
        return new(conversation, conversation.ConversationSummary, messages, contact, priorities);
    }

    /// <summary>The latest messages, newest first, whether summarised or not.</summary>
    public Task<IReadOnlyList<Message>> LatestAsync(Transaction tx, Guid conversationId, int count, CancellationToken ct) =>
        tx.QueryAsync<Message>(Sql.Window, [conversationId, Guid.Empty, count], ct);

    /// <summary>Moves a message forward (see <see cref="Delivery"/>); false when it is there or further already, or unknown.</summary>
    public async Task<bool> UpdateDeliveryAsync(Transaction tx, Guid messageId, DeliveryUpdate update, CancellationToken ct) =>
        await tx.ExecuteAsync(
            Sql.UpdateDelivery,
            [messageId, update.Status, update.At.ToUniversalTime(), update.ProviderMessageId, update.ErrorCode, update.ErrorMessage],
            ct) == 1;

    /// <summary>The message with the provider's id, for a status callback that carries nothing else.</summary>
    public Task<Message?> FindByProviderIdAsync(Transaction tx, string providerMessageId, CancellationToken ct) =>
        tx.FindAsync<Message>(Sql.FindByProviderId, [providerMessageId], ct);

    /// <summary>What the contact said from that message on and no turn has read yet, oldest first.</summary>
    public Task<IReadOnlyList<Message>> UnreadAsync(Transaction tx, Guid conversationId, Guid fromMessageId, CancellationToken ct) =>
        tx.QueryAsync<Message>(Sql.Unread, [conversationId, fromMessageId], ct);

    /// <summary>The bot steps back and a human is to answer. False when that is so already, or the conversation is over.</summary>
    public async Task<bool> HandOverAsync(Transaction tx, Guid conversationId, string reason, CancellationToken ct)
    {
        if (await tx.ExecuteAsync(Sql.HandOver, [conversationId], ct) == 0)
        {
            return false;
        }

        events.Append(tx, new NewEvent("conversation.status_changed", "conversation", conversationId, new { handled_by = "human", reason }));
        return true;
    }

    /// <summary>Links what a turn has read or said to the turn: the number that its intents carry too.</summary>
    public void SetTurn(Transaction tx, Guid sessionId, int turnNumber, params Guid[] messageIds) => tx.Post(Sql.SetTurn, messageIds, sessionId, turnNumber);

    /// <summary>Keeps a fact about the conversation in its context memory, under a name.</summary>
    public void Remember(Transaction tx, Guid conversationId, string name, object? value) =>
        tx.Post(Sql.Remember, conversationId, name, Json.Param(value ?? new object()));

    private static class Sql
    {
        // One that is there is locked, and written only to learn by which of the tenant's channels the contact wrote last: a new version of the row
        // is a line in each of its indexes.
        internal const string Open =
            """
            WITH found AS (
                SELECT c.id, c.conversation_uuid, c.contact_id, c.agent_id, c.user_id, c.shared, c.webhook_id, c.channel, c.participant_identifier,
                       c.phone_number, c.status, c.handled_by, c.assigned_user_id, c.title, c.topic, c.data, c.conversation_summary, c.last_summary_message_id,
                       c.messages_since_summary, c.context_memory, c.ai_personality, c.auto_create_tasks, c.require_confirmation, c.message_count,
                       c.tasks_created, c.last_message_at, c.started_at, c.resolved_at, c.changed_at, c.created_at, c.updated_at
                FROM conversations.conversations c
                WHERE c.tenant_id = kernel.current_tenant_id() AND c.contact_id = $2 AND c.agent_id = $3 AND c.channel = $4 AND c.participant_identifier = $5
                  AND c.status IN ('active', 'paused') AND ($7::uuid IS NULL OR c.webhook_id = $7)
                FOR NO KEY UPDATE
            ), opened AS (
                INSERT INTO conversations.conversations AS c
                    (tenant_id, id, contact_id, agent_id, channel, participant_identifier, phone_number, webhook_id, started_at)
                SELECT kernel.current_tenant_id(), $1, $2, $3, $4, $5, $6, $7, $8 WHERE NOT EXISTS (SELECT FROM found)
                ON CONFLICT (tenant_id, contact_id, channel, participant_identifier, agent_id) WHERE status IN ('active', 'paused')
                DO UPDATE SET webhook_id = coalesce(excluded.webhook_id, c.webhook_id)
                RETURNING c.id, c.conversation_uuid, c.contact_id, c.agent_id, c.user_id, c.shared, c.webhook_id, c.channel, c.participant_identifier,
                          c.phone_number, c.status, c.handled_by, c.assigned_user_id, c.title, c.topic, c.data, c.conversation_summary, c.last_summary_message_id,
                          c.messages_since_summary, c.context_memory, c.ai_personality, c.auto_create_tasks, c.require_confirmation, c.message_count,
                          c.tasks_created, c.last_message_at, c.started_at, c.resolved_at, c.changed_at, c.created_at, c.updated_at
            )
            SELECT * FROM found UNION ALL SELECT * FROM opened
            """;

        // One that is there is written too, so that it is locked and told: these are few, and not in anybody's way.
        internal const string OpenMany =
            """
            INSERT INTO conversations.conversations AS c (tenant_id, id, contact_id, agent_id, channel, participant_identifier, phone_number, webhook_id, started_at)
            SELECT kernel.current_tenant_id(), n.id, n.contact_id, n.agent_id, n.channel, n.participant, CASE WHEN n.channel = 'sms' THEN n.participant END, n.webhook_id, $7
            FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::uuid[]) WITH ORDINALITY AS n (id, contact_id, agent_id, channel, participant, webhook_id, place)
            ORDER BY n.place
            ON CONFLICT (tenant_id, contact_id, channel, participant_identifier, agent_id) WHERE status IN ('active', 'paused')
            DO UPDATE SET webhook_id = coalesce(c.webhook_id, excluded.webhook_id)
            RETURNING c.id, c.contact_id, c.channel, c.status, c.handled_by
            """;

        internal const string KeepFor = "UPDATE conversations.conversations SET shared = false, user_id = $2 WHERE id = $1 AND shared";

        internal const string Find =
            """
            SELECT id, conversation_uuid, contact_id, agent_id, user_id, shared, webhook_id, channel, participant_identifier, phone_number, status, handled_by,
                   assigned_user_id, title, topic, data, conversation_summary, last_summary_message_id, messages_since_summary, context_memory, ai_personality,
                   auto_create_tasks, require_confirmation, message_count, tasks_created, last_message_at, started_at, resolved_at, changed_at, created_at,
                   updated_at
            FROM conversations.conversations WHERE id = $1
            """;

        internal const string Append =
            """
            INSERT INTO conversations.messages
                (tenant_id, id, conversation_id, contact_id, session_id, turn_number, role, direction, content, attachments, status, inbound_message_id,
                 author_user_id, created_at, sent_at, delivered_at)
            VALUES (kernel.current_tenant_id(), $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $14)
            """;

        internal const string Window =
            """
            SELECT id, conversation_id, contact_id, session_id, turn_number, role, direction, content, attachments, status, twilio_message_sid,
                   inbound_message_id, author_user_id, error_code, error_message, created_at, sent_at, delivered_at, failed_at
            FROM conversations.messages WHERE conversation_id = $1 AND id > $2 ORDER BY created_at DESC, id DESC LIMIT $3
            """;

        internal const string HandOver =
            "UPDATE conversations.conversations SET handled_by = 'human', changed_at = clock_timestamp() WHERE id = $1 AND handled_by = 'bot' AND status IN ('active', 'paused')";

        internal const string Unread =
            """
            SELECT * FROM conversations.messages
            WHERE conversation_id = $1 AND id >= $2 AND direction = 'inbound' AND turn_number IS NULL
            ORDER BY created_at, id
            """;

        internal const string UpdateDelivery =
            """
            UPDATE conversations.messages
            SET status = $2,
                twilio_message_sid = coalesce($4, twilio_message_sid),
                sent_at = CASE WHEN $2 IN ('sent', 'delivered') THEN coalesce(sent_at, $3) ELSE sent_at END,
                delivered_at = CASE WHEN $2 = 'delivered' THEN $3 END,
                failed_at = CASE WHEN $2 = 'failed' THEN $3 END,
                error_code = CASE WHEN $2 = 'failed' THEN $5 END,
                error_message = CASE WHEN $2 = 'failed' THEN $6 END
            WHERE id = $1 AND direction = 'outbound' AND conversations.delivery_rank($2) > conversations.delivery_rank(status)
            """;

        internal const string FindByProviderId =
            """
            SELECT id, conversation_id, contact_id, session_id, turn_number, role, direction, content, attachments, status, twilio_message_sid,
                   inbound_message_id, author_user_id, error_code, error_message, created_at, sent_at, delivered_at, failed_at
            FROM conversations.messages WHERE twilio_message_sid = $1 ORDER BY id DESC LIMIT 1
            """;

        internal const string SetTurn = "UPDATE conversations.messages SET session_id = $2, turn_number = $3 WHERE id = ANY ($1)";

        internal const string Remember =
            "UPDATE conversations.conversations SET context_memory = context_memory || jsonb_build_object($2::text, $3::jsonb) WHERE id = $1";
    }
}
