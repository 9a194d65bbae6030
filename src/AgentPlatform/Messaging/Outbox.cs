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
        var (id, now) = (clock.NewId(), clock.GetUtcNow());
        var due = message.ScheduledFor is { } at && at > now ? at.ToUniversalTime() : now;
        var data = new QueuedText(message.Text, message.Subject, message.EvenIfOptedOut, message.AuthorUserId, message.TaskId);
        tx.Post(
            Sql.Queue,
            tx.TenantId, id, message.ContactId, message.AgentRole, message.ConversationId, message.InReplyToInboundId, Json.Param(data), due, message.Priority,
            message.Proactive, message.SupersedeKey, message.RequiresFreshContext, message.IdempotencyKey, now,
            due > now ? "held" : "queued", due > now ? "scheduled" : null);
        events.Append(tx, new NewEvent("message.queued", "conversation", message.ConversationId, new
        {
            queue_id = id,
            role = message.AgentRole,
            text = message.Text,
            priority = message.Priority,
            proactive = message.Proactive,
            scheduled_for = due,
        })
        { EventId = message.IdempotencyKey is { } key ? EventOf(tx.TenantId, key) : null });
        var dispatch = new DispatchPayload(id, message.ConversationId, message.ContactId);
        work.Enqueue(tx, Dispatch(dispatch, message.IdempotencyKey ?? id.ToString(), message.Priority, due > now ? due : null));
    }

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

    private static class Sql
    {
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
