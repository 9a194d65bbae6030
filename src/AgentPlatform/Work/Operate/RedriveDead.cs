using AgentPlatform.Postgres;

namespace AgentPlatform.Work.Operate;

/// <summary>
/// Carries a redrive on, a step a run: releases the canaries, waits for them, then releases the rest at the chosen rate. A step and the
/// item's own snooze commit together, so a crash releases nothing twice.
/// </summary>
internal sealed class RedriveDead(Database database, IWorkNudge nudge) : IWorkHandler
{
    internal const string Kind = "work.redrive";

    /// <summary>Between steps. The allowance grows with the time that really passed, so a late step keeps the rate.</summary>
    private static readonly TimeSpan Step = TimeSpan.FromSeconds(1);

    /// <summary>Where a redrive stands. Allowance: how many items the rate permits by now. Died: a released item that is dead again.</summary>
    internal sealed record Progress(string Status, int Canary, long Released, long Unfinished, string? Died, int Allowance);

    /// <summary>What to do next: a closed set.</summary>
    internal abstract record Move
    {
        internal sealed record Over : Move;

        internal sealed record Wait : Move;

        internal sealed record Stop(string Reason) : Move;

        internal sealed record Release(int Count, string Status) : Move;
    }

    internal static Move Decide(Progress? at) => at switch
    {
        null or { Status: "completed" or "stopped" } => new Move.Over(),
        { Status: "canary", Released: 0 } => new Move.Release(at.Canary, "canary"),
        { Status: "canary", Died: { } died } => new Move.Stop($"A canary died again: {died}"),
        { Status: "canary", Unfinished: > 0 } => new Move.Wait(),
        { Allowance: 0 } => new Move.Wait(),
        _ => new Move.Release(at.Allowance, "running"),
    };

    public async Task<WorkOutcome> HandleAsync(WorkItem item, CancellationToken ct)
    {
        var id = Guid.Parse(item.Key);
        await using var tx = database.Begin(Actor.System(item.TenantId));
        var over = await MoveAsync(tx, id, Decide(await tx.FindAsync<Progress>(Sql.Progress, [item.TenantId, id], ct)), ct);
        item.Settle(tx, over ? new WorkOutcome.Done() : new WorkOutcome.Snooze(Step));
        tx.AfterCommit(nudge.Nudge);
        await tx.CommitAsync(ct);
        return WorkOutcome.Settled;
    }

    public Task OnDeadAsync(WorkItem item, string error, Transaction tx, CancellationToken ct) =>
        tx.ExecuteAsync(Sql.Finish, [item.TenantId, Guid.Parse(item.Key), "stopped", error], ct);

    /// <summary>True when the redrive has come to its end.</summary>
    private static async Task<bool> MoveAsync(Transaction tx, Guid id, Move move, CancellationToken ct)
    {
        switch (move)
        {
            case Move.Over:
                return true;
            case Move.Stop(var reason):
                await tx.ExecuteAsync(Sql.Finish, [tx.TenantId, id, "stopped", reason], ct);
                return true;
            case Move.Release(var count, var status):
                var released = await tx.SingleAsync<long>(Sql.Release, [tx.TenantId, id, count, status], ct);
                // None left: the canaries, if these were they, have been all there was.
                return released == 0 && await tx.ExecuteAsync(Sql.Finish, [tx.TenantId, id, "completed", null], ct) == 1;
            default:
                return false;
        }
    }

    private static class Sql
    {
        // Ten seconds of allowance at most: a redrive whose host was away does not come back as a flood.
        internal const string Progress =
            """
            SELECT r.status, r.canary, r.released,
                   (SELECT count(*) FROM work.items AS i WHERE i.tenant_id = r.tenant_id AND i.redrive_id = r.id AND i.state IN ('ready', 'running')) AS unfinished,
                   (SELECT i.kind || ' ' || i.key || ': ' || coalesce(i.last_error, '') FROM work.items AS i
                    WHERE i.tenant_id = r.tenant_id AND i.redrive_id = r.id AND i.state = 'dead' ORDER BY i.id LIMIT 1) AS died,
                   floor(r.per_second * least(coalesce(extract(epoch FROM now() - r.released_at), 1), 10))::integer AS allowance
            FROM work.redrives AS r WHERE r.tenant_id = $1 AND r.id = $2 FOR UPDATE OF r
            """;

        // Only what was dead when the redrive began, and each of it once: what dies again waits for a person.
        internal const string Release =
            """
            WITH redrive AS (
                SELECT * FROM work.redrives WHERE tenant_id = $1 AND id = $2
            ), chosen AS (
                SELECT i.id FROM work.items AS i, redrive AS r
                WHERE i.tenant_id = $1 AND i.error_signature IS NOT NULL AND i.finished_at <= r.created_at AND i.redrive_id IS DISTINCT FROM r.id
                  AND (r.kind IS NULL OR i.kind = r.kind) AND (r.error_signature IS NULL OR i.error_signature = r.error_signature)
                ORDER BY i.id LIMIT $3 FOR UPDATE OF i SKIP LOCKED
            ), released AS (
                UPDATE work.items AS i
                SET state = 'ready', attempts = 0, interruptions = 0, run_at = now(), finished_at = NULL, redrive_id = $2
                FROM chosen WHERE i.id = chosen.id
                RETURNING i.id
            )
            UPDATE work.redrives SET status = $4, released = released + (SELECT count(*) FROM released), released_at = now()
            WHERE tenant_id = $1 AND id = $2
            RETURNING (SELECT count(*) FROM released)
            """;

        internal const string Finish =
            """
            UPDATE work.redrives SET status = $3, reason = $4, finished_at = now()
            WHERE tenant_id = $1 AND id = $2 AND status IN ('canary', 'running')
            """;
    }
}
