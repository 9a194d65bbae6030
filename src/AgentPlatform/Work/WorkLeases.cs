using AgentPlatform.Postgres;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Work;

/// <summary>The claims of this process: taking, renewing and completing them. Every statement of the engine's cycle is here.</summary>
internal sealed class WorkLeases(Database database, WorkKinds kinds, IOptions<WorkOptions> options)
{
    /// <summary>A fresh identity per process: a restarted host never mistakes its former self's claims for its own.</summary>
    private readonly Guid _owner = Guid.CreateVersion7(TimeProvider.System.GetUtcNow());

    /// <summary>How long a claim holds without renewal.</summary>
    internal TimeSpan Lease { get; } = TimeSpan.FromSeconds(options.Value.LeaseSeconds);

    /// <summary>Completes what ended and claims what is due, in one transaction.</summary>
    internal async Task<IReadOnlyList<WorkItem>> CompleteAndClaimAsync(IReadOnlyCollection<Settlement> ended, int capacity, CancellationToken ct)
    {
        await using var tx = database.BeginWorker();
        if (ended.Count > 0)
        {
            tx.Post(Settlement.Sql.Settle, Settlement.Args(ended));
        }

        var claimed = await tx.QueryAsync<WorkItem>(Sql.Claim, [_owner, Lease, kinds.Names, capacity], ct);
        await tx.CommitAsync(ct);
        return claimed;
    }

    /// <summary>Extends every lease of this process; returns the ids it still holds.</summary>
    internal async Task<IReadOnlySet<long>> RenewAsync(CancellationToken ct)
    {
        await using var tx = database.BeginWorker();
        var held = await tx.QueryAsync<long>(Sql.Renew, [_owner, Lease], ct);
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

    private static class Sql
    {
        // The CTE locks exactly the rows that the limit keeps: a locked row is another claimer's, and is skipped.
        // An expired lease is as good as a due item: recovery needs no event, only time.
        internal const string Claim =
            """
            WITH due AS (
                SELECT i.id
                FROM work.items AS i
                WHERE (i.state = 'ready' AND i.run_at <= now() OR i.state = 'running' AND i.lease_until < now())
                  AND i.kind = ANY ($3)
                  AND (i.serial_key IS NULL OR NOT EXISTS (
                      SELECT FROM work.items AS e
                      WHERE e.tenant_id = i.tenant_id AND e.serial_key = i.serial_key AND e.state IN ('ready', 'running')
                        AND (e.id < i.id OR e.state = 'running' AND e.id <> i.id)))
                ORDER BY i.priority, i.run_at, i.id
                LIMIT $4
                FOR UPDATE OF i SKIP LOCKED
            )
            UPDATE work.items AS i
            SET state = 'running', owner = $1, lease_until = now() + $2, fence = i.fence + 1,
                attempts = i.attempts + (i.state = 'ready')::integer,
                interruptions = i.interruptions + (i.state = 'running')::integer
            FROM due
            WHERE i.id = due.id
            RETURNING i.id, i.tenant_id, i.kind, i.key, i.payload, i.attempts AS attempt, i.max_attempts, i.interruptions, i.fence, i.enqueued_at
            """;

        internal const string Renew = "UPDATE work.items SET lease_until = now() + $2 WHERE owner = $1 AND state = 'running' RETURNING id";

        internal const string Prune =
            """
            DELETE FROM work.items
            WHERE id IN (SELECT id FROM work.items WHERE finished_at < now() - $1::interval AND state IN ('done', 'cancelled') LIMIT 5000)
            """;
    }
}
