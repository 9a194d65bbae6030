using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Work;
using AgentPlatform.Workflows.Running;

namespace AgentPlatform.Workflows.Forks;

/// <summary>Runs of a workflow that failed alike.</summary>
public sealed record FailureGroup(string WorkflowId, string ErrorSignature, string? ErrorStep, string ErrorCode, long Count, long Forked, DateTimeOffset FirstFailedAt, DateTimeOffset LastFailedAt, string? LastError);

/// <summary>
/// A fleet of runs that failed alike, taken up again. Status: canary (the first ones are under way), running, completed or stopped (see reason).
/// </summary>
public sealed record FleetFork
{
    public Guid Id { get; init; }
    public string WorkflowId { get; init; } = "";
    public string ErrorSignature { get; init; } = "";
    public string? FromStep { get; init; }
    public int? Version { get; init; }

    /// <summary>How many go first; the others follow when all of these have completed.</summary>
    public int Canary { get; init; }
    public int PerMinute { get; init; }
    public string Status { get; init; } = "";
    public string? Reason { get; init; }

    /// <summary>How many had failed alike when it began.</summary>
    public int Matched { get; init; }
    public long Forked { get; init; }
    public long Refused { get; init; }
    public long Completed { get; init; }
    public long Failed { get; init; }
    public DateTimeOffset CreatedAt { get; init; }
    public DateTimeOffset? FinishedAt { get; init; }

    internal bool IsOver => Status is "completed" or "stopped";
}

/// <summary>The fleets of a tenant.</summary>
internal sealed class FleetForks(WorkQueue work, TimeProvider clock)
{
    internal Task<IReadOnlyList<FailureGroup>> FailuresAsync(Transaction tx, string? workflowId, CancellationToken ct) => tx.QueryAsync<FailureGroup>(Sql.Failures, [workflowId], ct);

    /// <summary>Problem <c>nothing_to_fork</c> when no run has failed like this and was not taken up since.</summary>
    internal async Task<Result<FleetFork>> StartAsync(Transaction tx, FleetBody body, CancellationToken ct)
    {
        var (id, user) = (clock.NewId(), tx.Actor!.UserId);
        var started = await tx.ExecuteAsync(Sql.Start,
        [
            tx.TenantId, id, body.WorkflowId, body.ErrorSignature, body.FromStep, body.Version, body.Canary, body.PerMinute, user == Guid.Empty ? null : user, clock.GetUtcNow(),
        ], ct);
        if (started == 0)
        {
            return Problem.Conflict("nothing_to_fork", "No run of this workflow has failed like this, or all were taken up again.");
        }

        work.Enqueue(tx, new NewWork(RunFleet.Kind, id.ToString("n"), new FleetWork(id)));
        return (await FindAsync(tx, id, ct))!;
    }

    internal async Task<Page<FleetFork>> ListAsync(Transaction tx, PageRequest page, CancellationToken ct) =>
        Page<FleetFork>.Cut(await tx.QueryAsync<FleetFork>(Sql.List, [null, page.Before, page.Fetch], ct), page, fleet => fleet.Id);

    internal Task<FleetFork?> FindAsync(Transaction tx, Guid id, CancellationToken ct) => tx.FindAsync<FleetFork>(Sql.List, [id, null, 1], ct);

    /// <summary>The fleet, locked.</summary>
    internal async Task<FleetFork?> LockAsync(Transaction tx, Guid id, CancellationToken ct) => await tx.FindAsync<Guid?>(Sql.Lock, [id], ct) is null ? null : await FindAsync(tx, id, ct);

    /// <summary>How many the rate permits by now; a minute's worth at most, so that a fleet whose host was away does not come back as a flood.</summary>
    internal Task<int> AllowanceAsync(Transaction tx, Guid id, CancellationToken ct) => tx.SingleAsync<int>(Sql.Allowance, [id, clock.GetUtcNow()], ct);

    internal Task<IReadOnlyList<Guid>> NextAsync(Transaction tx, Guid id, int count, CancellationToken ct) => tx.QueryAsync<Guid>(Sql.Next, [id, count], ct);

    internal void Member(Transaction tx, Guid fleet, Guid source, Guid? fork, string? refusal) => tx.Post(Sql.Member, tx.TenantId, fleet, source, fork, refusal);

    internal void Move(Transaction tx, Guid id, string status) => tx.Post(Sql.Move, id, status, clock.GetUtcNow());

    internal async Task<bool> FinishAsync(Transaction tx, Guid id, string status, string? reason, CancellationToken ct) =>
        await tx.ExecuteAsync(Sql.Finish, [id, status, reason, clock.GetUtcNow()], ct) == 1;

    private static class Sql
    {
        internal const string Failures =
            """
            SELECT i.workflow_id, e.error_signature, e.error_step, e.error_code, count(*) AS count,
                   count(*) FILTER (WHERE EXISTS (SELECT FROM workflows.workflow_instances f WHERE f.forked_from = i.id AND f.status <> 'failed')) AS forked,
                   min(e.completed_at) AS first_failed_at, max(e.completed_at) AS last_failed_at, (array_agg(e.error ORDER BY e.completed_at DESC))[1] AS last_error
            FROM workflows.workflow_executions e JOIN workflows.workflow_instances i USING (tenant_id, id)
            WHERE e.status = 'failed' AND ($1::text IS NULL OR i.workflow_id = $1)
            GROUP BY i.workflow_id, e.error_signature, e.error_step, e.error_code
            ORDER BY count(*) DESC, max(e.completed_at) DESC LIMIT 200
            """;

        // One that somebody has taken up since is left alone, unless that failed as well: then it counts itself.
        internal const string Start =
            """
            WITH found AS (
                SELECT i.workflow, count(*) AS matched
                FROM workflows.workflow_executions e JOIN workflows.workflow_instances i USING (tenant_id, id)
                WHERE e.status = 'failed' AND i.workflow_id = $3 AND e.error_signature = $4
                  AND NOT EXISTS (SELECT FROM workflows.workflow_instances f WHERE f.forked_from = i.id)
                GROUP BY i.workflow
            )
            INSERT INTO workflows.workflow_fleet_forks (tenant_id, id, workflow, error_signature, from_step, version, canary, per_minute, status, matched, created_by, created_at)
            SELECT $1, $2, workflow, $4, $5, $6, $7, $8, CASE WHEN $7 > 0 THEN 'canary' ELSE 'running' END, matched, $9, $10 FROM found
            """;

        internal const string List =
            """
            SELECT f.*, w.workflow_id, m.forked, m.refused, m.completed, m.failed
            FROM workflows.workflow_fleet_forks f JOIN workflows.automation_workflows w ON w.tenant_id = f.tenant_id AND w.id = f.workflow
            CROSS JOIN LATERAL (
                SELECT count(m.fork) AS forked, count(m.refusal) AS refused, count(*) FILTER (WHERE i.status = 'completed') AS completed,
                       count(*) FILTER (WHERE i.status IN ('failed', 'cancelled')) AS failed
                FROM workflows.workflow_fleet_members m LEFT JOIN workflows.workflow_instances i ON i.tenant_id = m.tenant_id AND i.id = m.fork
                WHERE m.tenant_id = f.tenant_id AND m.fleet = f.id
            ) AS m
            WHERE ($1::uuid IS NULL OR f.id = $1) AND ($2::uuid IS NULL OR f.id < $2)
            ORDER BY f.id DESC LIMIT $3
            """;

        internal const string Lock = "SELECT id FROM workflows.workflow_fleet_forks WHERE id = $1 FOR NO KEY UPDATE";

        internal const string Allowance =
            """
            SELECT floor(per_minute * least(coalesce(extract(epoch FROM $2 - released_at), 60), 60) / 60)::integer
            FROM workflows.workflow_fleet_forks WHERE id = $1
            """;

        internal const string Next =
            """
            SELECT i.id
            FROM workflows.workflow_fleet_forks f
            JOIN workflows.workflow_executions e ON e.tenant_id = f.tenant_id AND e.error_signature = f.error_signature AND e.workflow = f.workflow
                AND e.status = 'failed' AND e.completed_at <= f.created_at
            JOIN workflows.workflow_instances i ON i.tenant_id = e.tenant_id AND i.id = e.id
            WHERE f.id = $1
              AND NOT EXISTS (SELECT FROM workflows.workflow_fleet_members m WHERE m.tenant_id = f.tenant_id AND m.fleet = f.id AND m.source = i.id)
              AND NOT EXISTS (SELECT FROM workflows.workflow_instances other WHERE other.forked_from = i.id)
            ORDER BY i.id LIMIT $2
            """;

        internal const string Member = "INSERT INTO workflows.workflow_fleet_members (tenant_id, fleet, source, fork, refusal) VALUES ($1, $2, $3, $4, $5)";

        internal const string Move = "UPDATE workflows.workflow_fleet_forks SET status = $2, released_at = $3 WHERE id = $1";

        internal const string Finish =
            "UPDATE workflows.workflow_fleet_forks SET status = $2, reason = $3, finished_at = $4 WHERE id = $1 AND status IN ('canary', 'running')";
    }
}

internal sealed record FleetWork(Guid FleetId);

/// <summary>Carries a fleet on, a step a run: the canaries, then the rest at the chosen rate.</summary>
internal sealed class RunFleet(Database database, FleetForks fleets, ForkInstance forks) : IWorkHandler
{
    internal const string Kind = "workflows.fleet";

    /// <summary>At most so many in one transaction.</summary>
    private const int Batch = 50;

    private static readonly TimeSpan Step = TimeSpan.FromSeconds(1);

    /// <summary>What to do next: a closed set.</summary>
    internal abstract record Move
    {
        internal sealed record Over : Move;

        internal sealed record Wait : Move;

        internal sealed record Stop(string Reason) : Move;

        internal sealed record Release(int Count, string Status) : Move;
    }

    internal static Move Decide(FleetFork? at, int allowance) => at switch
    {
        null or { IsOver: true } => new Move.Over(),
        { Status: "canary", Forked: 0, Refused: 0 } => new Move.Release(Math.Min(at.Canary, Batch), "canary"),
        { Status: "canary", Failed: > 0 } => new Move.Stop("A canary has failed again."),
        { Status: "canary" } when at.Completed < at.Forked => new Move.Wait(),
        { Status: "canary" } when at.Forked + at.Refused < at.Canary => new Move.Release((int)Math.Min(at.Canary - at.Forked - at.Refused, Batch), "canary"),
        _ when allowance == 0 => new Move.Wait(),
        _ => new Move.Release(Math.Min(allowance, Batch), "running"),
    };

    public async Task<WorkOutcome> HandleAsync(WorkItem item, CancellationToken ct)
    {
        var id = item.Read<FleetWork>().FleetId;
        await using var tx = database.Begin(Actor.System(item.TenantId));
        var fleet = await fleets.LockAsync(tx, id, ct);
        var over = await MoveAsync(tx, fleet, Decide(fleet, fleet is null ? 0 : await fleets.AllowanceAsync(tx, id, ct)), ct);
        item.Settle(tx, over ? new WorkOutcome.Done() : new WorkOutcome.Snooze(Step));
        await tx.CommitAsync(ct);
        return WorkOutcome.Settled;
    }

    public Task OnDeadAsync(WorkItem item, string error, Transaction tx, CancellationToken ct) => fleets.FinishAsync(tx, item.Read<FleetWork>().FleetId, "stopped", error, ct);

    /// <summary>True when the fleet has come to its end.</summary>
    private async Task<bool> MoveAsync(Transaction tx, FleetFork? fleet, Move move, CancellationToken ct)
    {
        switch (move)
        {
            case Move.Over:
                return true;
            case Move.Stop(var reason):
                return await fleets.FinishAsync(tx, fleet!.Id, "stopped", reason, ct);
            case Move.Release(var count, var status):
                return await ReleaseAsync(tx, fleet!, count, status, ct);
            default:
                return false;
        }
    }

    private async Task<bool> ReleaseAsync(Transaction tx, FleetFork fleet, int count, string status, CancellationToken ct)
    {
        var sources = await fleets.NextAsync(tx, fleet.Id, count, ct);
        if (sources.Count == 0)
        {
            return await fleets.FinishAsync(tx, fleet.Id, "completed", null, ct);
        }

        foreach (var source in sources)
        {
            var forked = await forks.RunAsync(tx, source, new WorkflowFork(fleet.FromStep, fleet.Version), $"fleet:{fleet.Id:n}:{source:n}", ct);
            fleets.Member(tx, fleet.Id, source, forked.IsOk ? forked.Value.Id : null, forked.Problem?.Code);
        }

        fleets.Move(tx, fleet.Id, status);
        return false;
    }
}
