using System.Diagnostics;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Work;

/// <summary>Puts work in, in the caller's transaction: the queue is the outbox.</summary>
public sealed class WorkQueue(WorkKinds kinds, IWorkNudge nudge) : IKeepsTraces
{
    /// <summary>What one run takes with it: a statement must not grow without bound.</summary>
    private const int MaxAbsorbed = 1000;

    /// <summary>Travels with the caller's next round trip; a claim follows at once after the commit.</summary>
    public void Enqueue(Transaction tx, NewWork work)
    {
        var maxAttempts = work.MaxAttempts ?? kinds.Find(work.Kind).MaxAttempts;
        object?[] args =
        [
            tx.TenantId, work.Kind, work.Key, work.SerialKey, work.Priority, work.RunAt?.ToUniversalTime(), maxAttempts, Json.Param(work.Payload),
            work.StartBy?.ToUniversalTime(), work.ConcurrencyKey, Activity.Current?.Id,
        ];
        if (work.MergeKey is null)
        {
            tx.Post(Sql.Enqueue, args);
        }
        else
        {
            tx.Post(Sql.Merge, [.. args, work.MergeKey, work.OnWaiting.ToString()]);
        }

        Announce(tx, work.Kind, work.Priority);
    }

    /// <summary>
    /// The same for many, in one statement. Merging looks at each item by itself: work with a merge key is put in by <see cref="Enqueue"/>.
    /// </summary>
    public void EnqueueMany(Transaction tx, IReadOnlyCollection<NewWork> works)
    {
        if (works.Count == 0)
        {
            return;
        }

        if (works.Any(w => w.MergeKey is not null))
        {
            throw new ArgumentException("Work with a merge key cannot be enqueued in bulk.", nameof(works));
        }

        tx.PostCall(
            Sql.EnqueueMany,
            tx.TenantId,
            Once(works, w => w.Kind),
            Many(works, w => w.Key),
            Many(works, w => w.SerialKey),
            Once(works, w => w.Priority),
            Many(works, w => w.RunAt?.ToUniversalTime()),
            Once(works, w => w.MaxAttempts ?? kinds.Find(w.Kind).MaxAttempts),
            Many(works, w => Json.Storable(w.Payload)),
            Many(works, w => w.StartBy?.ToUniversalTime()),
            Many(works, w => w.ConcurrencyKey),
            Activity.Current?.Id);
        foreach (var (kind, priority) in works.Select(w => (w.Kind, w.Priority)).Distinct())
        {
            Announce(tx, kind, priority);
        }
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

    /// <summary>The same for all that wait in these serial keys.</summary>
    public void HastenAll(Transaction tx, string[] serialKeys)
    {
        if (serialKeys.Length > 0)
        {
            tx.Post(Sql.HastenAll, tx.TenantId, serialKeys);
            tx.AfterCommit(nudge.Nudge);
        }
    }

    /// <summary>
    /// The item's business row goes on after its work was over: due now as if it were new, at its old place in its serial key. False while it runs.
    /// </summary>
    public async Task<bool> ReviveAsync(Transaction tx, NewWork work, CancellationToken ct)
    {
        Enqueue(tx, work);
        return await tx.ExecuteAsync(Sql.Revive, [tx.TenantId, work.Kind, work.Key], ct) == 1;
    }

    /// <summary>
    /// Items of its kind that wait behind this one in its serial key, due and never started. Asked before the handler reads what there is to do, they
    /// want nothing that it does not see: <see cref="Absorb"/> then does them with it.
    /// </summary>
    public Task<IReadOnlyList<long>> BehindAsync(Transaction tx, WorkItem item, CancellationToken ct) =>
        tx.QueryAsync<long>(Sql.Behind, [tx.TenantId, item.Id, MaxAbsorbed], ct);

    /// <summary>These items are done by what has been done for another: none of them is run.</summary>
    public void Absorb(Transaction tx, WorkItem item, IReadOnlyCollection<long> behind) =>
        tx.Post(item.IsForgotten ? Sql.AbsorbAndForget : Sql.Absorb, tx.TenantId, behind.ToArray());

    /// <summary>One value when all have the same.</summary>
    private static T[] Once<T>(IEnumerable<NewWork> works, Func<NewWork, T> value)
    {
        var all = works.Select(value).ToArray();
        return all.AsSpan().ContainsAnyExcept(all[0]) ? all : [all[0]];
    }

    /// <summary>Null when it is null for all.</summary>
    private static T[]? Many<T>(IEnumerable<NewWork> works, Func<NewWork, T> value)
    {
        var all = works.Select(value).ToArray();
        return all.AsSpan().ContainsAnyExcept(default(T)) ? all : null;
    }

    /// <summary>Work under the ids of rows that go has nothing to do any more. What runs finds that out by itself.</summary>
    public void Forget(Transaction tx, Guid[] rows) => tx.Post(Sql.Forget, tx.TenantId, kinds.Names, rows.Select(row => row.ToString()).ToArray());

    private void Announce(Transaction tx, string kind, short priority)
    {
        var tenant = tx.TenantId;
        tx.AfterCommit(() => nudge.Nudge(tenant, kind, priority));
    }

    private static class Sql
    {
        internal const string Forget = "DELETE FROM work.items WHERE tenant_id = $1 AND kind = ANY ($2) AND key = ANY ($3) AND state <> 'running'";

        internal const string EnqueueMany =
            """
            SELECT work.enqueue_many(
                $1::uuid, $2::text[], $3::text[], $4::text[], $5::smallint[], $6::timestamptz[], $7::integer[], $8::text[], $9::timestamptz[], $10::text[], $11::text)
            """;

        internal const string Enqueue =
            """
            INSERT INTO work.items (tenant_id, kind, key, serial_key, priority, run_at, max_attempts, payload, start_by, concurrency_key, trace_parent)
            VALUES ($1, $2, $3, $4, $5, coalesce($6, now()), $7, $8, $9, $10, $11)
            ON CONFLICT ON CONSTRAINT items_key DO NOTHING
            """;

        // The row that waits is locked by the conflict: it cannot start between the look and the change. A key that was said before is old news.
        internal const string Merge =
            """
            INSERT INTO work.items AS i (tenant_id, kind, key, serial_key, priority, run_at, max_attempts, payload, start_by, concurrency_key, trace_parent, merge_key)
            SELECT $1::uuid, $2, $3, $4, $5::smallint, coalesce($6::timestamptz, now()), $7::integer, $8::jsonb, $9::timestamptz, $10, $11, $12
            WHERE NOT EXISTS (SELECT FROM work.items WHERE tenant_id = $1 AND kind = $2 AND key = $3)
            ON CONFLICT (tenant_id, kind, waiting_merge_key) WHERE waiting_merge_key IS NOT NULL
            DO UPDATE SET payload = excluded.payload, start_by = excluded.start_by, trace_parent = excluded.trace_parent,
                          run_at = CASE WHEN $13 = 'Debounce' THEN excluded.run_at ELSE i.run_at END
            WHERE $13 <> 'Keep'
            """;

        internal const string Full =
            """
            SELECT l.max_waiting FROM work.limits AS l
            WHERE l.tenant_id = $1 AND l.kind = $2 AND l.concurrency_key IS NULL
              AND l.max_waiting <= (SELECT count(*) FROM (
                  SELECT FROM work.items AS i WHERE i.tenant_id = $1 AND i.kind = $2 AND i.finished_at IS NULL AND i.state = 'ready' LIMIT l.max_waiting) AS waiting)
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

        // Who waits in a serial key is held back by the item that runs: nobody claims it meanwhile.
        internal const string Behind =
            """
            SELECT b.id
            FROM work.items AS i
            JOIN work.items AS b ON b.tenant_id = i.tenant_id AND b.serial_key = i.serial_key AND b.kind = i.kind AND b.id <> i.id
            WHERE i.tenant_id = $1 AND i.id = $2 AND b.finished_at IS NULL AND b.state = 'ready' AND b.fence = 0 AND b.run_at <= now()
            ORDER BY b.id LIMIT $3
            """;

        internal const string Absorb =
            "UPDATE work.items SET state = 'done', finished_at = now() WHERE tenant_id = $1 AND id = ANY ($2) AND state = 'ready' AND fence = 0";

        internal const string AbsorbAndForget = "DELETE FROM work.items WHERE tenant_id = $1 AND id = ANY ($2) AND state = 'ready' AND fence = 0";

        internal const string HastenAll =
            """
            UPDATE work.items SET run_at = now()
            WHERE tenant_id = $1 AND serial_key = ANY ($2) AND finished_at IS NULL AND state = 'ready' AND run_at > now()
            """;

        internal const string Hasten =
            "UPDATE work.items SET run_at = now() WHERE tenant_id = $1 AND kind = $2 AND key = $3 AND state = 'ready' AND run_at > now()";
    }
}
