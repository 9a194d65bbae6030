using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Work;

namespace AgentPlatform.Messaging;

/// <summary>What an operator can see of the queue, and do to it. Status transitions of the queue are all here.</summary>
internal sealed class QueueActions(Database database, EventStore events, WorkQueue work, TimeProvider clock)
{
    internal static async Task<Page<QueuedMessage>> ListAsync(Transaction tx, string? status, Guid? contactId, Guid? conversationId, PageRequest page, CancellationToken ct)
    {
        var rows = await tx.QueryAsync<QueuedMessage>(Sql.List, [tx.TenantId, status, contactId, conversationId, page.Before, page.Fetch], ct);
        return Page<QueuedMessage>.Cut(rows, page, row => row.Id);
    }

    internal async Task<Result<QueuedMessage>> FindAsync(Actor actor, Guid id, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        return await tx.FindAsync<QueuedMessage>(Sql.Find, [actor.TenantId, id], ct) is { } row ? row : Problem.NotFound("queued_message");
    }

    /// <summary>One, once the message was to be sent.</summary>
    internal async Task<Result<Page<StoredEffect>>> EffectsAsync(Actor actor, Guid id, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        return await tx.FindAsync<QueuedMessage>(Sql.Find, [actor.TenantId, id], ct) is null
            ? Problem.NotFound("queued_message")
            : new Page<StoredEffect>(await SendEffects.OfAsync(tx, id, ct), null);
    }

    /// <summary>Only what has not been approved can be called back.</summary>
    internal async Task<Result<QueuedMessage>> CancelAsync(Actor actor, Guid id, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        if (await tx.FindAsync<QueuedMessage>(Sql.Lock, [actor.TenantId, id], ct) is not { } message)
        {
            return Problem.NotFound("queued_message");
        }

        if (message.Status is not ("queued" or "held"))
        {
            return Problem.Conflict("not_cancellable", "The message has already been decided on.", $"Its status is {message.Status}.");
        }

        tx.Post(Sql.Cancel, actor.TenantId, id);
        events.Append(tx, new NewEvent("message.cancelled", "conversation", message.ConversationContextId, new { queue_id = id, cancelled_by = actor.UserId }));
        var cancelled = await tx.SingleAsync<QueuedMessage>(Sql.Find, [actor.TenantId, id], ct);
        await tx.CommitAsync(ct);
        return cancelled;
    }

    /// <summary>A held message is decided on again at once: limits or quiet hours may have been changed.</summary>
    internal async Task<Result<QueuedMessage>> ReleaseAsync(Actor actor, Guid id, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        if (await tx.FindAsync<QueuedMessage>(Sql.Lock, [actor.TenantId, id], ct) is not { } message)
        {
            return Problem.NotFound("queued_message");
        }

        if (message.Status != "held")
        {
            return Problem.Conflict("not_held", "The message is not held.", $"Its status is {message.Status}.");
        }

        tx.Post(Sql.Release, actor.TenantId, id, clock.GetUtcNow());
        work.Enqueue(tx, Outbox.Dispatch(DispatchPayload.Of(message), $"{id}!{clock.GetUtcNow().ToUnixTimeMilliseconds()}", message.Priority, null));
        var released = await tx.SingleAsync<QueuedMessage>(Sql.Find, [actor.TenantId, id], ct);
        await tx.CommitAsync(ct);
        return released;
    }

    internal static class Sql
    {
        internal const string List =
            """
            SELECT id, contact_id, agent_id, conversation_context_id, in_reply_to_inbound_id, message_data, final_message, scheduled_for, priority, proactive, status, hold_reason,
                   supersede_key, superseded_by_message_id, superseded_reason, requires_fresh_context, failure, approved_at, sent_at, delivered_message_id, created_at
            FROM messaging.message_queue
            WHERE tenant_id = $1 AND ($2::text IS NULL OR status = $2) AND ($3::uuid IS NULL OR contact_id = $3)
              AND ($4::uuid IS NULL OR conversation_context_id = $4) AND ($5::uuid IS NULL OR id < $5)
            ORDER BY id DESC LIMIT $6
            """;

        internal const string Find =
            """
            SELECT id, contact_id, agent_id, conversation_context_id, in_reply_to_inbound_id, message_data, final_message, scheduled_for, priority, proactive, status, hold_reason,
                   supersede_key, superseded_by_message_id, superseded_reason, requires_fresh_context, failure, approved_at, sent_at, delivered_message_id, created_at
            FROM messaging.message_queue WHERE tenant_id = $1 AND id = $2
            """;

        internal const string Lock =
            """
            SELECT id, contact_id, agent_id, conversation_context_id, in_reply_to_inbound_id, message_data, final_message, scheduled_for, priority, proactive, status, hold_reason,
                   supersede_key, superseded_by_message_id, superseded_reason, requires_fresh_context, failure, approved_at, sent_at, delivered_message_id, created_at
            FROM messaging.message_queue WHERE tenant_id = $1 AND id = $2 FOR UPDATE
            """;

        internal const string Approve =
            """
            UPDATE messaging.message_queue SET status = 'approved', hold_reason = NULL, final_message = $3, approved_at = $4
            WHERE tenant_id = $1 AND id = $2 AND status IN ('queued', 'held')
            """;

        internal const string Sent =
            """
            UPDATE messaging.message_queue SET status = 'sent', sent_at = $4, delivered_message_id = $3
            WHERE tenant_id = $1 AND id = $2 AND status IN ('approved', 'failed')
            """;

        // Approved and sent at once: there is no provider in between.
        internal const string Show =
            """
            UPDATE messaging.message_queue
            SET status = 'sent', hold_reason = NULL, final_message = $4, approved_at = $5, sent_at = $5, delivered_message_id = $3
            WHERE tenant_id = $1 AND id = $2 AND status IN ('queued', 'held', 'approved')
            """;

        internal const string Hold =
            """
            UPDATE messaging.message_queue SET status = 'held', hold_reason = $3, scheduled_for = $4
            WHERE tenant_id = $1 AND id = $2 AND status IN ('queued', 'held')
            """;

        internal const string Release =
            "UPDATE messaging.message_queue SET status = 'queued', hold_reason = NULL, scheduled_for = $3 WHERE tenant_id = $1 AND id = $2 AND status = 'held'";

        internal const string Supersede =
            """
            UPDATE messaging.message_queue SET status = 'superseded', hold_reason = NULL, superseded_reason = $3
            WHERE tenant_id = $1 AND id = $2 AND status IN ('queued', 'held')
            """;

        internal const string Fail =
            """
            UPDATE messaging.message_queue SET status = 'failed', hold_reason = NULL, failure = $3
            WHERE tenant_id = $1 AND id = $2 AND status IN ('queued', 'held', 'approved')
            """;

        internal const string Cancel =
            "UPDATE messaging.message_queue SET status = 'cancelled', hold_reason = NULL WHERE tenant_id = $1 AND id = $2 AND status IN ('queued', 'held')";

        internal const string CancelMany =
            """
            UPDATE messaging.message_queue SET status = 'cancelled', hold_reason = NULL WHERE tenant_id = $1 AND id = ANY ($2) AND status IN ('queued', 'held')
            RETURNING id AS queue_id, conversation_context_id AS conversation_id, contact_id
            """;

        internal const string PauseMany =
            """
            UPDATE messaging.message_queue SET status = 'held', hold_reason = 'paused'
            WHERE tenant_id = $1 AND id = ANY ($2) AND status IN ('queued', 'held') AND hold_reason IS DISTINCT FROM 'paused'
            RETURNING id AS queue_id, conversation_context_id AS conversation_id, contact_id
            """;

        internal const string ResumeMany =
            """
            UPDATE messaging.message_queue SET status = 'queued', hold_reason = NULL, scheduled_for = $3
            WHERE tenant_id = $1 AND id = ANY ($2) AND status = 'held' AND hold_reason = 'paused'
            RETURNING id AS queue_id, conversation_context_id AS conversation_id, contact_id, priority
            """;
    }
}
