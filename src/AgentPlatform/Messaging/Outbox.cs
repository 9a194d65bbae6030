using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Work;

namespace AgentPlatform.Messaging;

/// <summary>
/// Something an agent, an operator or the platform wants to say. <c>AgentRole</c> is the role of the conversation's line: bouncer,
/// concierge, innovator, agent, human or system.
/// </summary>
public sealed record OutgoingMessage(Guid ContactId, Guid ConversationId, string AgentRole, string Text)
{
    /// <summary>The inbound message this answers: replies keep its thread.</summary>
    public Guid? InReplyToInboundId { get; init; }

    /// <summary>Not an answer to anything: subject to the person's budget and quiet hours.</summary>
    public bool Proactive { get; init; }

    /// <summary>critical, urgent, high, medium or low.</summary>
    public string Priority { get; init; } = "medium";

    /// <summary>Not before then; at once when null.</summary>
    public DateTimeOffset? ScheduledFor { get; init; }

    /// <summary>Only worth saying if the person has not written since.</summary>
    public bool RequiresFreshContext { get; init; }

    /// <summary>Replaces every message of the conversation with the same key that has not left yet.</summary>
    public string? SupersedeKey { get; init; }

    /// <summary>The id it is queued under, for those who want to hear of it; a new one when null.</summary>
    public Guid? QueueId { get; init; }

    /// <summary>The same key is queued once, however often it is said.</summary>
    public string? IdempotencyKey { get; init; }

    /// <summary>The subject, if it leaves as an e-mail that starts a thread.</summary>
    public string? Subject { get; init; }

    /// <summary>The operator who wrote it, for role <c>human</c>.</summary>
    public Guid? AuthorUserId { get; init; }

    /// <summary>The agency's task that this tells of.</summary>
    public Guid? TaskId { get; init; }

    /// <summary>The one confirmation that may follow an opt-out, and the answer to HELP.</summary>
    public bool EvenIfOptedOut { get; init; }
}

/// <summary>Takes what is to be said, in the caller's transaction. Nothing leaves the platform by another way.</summary>
public sealed class Outbox(WorkQueue work, EventStore events, TimeProvider clock)
{
    /// <summary>Travels with the caller's next round trip; the message is decided on right after the commit.</summary>
    public void Queue(Transaction tx, OutgoingMessage message)
    {
        var (now, row) = (clock.GetUtcNow(), Row(message));
        tx.Post(
            Sql.Queue,
            tx.TenantId, row.Id, message.ContactId, message.AgentRole, message.ConversationId, message.InReplyToInboundId, Json.Param(row.Data), row.Due, message.Priority,
            message.Proactive, message.SupersedeKey, message.RequiresFreshContext, message.IdempotencyKey, now,
            row.Waits ? "held" : "queued", row.Waits ? "scheduled" : null);
        Tell(tx, message, row);
        work.Enqueue(tx, Dispatch(message, row));
    }

    /// <summary>The same for many that are said unasked, in one statement. They supersede nothing.</summary>
    public void QueueMany(Transaction tx, IReadOnlyCollection<OutgoingMessage> messages)
    {
        if (messages.Any(m => m.SupersedeKey is not null || m.InReplyToInboundId is not null))
        {
            throw new ArgumentException("What answers or supersedes is queued by itself.", nameof(messages));
        }

        var rows = messages.Select(m => (Message: m, Row: Row(m))).ToList();
        tx.Post(
            Sql.QueueMany,
            tx.TenantId, rows.Select(r => r.Row.Id).ToArray(), rows.Select(r => r.Message.ContactId).ToArray(), rows.Select(r => r.Message.AgentRole).ToArray(),
            rows.Select(r => r.Message.ConversationId).ToArray(), Json.Params(rows.Select(r => r.Row.Data)), rows.Select(r => r.Row.Due).ToArray(),
            rows.Select(r => r.Message.Priority).ToArray(), rows.Select(r => r.Message.Proactive).ToArray(), rows.Select(r => r.Message.RequiresFreshContext).ToArray(),
            rows.Select(r => r.Message.IdempotencyKey).ToArray(), clock.GetUtcNow(), rows.Select(r => r.Row.Waits).ToArray());
        rows.ForEach(r => Tell(tx, r.Message, r.Row));
        work.EnqueueMany(tx, [.. rows.Select(r => Dispatch(r.Message, r.Row))]);
    }

    private QueuedRow Row(OutgoingMessage message)
    {
        var now = clock.GetUtcNow();
        var due = message.ScheduledFor is { } at && at > now ? at.ToUniversalTime() : now;
        return new(message.QueueId ?? clock.NewId(), new QueuedText(message.Text, message.Subject, message.EvenIfOptedOut, message.AuthorUserId, message.TaskId), due, due > now);
    }

    private void Tell(Transaction tx, OutgoingMessage message, QueuedRow row) => events.Append(tx, new NewEvent("message.queued", "conversation", message.ConversationId, new
    {
        queue_id = row.Id,
        role = message.AgentRole,
        text = message.Text,
        priority = message.Priority,
        proactive = message.Proactive,
        scheduled_for = row.Due,
    })
    { EventId = message.IdempotencyKey is { } key ? EventOf(tx.TenantId, key) : null });

    private static NewWork Dispatch(OutgoingMessage message, QueuedRow row) => Dispatch(
        new DispatchPayload(row.Id, message.ConversationId, message.ContactId), message.IdempotencyKey ?? row.Id.ToString(), message.Priority, row.Waits ? row.Due : null);

    /// <summary>
    /// Replies of a conversation leave in the order they were said. A message that waits for its hour is not part of that order: it would
    /// hold up everything said until then.
    /// </summary>
    internal static NewWork Dispatch(DispatchPayload dispatch, string key, string priority, DateTimeOffset? runAt) =>
        new(MessagingModule.DispatchKind, key, dispatch)
        {
            SerialKey = runAt is null ? $"outbound:{dispatch.ConversationId}" : null,
            Priority = Urgency(priority),
            RunAt = runAt,
        };

    internal static short Urgency(string priority) => priority switch
    {
        "critical" => 5,
        "urgent" => 10,
        "high" => 20,
        "low" => 60,
        _ => 40,
    };

    private static Guid EventOf(Guid tenantId, string key) => new(SHA256.HashData(Encoding.UTF8.GetBytes($"{tenantId}/message.queued/{key}"))[..16]);

    private sealed record QueuedRow(Guid Id, QueuedText Data, DateTimeOffset Due, bool Waits);

    private static class Sql
    {
        internal const string QueueMany =
            """
            INSERT INTO messaging.message_queue (
                tenant_id, id, contact_id, agent_id, conversation_context_id, message_data, scheduled_for, priority, proactive, requires_fresh_context,
                idempotency_key, created_at, status, hold_reason)
            SELECT $1, n.id, n.contact_id, n.agent_id, n.conversation_id, n.data, n.due, n.priority, n.proactive, n.fresh, n.key, $12,
                   CASE WHEN n.waits THEN 'held' ELSE 'queued' END, CASE WHEN n.waits THEN 'scheduled' END
            FROM unnest($2::uuid[], $3::uuid[], $4::text[], $5::uuid[], $6::jsonb[], $7::timestamptz[], $8::text[], $9::boolean[], $10::boolean[], $11::text[], $13::boolean[])
                 AS n (id, contact_id, agent_id, conversation_id, data, due, priority, proactive, fresh, key, waits)
            ON CONFLICT ON CONSTRAINT message_queue_once DO NOTHING
            """;

        internal const string Queue =
            """
            WITH fresh AS (
                INSERT INTO messaging.message_queue (
                    tenant_id, id, contact_id, agent_id, conversation_context_id, in_reply_to_inbound_id, message_data, scheduled_for, priority,
                    proactive, supersede_key, requires_fresh_context, idempotency_key, created_at, status, hold_reason)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
                ON CONFLICT ON CONSTRAINT message_queue_once DO NOTHING
                RETURNING id
            )
            UPDATE messaging.message_queue AS q
            SET status = 'superseded', hold_reason = NULL, superseded_by_message_id = fresh.id, superseded_reason = 'newer_message'
            FROM fresh
            WHERE q.tenant_id = $1 AND q.conversation_context_id = $5 AND q.supersede_key = $11 AND q.status IN ('queued', 'held')
            """;
    }
}

/// <summary>Conversation and contact are who they were when the message was queued.</summary>
internal sealed record DispatchPayload(Guid QueueId, Guid ConversationId, Guid ContactId)
{
    internal static DispatchPayload Of(QueuedMessage message) => new(message.Id, message.ConversationContextId, message.ContactId);
}

/// <summary>What <c>message_data</c> holds.</summary>
internal sealed record QueuedText(string Text, string? Subject, bool EvenIfOptedOut, Guid? AuthorUserId = null, Guid? TaskId = null);

/// <summary>A row of <c>message_queue</c>.</summary>
internal sealed record QueuedMessage
{
    public Guid Id { get; init; }

    public Guid ContactId { get; init; }

    public required string AgentId { get; init; }

    public Guid ConversationContextId { get; init; }

    public Guid? InReplyToInboundId { get; init; }

    public JsonElement MessageData { get; init; }

    public string? FinalMessage { get; init; }

    public DateTimeOffset ScheduledFor { get; init; }

    public required string Priority { get; init; }

    public bool Proactive { get; init; }

    public required string Status { get; init; }

    public string? HoldReason { get; init; }

    public string? SupersedeKey { get; init; }

    public Guid? SupersededByMessageId { get; init; }

    public string? SupersededReason { get; init; }

    public bool RequiresFreshContext { get; init; }

    public string? Failure { get; init; }

    public DateTimeOffset? ApprovedAt { get; init; }

    public DateTimeOffset? SentAt { get; init; }

    public Guid? DeliveredMessageId { get; init; }

    public DateTimeOffset CreatedAt { get; init; }

    public bool IsOver => Status is "sent" or "superseded" or "failed" or "cancelled";
}
