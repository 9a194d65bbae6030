using AgentPlatform.Postgres;
using Microsoft.Extensions.Options;
using Npgsql;

namespace AgentPlatform.Work;

/// <summary>The claims of this process: taking, renewing and completing them. Every statement of the engine's cycle is here.</summary>
internal sealed class WorkLeases(Database database, WorkKinds kinds, WorkMetrics metrics, IOptions<WorkOptions> options)
{
    /// <summary>A fresh identity per process: a restarted host never mistakes its former self's claims for its own.</summary>
    private readonly Guid _owner = Guid.CreateVersion7(TimeProvider.System.GetUtcNow());

    /// <summary>How long a claim holds without renewal.</summary>
    internal TimeSpan Lease { get; } = TimeSpan.FromSeconds(options.Value.LeaseSeconds);

    /// <summary>Completes what ended and claims what is due, in one transaction.</summary>
    internal async Task<IReadOnlyList<WorkItem>> CompleteAndClaimAsync(IReadOnlyCollection<Settlement> ended, int capacity, CancellationToken ct)
    {
        while (true)
        {
            try
            {
                return await TryCompleteAndClaimAsync(ended, capacity, ct);
            }
            catch (PostgresException e) when (e.SqlState == PostgresErrorCodes.DeadlockDetected || e.ConstraintName == "items_serial_runs_alone")
            {
                // Another claim took a later item of a serial key, before the earlier one was to be seen. It is over now: look again.
            }
        }
    }

    private async Task<IReadOnlyList<WorkItem>> TryCompleteAndClaimAsync(IReadOnlyCollection<Settlement> ended, int capacity, CancellationToken ct)
    {
        await using var tx = database.BeginWorker();
        if (ended.Count > 0)
        {
            tx.Post(Settlement.Sql.Settle, Settlement.Args(ended));
        }

        tx.Post(Sql.NoCompiler);
        tx.Post(Sql.NoTableScan);
        tx.Post(Sql.TakeTurn);
        tx.Post(Sql.CancelLate);
        var claimed = await tx.QueryAsync<Claimed>(Sql.Claim, [_owner, Lease, kinds.Names, capacity], ct);
        await tx.CommitAsync(ct);
        return [.. claimed.Select(Count)];
    }

    /// <summary>
    /// Extends the leases of what runs in this process; returns the ids it still holds. What it claimed but runs no more, because its end could
    /// not be written, is left to run out, or a busy process would keep it for ever.
    /// </summary>
    internal async Task<IReadOnlySet<long>> RenewAsync(IReadOnlyCollection<long> running, CancellationToken ct)
    {
        await using var tx = database.BeginWorker();
        var held = await tx.QueryAsync<long>(Sql.Renew, [_owner, Lease, running.ToArray()], ct);
        await tx.CommitAsync(ct);
        return held.ToHashSet();
    }

    /// <summary>Forgets items that ended before <paramref name="age"/> ago, a batch at a time; dead ones wait for a person.</summary>
    internal async Task<int> PruneAsync(TimeSpan age, CancellationToken ct)
    {
        var total = 0;
        int pruned;
        do
        {
            await using var tx = database.BeginWorker();
            pruned = await tx.ExecuteAsync(Sql.Prune, [age], ct);
            await tx.CommitAsync(ct);
            total += pruned;
        }
        while (pruned > 0);
        return total;
    }

    private WorkItem Count(Claimed c)
    {
        metrics.Claimed(c.Kind, c.TakenOver);
        return new WorkItem(c.Id, c.TenantId, c.Kind, c.Key, c.RawPayload, c.Attempt, c.MaxAttempts, c.Interruptions, c.Fence, c.EnqueuedAt);
    }

    /// <summary>A claimed row, and whether it was taken from a process whose lease ran out.</summary>
    private sealed record Claimed(
        long Id, Guid TenantId, string Kind, string Key, string RawPayload, int Attempt, int MaxAttempts, int Interruptions, long Fence,
        DateTimeOffset EnqueuedAt, bool TakenOver);

    private static class Sql
    {
        // The claim reads a few rows of a long index. Its cost is estimated by the length, and compiling it would take a second.
        internal const string NoCompiler = "SET LOCAL jit = off";

        // A plan made while the queue was empty serves on when a million items wait.
        internal const string NoTableScan = "SET LOCAL enable_seqscan = off";

        // Running work is counted before it is added to, so while there are limits on it, claims come one after the other. The turn is a
        // statement of its own because the claim's snapshot must be younger than the wait. Without limits this locks nothing.
        internal const string TakeTurn =
            """
            DO $$ BEGIN PERFORM FROM work.limits WHERE max_running IS NOT NULL ORDER BY id FOR UPDATE; END $$
            """;

        internal const string CancelLate =
            """
            UPDATE work.items
            SET state = 'cancelled', finished_at = now(),
                last_error = 'Not started by ' || to_char(start_by AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || ' UTC.'
            WHERE id IN (
                SELECT id FROM work.items WHERE state = 'ready' AND fence = 0 AND start_by <= now() LIMIT 1000 FOR UPDATE SKIP LOCKED)
            """;

        // Two looks, so that each follows its own index: an expired lease is as good as a due item (recovery needs no event, only time),
        // and due items come by urgency. The CTEs lock exactly the rows that the limits keep: a locked row is another claimer's, and is
        // skipped. An expired item needs no look at its serial key or its limits, for it still holds its place in them.
        internal const string Claim =
            """
            WITH expired AS (
                SELECT i.id
                FROM work.items AS i
                WHERE i.state = 'running' AND i.lease_until < now() AND i.kind = ANY ($3)
                  AND NOT EXISTS (
                      SELECT FROM work.pauses AS p
                      WHERE p.tenant_id = i.tenant_id AND (p.kind IS NULL OR p.kind = i.kind) AND (p.serial_key IS NULL OR p.serial_key = i.serial_key))
                ORDER BY i.lease_until
                LIMIT $4
                FOR UPDATE OF i SKIP LOCKED
            ), due AS (
                SELECT i.id, i.tenant_id, i.kind, i.concurrency_key, work.claim_order(i.priority, i.run_at) AS place
                FROM work.items AS i
                WHERE i.state = 'ready' AND i.run_at <= now() AND i.kind = ANY ($3)
                  AND (i.start_by IS NULL OR i.start_by > now() OR i.fence > 0)
                  AND (i.serial_key IS NULL OR NOT EXISTS (
                      SELECT FROM work.items AS e
                      WHERE e.tenant_id = i.tenant_id AND e.serial_key = i.serial_key AND e.state IN ('ready', 'running')
                        AND (e.id < i.id OR e.state = 'running')))
                  AND NOT EXISTS (
                      SELECT FROM work.pauses AS p
                      WHERE p.tenant_id = i.tenant_id AND (p.kind IS NULL OR p.kind = i.kind) AND (p.serial_key IS NULL OR p.serial_key = i.serial_key))
                  AND NOT EXISTS (
                      SELECT FROM work.limits AS l
                      WHERE l.tenant_id = i.tenant_id AND (l.kind IS NULL OR l.kind = i.kind) AND (l.concurrency_key IS NULL OR l.concurrency_key = i.concurrency_key)
                        AND l.max_running <= (
                            SELECT count(*) FROM work.items AS r
                            WHERE r.state = 'running' AND r.tenant_id = l.tenant_id
                              AND (l.kind IS NULL OR l.kind = r.kind) AND (l.concurrency_key IS NULL OR l.concurrency_key = r.concurrency_key)))
                ORDER BY work.claim_order(i.priority, i.run_at), i.id
                LIMIT $4 - (SELECT count(*) FROM expired)
                FOR UPDATE OF i SKIP LOCKED
            ), ranked AS (
                -- Several of this batch under one limit: only as many as it has room for.
                SELECT d.id, row_number() OVER (PARTITION BY l.id ORDER BY d.place, d.id) > l.max_running - (
                           SELECT count(*) FROM work.items AS r
                           WHERE r.state = 'running' AND r.tenant_id = l.tenant_id
                             AND (l.kind IS NULL OR l.kind = r.kind) AND (l.concurrency_key IS NULL OR l.concurrency_key = r.concurrency_key)) AS beyond
                FROM due AS d
                JOIN work.limits AS l
                  ON l.tenant_id = d.tenant_id AND (l.kind IS NULL OR l.kind = d.kind) AND (l.concurrency_key IS NULL OR l.concurrency_key = d.concurrency_key)
            ), chosen AS (
                SELECT id, true AS taken_over FROM expired UNION ALL SELECT id, false FROM due WHERE id NOT IN (SELECT id FROM ranked WHERE beyond)
            )
            UPDATE work.items AS i
            SET state = 'running', owner = $1, lease_until = now() + $2, fence = i.fence + 1,
                attempts = i.attempts + (i.state = 'ready')::integer,
                interruptions = i.interruptions + (i.state = 'running')::integer
            FROM chosen
            WHERE i.id = chosen.id
            RETURNING i.id, i.tenant_id, i.kind, i.key, i.payload::text AS raw_payload, i.attempts AS attempt, i.max_attempts, i.interruptions, i.fence, i.enqueued_at,
                      chosen.taken_over
            """;

        internal const string Renew =
            "UPDATE work.items SET lease_until = now() + $2 WHERE id = ANY ($3) AND owner = $1 AND state = 'running' RETURNING id";

        internal const string Prune =
            """
            DELETE FROM work.items
            WHERE id IN (SELECT id FROM work.items WHERE finished_at < now() - $1::interval AND state IN ('done', 'cancelled') LIMIT 5000)
            """;
    }
}
