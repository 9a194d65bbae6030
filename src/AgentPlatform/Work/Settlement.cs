using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Work;

/// <summary>One row of the completion statement: what an outcome does to its item, if the fence still holds.</summary>
internal sealed record Settlement(Guid TenantId, long Id, long Fence, string State, TimeSpan Delay, int Refund, string? Error)
{
    /// <summary>The error of <see cref="Post(Transaction)"/> when the fence holds no more.</summary>
    internal const string LeaseLost = "WL001";

    /// <summary>What is kept of an error's text.</summary>
    private const int MaxError = 4000;

    /// <summary>Nothing is kept of the item.</summary>
    internal bool IsForgotten { get; private init; }

    /// <summary>After n failures: 2, 4, 8 … seconds, at most a minute, spread by up to a fifth so that items do not return in step.</summary>
    internal static TimeSpan Backoff(int attempt, double jitter) =>
        TimeSpan.FromSeconds(Math.Min(60, Math.Pow(2, Math.Clamp(attempt, 1, 6))) * (1 + (0.2 * jitter)));

    internal static Settlement Of(WorkItem item, WorkOutcome outcome) => outcome switch
    {
        WorkOutcome.Done => new(item.TenantId, item.Id, item.Fence, "done", TimeSpan.Zero, 0, null) { IsForgotten = item.IsForgotten },
        WorkOutcome.Cancel cancel => new(item.TenantId, item.Id, item.Fence, "cancelled", TimeSpan.Zero, 0, Storable(cancel.Reason)),
        WorkOutcome.Dead dead => new(item.TenantId, item.Id, item.Fence, "dead", TimeSpan.Zero, 0, Storable(dead.Error)),
        WorkOutcome.Snooze snooze => new(item.TenantId, item.Id, item.Fence, "ready", snooze.For, 1, null),
        WorkOutcome.Retry retry when item.IsLastAttempt => new(item.TenantId, item.Id, item.Fence, "dead", TimeSpan.Zero, 0, Storable(retry.Error)),
        WorkOutcome.Retry retry => new(item.TenantId, item.Id, item.Fence, "ready", retry.After ?? Backoff(item.Attempt, Random.Shared.NextDouble()), 0, Storable(retry.Error)),
        _ => throw new ArgumentOutOfRangeException(nameof(outcome), outcome, "This outcome is not written by the engine."),
    };

    /// <summary>One text that Postgres refuses (U+0000, half a surrogate pair) would fail the whole batch, again and again.</summary>
    private static string Storable(string error) => error.Clip(MaxError).Storable();

    /// <summary>Of many items: what is not held any more is left alone.</summary>
    internal static void Post(Transaction tx, IReadOnlyCollection<Settlement> settlements)
    {
        var kept = settlements.Where(s => !s.IsForgotten).ToList();
        var forgotten = settlements.Where(s => s.IsForgotten).ToList();
        if (kept.Count > 0)
        {
            tx.Post(
                Sql.Settle,
                kept.Select(s => s.TenantId).ToArray(),
                kept.Select(s => s.Id).ToArray(),
                kept.Select(s => s.Fence).ToArray(),
                kept.Select(s => s.State).ToArray(),
                kept.Select(s => s.Delay).ToArray(),
                kept.Select(s => s.Refund).ToArray(),
                kept.Select(s => s.Error).ToArray());
        }

        if (forgotten.Count > 0)
        {
            tx.Post(Sql.Forget, forgotten.Select(s => s.TenantId).ToArray(), forgotten.Select(s => s.Id).ToArray(), forgotten.Select(s => s.Fence).ToArray());
        }
    }

    /// <summary>Of one item: the transaction fails when it is not held any more.</summary>
    internal void Post(Transaction tx)
    {
        if (IsForgotten)
        {
            tx.PostCall(Sql.ForgetHeld, TenantId, Id, Fence);
        }
        else
        {
            tx.PostCall(Sql.SettleHeld, TenantId, Id, Fence, State, Delay, Refund, Error);
        }
    }

    private static class Sql
    {
        // The fence says that no one has claimed the item since; a late completion touches no row, nor does one that is written again. The
        // planner must not see through `coalesce`: it takes what runs for next to nothing, and would read all of that for each row.
        internal const string Settle =
            """
            UPDATE work.items AS i
            SET state = s.state, owner = NULL, lease_until = NULL,
                run_at = CASE WHEN s.state = 'ready' THEN now() + s.delay ELSE i.run_at END,
                attempts = i.attempts - s.refund,
                last_error = coalesce(s.error, i.last_error),
                finished_at = CASE WHEN s.state <> 'ready' THEN now() END
            FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::text[], $5::interval[], $6::integer[], $7::text[])
                 AS s (tenant_id, id, fence, state, delay, refund, error)
            WHERE i.tenant_id = s.tenant_id AND i.id = s.id AND coalesce(i.fence = s.fence AND i.state = 'running', false)
            """;

        internal const string Forget =
            """
            DELETE FROM work.items AS i
            USING unnest($1::uuid[], $2::bigint[], $3::bigint[]) AS s (tenant_id, id, fence)
            WHERE i.tenant_id = s.tenant_id AND i.id = s.id AND coalesce(i.fence = s.fence AND i.state = 'running', false)
            """;

        // The same for one, failing the transaction it is part of when that touches no row. That transaction began with the work, so it is the clock
        // that tells the end.
        internal const string SettleHeld =
            """
            WITH settled AS (
                UPDATE work.items AS i
                SET state = $4, owner = NULL, lease_until = NULL,
                    run_at = CASE WHEN $4 = 'ready' THEN now() + $5 ELSE i.run_at END,
                    attempts = i.attempts - $6,
                    last_error = coalesce($7, i.last_error),
                    finished_at = CASE WHEN $4 <> 'ready' THEN clock_timestamp() END
                WHERE i.tenant_id = $1 AND i.id = $2 AND i.fence = $3 AND i.state = 'running'
                RETURNING i.id
            )
            SELECT work.require_held(count(*)) FROM settled
            """;

        internal const string ForgetHeld =
            """
            WITH forgotten AS (
                DELETE FROM work.items WHERE tenant_id = $1::uuid AND id = $2::bigint AND fence = $3::bigint AND state = 'running' RETURNING id
            )
            SELECT work.require_held(count(*)) FROM forgotten
            """;
    }
}
