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
        object?[] args =
        [
            tx.TenantId, work.Kind, work.Key, work.SerialKey, work.Priority, work.RunAt?.ToUniversalTime(), maxAttempts, Json.Param(work.Payload),
            work.StartBy?.ToUniversalTime(), work.ConcurrencyKey,
        ];
        if (work.MergeKey is null)
        {
            tx.Post(Sql.Enqueue, args);
        }
        else
        {
            tx.Post(Sql.Merge, [.. args, work.MergeKey, work.OnWaiting.ToString()]);
        }

        tx.AfterCommit(nudge.Nudge);
    }

    /// <summary>
    /// For callers who can be told: refuses with <c>queue_full</c> when as many items of the kind wait as the tenant's limit permits.
    /// Enqueues that happen at the same time may go past it by their number.
    /// </summary>
    public async Task<Result<NewWork>> TryEnqueueAsync(Transaction tx, NewWork work, CancellationToken ct)
    {
        if (await tx.FindAsync<int?>(Sql.Full, [tx.TenantId, work.Kind], ct) is { } limit)
        {
            return new Problem("queue_full", 429, "Too much work of this kind is waiting.", $"At most {limit} items of {work.Kind} may wait.")
            {
                RetryAfter = TimeSpan.FromSeconds(10),
            };
        }

        Enqueue(tx, work);
        return work;
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

    /// <summary>
    /// The item's business row goes on after its work was over: due now as if it were new, at its old place in its serial key. False while it runs.
    /// </summary>
    public async Task<bool> ReviveAsync(Transaction tx, NewWork work, CancellationToken ct)
    {
        Enqueue(tx, work);
        return await tx.ExecuteAsync(Sql.Revive, [tx.TenantId, work.Kind, work.Key], ct) == 1;
    }

    private static class Sql
    {
        internal const string Enqueue =
            """
            INSERT INTO work.items (tenant_id, kind, key, serial_key, priority, run_at, max_attempts, payload, start_by, concurrency_key)
            VALUES ($1, $2, $3, $4, $5, coalesce($6, now()), $7, $8, $9, $10)
            ON CONFLICT ON CONSTRAINT items_key DO NOTHING
            """;

        // The row that waits is locked by the conflict: it cannot start between the look and the change. A key that was said before is old news.
        internal const string Merge =
            """
            INSERT INTO work.items AS i (tenant_id, kind, key, serial_key, priority, run_at, max_attempts, payload, start_by, concurrency_key, merge_key)
            SELECT $1::uuid, $2, $3, $4, $5::smallint, coalesce($6::timestamptz, now()), $7::integer, $8::jsonb, $9::timestamptz, $10, $11
            WHERE NOT EXISTS (SELECT FROM work.items WHERE tenant_id = $1 AND kind = $2 AND key = $3)
            ON CONFLICT (tenant_id, kind, merge_key) WHERE merge_key IS NOT NULL AND state = 'ready' AND fence = 0
            DO UPDATE SET payload = excluded.payload, start_by = excluded.start_by,
                          run_at = CASE WHEN $12 = 'Debounce' THEN excluded.run_at ELSE i.run_at END
            WHERE $12 <> 'Keep'
            """;

        internal const string Full =
            """
            SELECT l.max_waiting FROM work.limits AS l
            WHERE l.tenant_id = $1 AND l.kind = $2 AND l.concurrency_key IS NULL
              AND l.max_waiting <= (SELECT count(*) FROM (
                  SELECT FROM work.items AS i WHERE i.tenant_id = $1 AND i.kind = $2 AND i.state = 'ready' LIMIT l.max_waiting) AS waiting)
            """;

        internal const string Cancel =
            """
            UPDATE work.items SET state = 'cancelled', finished_at = now(), last_error = $4
            WHERE tenant_id = $1 AND kind = $2 AND key = $3 AND state = 'ready'
            """;

        internal const string Revive =
            """
            UPDATE work.items SET state = 'ready', attempts = 0, interruptions = 0, run_at = now(), finished_at = NULL, redrive_id = NULL
            WHERE tenant_id = $1 AND kind = $2 AND key = $3 AND state <> 'running'
            """;

        internal const string Hasten =
            "UPDATE work.items SET run_at = now() WHERE tenant_id = $1 AND kind = $2 AND key = $3 AND state = 'ready' AND run_at > now()";
    }
}
