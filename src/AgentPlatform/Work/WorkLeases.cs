using AgentPlatform.Postgres;
using AgentPlatform.Work.Operate;
using Microsoft.Extensions.Options;
using Npgsql;

namespace AgentPlatform.Work;

/// <summary>
/// The claims of this process: taking, renewing and completing them. With <see cref="Settlement"/> (complete) and <see cref="LookForWork"/>
/// (what is due, and where) these are all statements of the engine's cycle.
/// </summary>
internal sealed class WorkLeases(Database database, WorkKinds kinds, WorkMetrics metrics, VacuumAlarm alarm, IOptions<WorkOptions> options, TimeProvider clock)
{
    private readonly LookForWork _look = new(kinds);

    /// <summary>A fresh identity per process: a restarted host never mistakes its former self's claims for its own.</summary>
    private readonly Guid _owner = Guid.CreateVersion7(clock.GetUtcNow());

    /// <summary>How long a claim holds without renewal.</summary>
    internal TimeSpan Lease { get; } = TimeSpan.FromSeconds(options.Value.LeaseSeconds);

    /// <summary>Where due work is believed to wait.</summary>
    internal Lanes Lanes { get; } = new(clock);

    /// <summary>New work waits there. Of kinds this process does not know, a newer version's process is told.</summary>
    internal void Tell(Lane lane)
    {
        if (_look.Knows(lane.Kind))
        {
            Lanes.Tell(lane);
        }
    }

    /// <summary>False while a look has not come round to all lanes.</summary>
    internal bool HasLookedEverywhere => _look.IsRound;

    /// <summary>Completes what ended, looks everywhere for what is due, and claims some of it.</summary>
    internal async Task<IReadOnlyList<WorkItem>> CompleteAndClaimAsync(IReadOnlyCollection<Settlement> ended, int capacity, CancellationToken ct)
    {
        var reclaimed = await CompleteAndClaimAsync(new Ends(ended, []), capacity, Look.Everywhere, [], ct);
        return [.. reclaimed, .. await CompleteAndClaimAsync(Ends.None, capacity - reclaimed.Count, Look.Nowhere, ct)];
    }

    /// <summary>
    /// Completes what ended, claims what is due in the known lanes, and looks for what else is due, in one round trip: what is found is
    /// claimed by the next.
    /// </summary>
    internal async Task<IReadOnlyList<WorkItem>> CompleteAndClaimAsync(Ends ended, int capacity, Look look, CancellationToken ct)
    {
        while (true)
        {
            var turns = Lanes.Take(capacity, alarm.Throttle);
            try
            {
                return await CompleteAndClaimAsync(ended, capacity, look, turns, ct);
            }
            catch (PostgresException e) when (e.SqlState == PostgresErrorCodes.DeadlockDetected || e.ConstraintName == "items_serial_runs_alone")
            {
                // Another claim took a later item of a serial key, before the earlier one was to be seen. It is over now: look again.
                Lanes.Failed(turns);
            }
            catch
            {
                Lanes.Failed(turns);
                throw;
            }
        }
    }

    private async Task<IReadOnlyList<WorkItem>> CompleteAndClaimAsync(
        Ends ended, int capacity, Look look, IReadOnlyList<LaneTurn> turns, CancellationToken ct)
    {
        await using var tx = database.BeginWorker();
        tx.Gather();
        _ = tx.QueryAsync<string>(Sql.Plan, [], ct);
        if (ended.Items.Count > 0)
        {
            Settlement.Post(tx, ended.Items);
        }
        else
        {
            // A claim that is lost is made again; whatever its item has written is lost with it, or has taken it to disk along.
            tx.FlushLater();
        }

        var claiming = ClaimAsync(tx, turns, ct);
        var reclaiming = look.Leases ? tx.QueryAsync<Claimed>(Sql.Reclaim, [_owner, Lease, kinds.Names, capacity], ct) : Task.FromResult<IReadOnlyList<Claimed>>([]);
        var looking = _look.AskAsync(tx, look, ct);
        if (ended.Claims.Count > 0)
        {
            tx.Post(Sql.ForgetClaims, ended.Claims.ToArray());
        }

        var horizon = look.Around && alarm.IsToLook ? VacuumHorizon.ReadAsync(tx, ct) : null;
        await tx.CommitAsync(ct);

        var claimed = await claiming;
        Lanes.Answered(
            turns,
            [.. claimed.Select(c => (new Lane(c.TenantId, c.Kind, c.Priority), new Place(c.RunAt, c.Id)))],
            claimed.Where(c => c.Cut).Select(c => c.TenantId).ToHashSet());
        var found = await looking;
        Lanes.Found(found.Around, look.Again);
        Lanes.Found(found.At, again: true);
        Lanes.GoBack(found.Next);
        if (horizon is not null)
        {
            alarm.See(await horizon);
        }

        return [.. Items(await reclaiming), .. Items(claimed)];
    }

    private async Task<IReadOnlyList<Claimed>> ClaimAsync(Transaction tx, IReadOnlyList<LaneTurn> turns, CancellationToken ct)
    {
        if (turns.Count == 0)
        {
            return [];
        }

        var tenants = turns.Select(t => t.Lane.TenantId).ToArray();
        var laneKinds = turns.Select(t => t.Lane.Kind).ToArray();
        _ = tx.QueryAsync<long>(Sql.TakeTurn, [tenants, laneKinds], ct);
        var claiming = tx.QueryAsync<Claimed>(
            Sql.Claim,
            [
                _owner, Lease, tenants, laneKinds, turns.Select(t => t.Lane.Priority).ToArray(),
                turns.Select(t => t.After.RunAt).ToArray(), turns.Select(t => t.After.Id).ToArray(), turns.Select(t => t.Quota).ToArray(),
            ],
            ct);
        var waiting = tx.QueryAsync<TokenWait>(Sql.NextToken, [tenants, laneKinds], ct);
        var claimed = await claiming;
        foreach (var wait in await waiting)
        {
            Lanes.Later(wait.TenantId, TimeSpan.FromSeconds(Math.Max(wait.Seconds, 0)));
        }

        return claimed;
    }

    /// <summary>
    /// Extends the leases of what this process has in hand; returns the ids it still holds. What it claimed but has in hand no more, because its
    /// end could not be written, is left to run out, or a busy process would keep it for ever.
    /// </summary>
    internal async Task<IReadOnlySet<long>> RenewAsync(IReadOnlyCollection<WorkItem> inHand, CancellationToken ct)
    {
        await using var tx = database.BeginWorker();
        var held = await tx.QueryAsync<long>(Sql.Renew, [_owner, Lease, inHand.Select(i => i.TenantId).ToArray(), inHand.Select(i => i.Id).ToArray()], ct);
        await tx.CommitAsync(ct);
        return held.ToHashSet();
    }

    private IEnumerable<WorkItem> Items(IReadOnlyList<Claimed> claimed)
    {
        var claim = claimed.Count > 0 ? new Claim(claimed[0].ClaimId, claimed.Count) : null;
        return claimed.Select(c => Count(c, claim));
    }

    private WorkItem Count(Claimed c, Claim? claim)
    {
        metrics.Claimed(c.Kind, c.TakenOver);
        return new WorkItem(c.Id, c.TenantId, c.Kind, c.Key, c.RawPayload, c.Attempt, c.MaxAttempts, c.Interruptions, c.Fence, c.EnqueuedAt)
        {
            Priority = c.Priority,
            SerialKey = c.SerialKey,
            IsLimited = c.IsLimited,
            TraceParent = c.TraceParent,
            IsForgotten = kinds.Find(c.Kind).ForgetDone && !c.IsRedriven,
            Claim = claim,
        };
    }

    /// <summary>
    /// A claimed row. Cut: a limit kept some of the tenant's back, and others may wait behind those.
    /// TakenOver: from a process whose lease ran out.
    /// </summary>
    private sealed record Claimed(
        long Id, Guid TenantId, string Kind, string Key, string RawPayload, int Attempt, int MaxAttempts, int Interruptions, long Fence,
        DateTimeOffset EnqueuedAt, short Priority, DateTimeOffset RunAt, string? TraceParent, string? SerialKey, bool IsLimited, bool IsRedriven, bool Cut,
        bool TakenOver, long ClaimId);

    private sealed record TokenWait(Guid TenantId, double Seconds);

    private static class Sql
    {
        // A plan made while the queue was empty serves on when a million items wait: it must follow the order of the indexes from the beginning.
        internal const string Plan = "SELECT set_config('enable_bitmapscan', 'off', true)";

        // Running work is counted before it is added to, so claims under a limit come one after the other. The turn is a statement of its own
        // because the claim's snapshot must be younger than the wait. Tenants and kinds without a limit wait for nobody.
        internal const string TakeTurn =
            """
            SELECT count(*) FROM (
                SELECT FROM work.limits
                WHERE tenant_id = ANY ($1::uuid[]) AND (kind IS NULL OR kind = ANY ($2::text[])) AND (max_running IS NOT NULL OR per_second IS NOT NULL)
                ORDER BY id FOR UPDATE) AS turns
            """;

        // A tenant's turn takes the most urgent of all its lanes, each read from where it was left and no further than its quota. The CTE `due`
        // locks what it finds, because a locked row is another claimer's and must be skipped before the quota is counted; what a limit then
        // keeps out is left as it was. `room` is what each limit still admits, counted once for all rows by the list of claims, and not at all for a
        // limit that all that is listed and all that is asked for together cannot reach; what starts under a rate is paid for in the same
        // statement, a batch at a time.
        internal const string Claim =
            """
            WITH lane AS MATERIALIZED (
                SELECT l.* FROM unnest($3::uuid[], $4::text[], $5::smallint[], $6::timestamptz[], $7::bigint[], $8::integer[])
                     AS l (tenant_id, kind, priority, after_run_at, after_id, quota)
                WHERE NOT EXISTS (
                    SELECT FROM work.pauses AS p WHERE p.tenant_id = l.tenant_id AND (p.kind IS NULL OR p.kind = l.kind) AND p.serial_key IS NULL)
            ), listed AS MATERIALIZED (
                SELECT coalesce(sum(cardinality(item_ids)), 0) AS most FROM work.claims
            ), room AS MATERIALIZED (
                SELECT l.id, l.tenant_id, l.kind, l.concurrency_key, l.max_running, q.quota, t.tokens, t.at, least(floor(t.tokens), l.max_running - CASE
                           WHEN l.max_running >= (SELECT most FROM listed) + q.quota THEN (SELECT most FROM listed)
                           WHEN l.max_running IS NOT NULL THEN (
                               SELECT count(DISTINCT r.id) FROM work.claims AS c CROSS JOIN unnest(c.tenant_ids, c.item_ids) AS n (tenant_id, id)
                               JOIN work.items AS r ON r.tenant_id = n.tenant_id AND r.id = n.id
                               WHERE n.tenant_id = l.tenant_id AND r.state = 'running'
                                 AND (l.kind IS NULL OR l.kind = r.kind) AND (l.concurrency_key IS NULL OR l.concurrency_key = r.concurrency_key)) END) AS free
                FROM work.limits AS l
                JOIN (SELECT tenant_id, max(quota) AS quota FROM lane GROUP BY tenant_id) AS q ON q.tenant_id = l.tenant_id
                LEFT JOIN LATERAL (
                    SELECT least(l.burst, k.tokens + l.per_second * greatest(extract(epoch FROM c.at - k.refilled_at), 0)) AS tokens, c.at
                    FROM work.tokens AS k, (SELECT clock_timestamp() AS at) AS c
                    WHERE k.tenant_id = l.tenant_id AND k.limit_id = l.id) AS t ON l.per_second IS NOT NULL
                WHERE l.max_running IS NOT NULL OR l.per_second IS NOT NULL
            ), due AS MATERIALIZED (
                SELECT d.* FROM (SELECT DISTINCT tenant_id, quota FROM lane) AS turn CROSS JOIN LATERAL (
                    SELECT w.* FROM lane AS l CROSS JOIN LATERAL (
                        SELECT i.tenant_id, i.id, i.kind, i.concurrency_key, work.claim_order(i.priority, i.run_at) AS place
                        FROM work.items AS i
                        WHERE i.tenant_id = l.tenant_id AND i.kind = l.kind AND i.priority = l.priority AND i.finished_at IS NULL AND i.state = 'ready'
                          AND (i.run_at, i.id) > (l.after_run_at, l.after_id) AND i.run_at <= now()
                          AND (i.start_by IS NULL OR i.start_by > now() OR i.fence > 0)
                          AND (i.serial_key IS NULL OR NOT EXISTS (
                              SELECT FROM work.items AS e
                              WHERE e.tenant_id = i.tenant_id AND e.serial_key = i.serial_key AND e.finished_at IS NULL
                                AND (e.id < i.id OR e.state = 'running')))
                          AND (i.serial_key IS NULL OR NOT EXISTS (
                              SELECT FROM work.pauses AS p
                              WHERE p.tenant_id = i.tenant_id AND (p.kind IS NULL OR p.kind = i.kind) AND p.serial_key = i.serial_key))
                          AND NOT EXISTS (
                              SELECT FROM room AS r
                              WHERE r.free <= 0 AND r.tenant_id = i.tenant_id AND (r.kind IS NULL OR r.kind = i.kind)
                                AND (r.concurrency_key IS NULL OR r.concurrency_key = i.concurrency_key))
                        ORDER BY i.run_at, i.id
                        LIMIT l.quota
                        FOR UPDATE OF i SKIP LOCKED) AS w
                    WHERE l.tenant_id = turn.tenant_id
                    ORDER BY w.place, w.id
                    LIMIT turn.quota) AS d
            ), beyond AS MATERIALIZED (
                -- Several of this batch under one limit: only as many as it has room for.
                SELECT tenant_id, id FROM (
                    SELECT d.tenant_id, d.id, r.free, row_number() OVER (PARTITION BY r.id ORDER BY d.place, d.id) AS place
                    FROM (SELECT * FROM room WHERE free < quota) AS r
                    JOIN due AS d
                      ON r.tenant_id = d.tenant_id AND (r.kind IS NULL OR r.kind = d.kind) AND (r.concurrency_key IS NULL OR r.concurrency_key = d.concurrency_key)) AS limited
                WHERE place > free
            ), spent AS (
                UPDATE work.tokens AS k SET tokens = r.tokens - n.started, refilled_at = r.at
                FROM room AS r
                CROSS JOIN LATERAL (
                    SELECT count(*) AS started FROM due AS d
                    WHERE r.tenant_id = d.tenant_id AND (r.kind IS NULL OR r.kind = d.kind) AND (r.concurrency_key IS NULL OR r.concurrency_key = d.concurrency_key)
                      AND d.id NOT IN (SELECT id FROM beyond)) AS n
                WHERE k.tenant_id = r.tenant_id AND k.limit_id = r.id AND n.started > 0
            ), claimed AS (
                UPDATE work.items AS i
                SET state = 'running', owner = $1, lease_until = now() + $2, started_at = clock_timestamp(), fence = i.fence + 1, attempts = i.attempts + 1
                FROM due AS d
                WHERE i.tenant_id = d.tenant_id AND i.id = d.id AND d.id NOT IN (SELECT id FROM beyond)
                RETURNING i.id, i.tenant_id, i.kind, i.key, i.payload::text AS raw_payload, i.attempts AS attempt, i.max_attempts, i.interruptions, i.fence, i.enqueued_at,
                          i.priority, i.run_at, i.trace_parent, i.serial_key, i.tenant_id IN (SELECT tenant_id FROM room WHERE max_running IS NOT NULL) AS is_limited,
                          i.redrive_id IS NOT NULL AS is_redriven,
                          i.tenant_id IN (SELECT tenant_id FROM beyond) AS cut, false AS taken_over
            ), noted AS (
                INSERT INTO work.claims (look_at, tenant_ids, item_ids)
                SELECT now() + $2, array_agg(tenant_id), array_agg(id) FROM claimed HAVING count(*) > 0
                RETURNING id
            )
            SELECT c.*, n.id AS claim_id FROM claimed AS c, noted AS n
            """;

        // When the next token comes for each of the tenants that have run out: until then a claim of theirs finds nothing.
        internal const string NextToken =
            """
            SELECT l.tenant_id, min((1 - k.tokens) / l.per_second - extract(epoch FROM clock_timestamp() - k.refilled_at)) AS seconds
            FROM work.limits AS l
            JOIN work.tokens AS k ON k.tenant_id = l.tenant_id AND k.limit_id = l.id
            WHERE l.tenant_id = ANY ($1::uuid[]) AND (l.kind IS NULL OR l.kind = ANY ($2::text[])) AND l.per_second IS NOT NULL
              AND k.tokens + l.per_second * extract(epoch FROM clock_timestamp() - k.refilled_at) < 1
            GROUP BY l.tenant_id
            """;

        // An expired lease is as good as a due item: recovery needs no event, only time. It needs no look at its serial key or its limits, for
        // it still holds its place in them. That its holder went away is no attempt. Claims of which something still runs are looked at again when
        // the next of its leases may have run out, those of which nothing does are forgotten.
        internal const string Reclaim =
            """
            WITH due AS MATERIALIZED (
                SELECT id, tenant_ids, item_ids FROM work.claims WHERE look_at < now() ORDER BY look_at FOR UPDATE SKIP LOCKED
            ), held AS MATERIALIZED (
                SELECT d.id AS claim_id, i.tenant_id, i.id, i.lease_until
                FROM due AS d CROSS JOIN unnest(d.tenant_ids, d.item_ids) AS n (tenant_id, id)
                JOIN work.items AS i ON i.tenant_id = n.tenant_id AND i.id = n.id
                WHERE i.state = 'running'
            ), expired AS MATERIALIZED (
                SELECT i.tenant_id, i.id
                FROM held AS h
                JOIN work.items AS i ON i.tenant_id = h.tenant_id AND i.id = h.id
                WHERE i.state = 'running' AND i.lease_until < now() AND i.kind = ANY ($3)
                  AND NOT EXISTS (
                      SELECT FROM work.pauses AS p
                      WHERE p.tenant_id = i.tenant_id AND (p.kind IS NULL OR p.kind = i.kind) AND (p.serial_key IS NULL OR p.serial_key = i.serial_key))
                ORDER BY h.lease_until
                LIMIT $4
                FOR UPDATE OF i SKIP LOCKED
            ), taken AS (
                UPDATE work.items AS i
                SET owner = $1, lease_until = now() + $2, started_at = clock_timestamp(), fence = i.fence + 1, interruptions = i.interruptions + 1
                FROM expired AS e
                WHERE i.tenant_id = e.tenant_id AND i.id = e.id
                RETURNING i.id, i.tenant_id, i.kind, i.key, i.payload::text AS raw_payload, i.attempts AS attempt, i.max_attempts, i.interruptions, i.fence, i.enqueued_at,
                          i.priority, i.run_at, i.trace_parent, i.serial_key, true AS is_limited, i.redrive_id IS NOT NULL AS is_redriven, false AS cut, true AS taken_over
            ), noted AS (
                INSERT INTO work.claims (look_at, tenant_ids, item_ids)
                SELECT now() + $2, array_agg(tenant_id), array_agg(id) FROM taken HAVING count(*) > 0
                RETURNING id
            ), later AS (
                UPDATE work.claims AS c SET look_at = l.look_at
                FROM (SELECT claim_id, min(lease_until) AS look_at FROM held WHERE id NOT IN (SELECT id FROM expired) GROUP BY claim_id) AS l
                WHERE c.id = l.claim_id AND c.look_at < l.look_at
            ), over AS (
                DELETE FROM work.claims AS c USING due AS d
                WHERE c.id = d.id AND NOT EXISTS (SELECT FROM held AS h WHERE h.claim_id = d.id AND h.id NOT IN (SELECT id FROM expired))
            )
            SELECT t.*, n.id AS claim_id FROM taken AS t, noted AS n
            """;

        internal const string ForgetClaims = "DELETE FROM work.claims WHERE id = ANY ($1::bigint[])";

        internal const string Renew =
            """
            UPDATE work.items AS i SET lease_until = now() + $2
            FROM unnest($3::uuid[], $4::bigint[]) AS h (tenant_id, id)
            WHERE i.tenant_id = h.tenant_id AND i.id = h.id AND coalesce(i.owner = $1, false)
            RETURNING i.id
            """;
    }
}
