using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Work;

/// <summary>Puts work in, in the caller's transaction: the queue is the outbox.</summary>
public sealed class WorkQueue(WorkKinds kinds, IWorkNudge nudge)
{
    /// <summary>Travels with the caller's next round trip; a claim follows at once after the commit.</summary>
    public void Enqueue(Transaction tx, NewWork work)
    {
        var maxAttempts = work.MaxAttempts ?? kinds.Find(work.Kind).MaxAttempts;
        tx.Post(Sql.Enqueue, tx.TenantId, work.Kind, work.Key, work.SerialKey, work.Priority, work.RunAt?.ToUniversalTime(), maxAttempts, Json.Param(work.Payload));
        tx.AfterCommit(nudge.Nudge);
    }

    /// <summary>Stops an item that has not started. Returns false when it is running or over.</summary>
    public async Task<bool> CancelAsync(Transaction tx, string kind, string key, string reason, CancellationToken ct) =>
        await tx.ExecuteAsync(Sql.Cancel, [tx.TenantId, kind, key, reason], ct) == 1;

    /// <summary>Makes a waiting item due now, for what it was waiting for has happened.</summary>
    public void Hasten(Transaction tx, string kind, string key)
    {
        tx.Post(Sql.Hasten, tx.TenantId, kind, key);
        tx.AfterCommit(nudge.Nudge);
    }

    private static class Sql
    {
        internal const string Enqueue =
            """
            INSERT INTO work.items (tenant_id, kind, key, serial_key, priority, run_at, max_attempts, payload)
            VALUES ($1, $2, $3, $4, $5, coalesce($6, now()), $7, $8)
            ON CONFLICT ON CONSTRAINT items_key DO NOTHING
            """;

        internal const string Cancel =
            """
            UPDATE work.items SET state = 'cancelled', finished_at = now(), last_error = $4
            WHERE tenant_id = $1 AND kind = $2 AND key = $3 AND state = 'ready'
            """;

        internal const string Hasten =
            "UPDATE work.items SET run_at = now() WHERE tenant_id = $1 AND kind = $2 AND key = $3 AND state = 'ready' AND run_at > now()";
    }
}
