using AgentPlatform.Postgres;

namespace AgentPlatform.Channels;

/// <summary>
/// Where an inbound message stands in its processing: received → processing → processed, failed or ignored. The module that answers
/// messages moves it on; a failure keeps the message, and a later attempt may still process it.
/// </summary>
public sealed class InboundMessages(TimeProvider clock)
{
    /// <summary>A turn has begun with these messages.</summary>
    public void Processing(Transaction tx, IReadOnlyCollection<Guid> ids) => tx.Post(Sql.Begin, tx.TenantId, ids.ToArray());

    /// <summary>The messages are answered.</summary>
    public void Processed(Transaction tx, IReadOnlyCollection<Guid> ids) => tx.Post(Sql.End, tx.TenantId, ids.ToArray(), "processed", null, clock.GetUtcNow());

    /// <summary>What the message asked for has become a task.</summary>
    public void BecameTask(Transaction tx, Guid id, Guid taskId) => tx.Post(Sql.BecameTask, tx.TenantId, id, taskId);

    /// <summary>Nothing is to be done about them, for example because a person has taken the conversation over.</summary>
    public void Ignored(Transaction tx, IReadOnlyCollection<Guid> ids) => tx.Post(Sql.End, tx.TenantId, ids.ToArray(), "ignored", null, clock.GetUtcNow());

    /// <summary>Processing was given up; the messages stay.</summary>
    public void Failed(Transaction tx, IReadOnlyCollection<Guid> ids, string error) =>
        tx.Post(Sql.End, tx.TenantId, ids.ToArray(), "failed", error, clock.GetUtcNow());

    private static class Sql
    {
        internal const string Begin =
            """
            UPDATE channels.inbound_messages SET processing_status = 'processing', processed_at = NULL, processing_error = NULL
            WHERE tenant_id = $1 AND id = ANY ($2) AND processing_status IN ('received', 'failed')
            """;

        internal const string End =
            """
            UPDATE channels.inbound_messages SET processing_status = $3, processing_error = $4, processed_at = $5
            WHERE tenant_id = $1 AND id = ANY ($2) AND processing_status IN ('received', 'processing')
            """;

        internal const string BecameTask = "UPDATE channels.inbound_messages SET task_id = $3 WHERE tenant_id = $1 AND id = $2";
    }
}
