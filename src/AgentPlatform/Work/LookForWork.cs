using AgentPlatform.Postgres;

namespace AgentPlatform.Work;

/// <summary>
/// Where something ended that others may have waited for: a serial key, or, when null, anything of the tenant. InLimit: they waited for it only if a limit
/// of the tenant was reached.
/// </summary>
internal sealed record Freed(Guid TenantId, string? SerialKey, bool InLimit = false);

/// <summary>
/// Where to look for due work: at leases that ran out; around, from where the last look ended; at the whole of some tenants; and at who is next in some
/// serial keys. Again: known lanes are read from their beginning once more, for what was passed over in them.
/// </summary>
internal sealed record Look(bool Leases, bool Around, bool Again, IReadOnlyCollection<Freed> Freed)
{
    internal static readonly Look Everywhere = new(true, true, true, []);

    internal static readonly Look Nowhere = new(false, false, false, []);

    internal bool Any => Leases || Around || Freed.Count > 0;

    internal Guid[] Tenants => [.. Freed.Where(f => f is { SerialKey: null, InLimit: false }).Select(f => f.TenantId).Distinct()];

    internal Guid[] TenantsInLimit => [.. Freed.Where(f => f.InLimit).Select(f => f.TenantId).Distinct().Except(Tenants)];

    internal Freed[] Keys => [.. Freed.Where(f => f.SerialKey is not null)];
}

/// <summary>Lanes that begin with something due: seen around, and of the tenants that were asked after; and who is next in serial keys.</summary>
internal sealed record Found(IReadOnlyList<Lane> Around, IReadOnlyList<Lane> At, IReadOnlyList<(Lane Lane, Place Place)> Next);

/// <summary>
/// Finds the lanes that begin with something due, in steps of one index probe a lane. Nudges tell of most work before; a look finds what no
/// nudge told of: retries and schedules that fell due, work of other hosts, and what had to wait for others.
/// </summary>
internal sealed class LookForWork(WorkKinds kinds)
{
    /// <summary>Lanes of one look: with more the next goes on where this one ended, so that no look takes long.</summary>
    private const int Steps = 250;

    private static readonly Lane First = new(Guid.Empty, "", -1);

    private readonly HashSet<string> _kinds = new(kinds.Names, StringComparer.Ordinal);
    private Lane _last = First;

    /// <summary>False while lanes are left that the present round has not come to.</summary>
    internal bool IsRound => _last == First;

    internal bool Knows(string kind) => _kinds.Contains(kind);

    /// <summary>To be gathered: travels with the transaction's next round trip.</summary>
    internal async Task<Found> AskAsync(Transaction tx, Look look, CancellationToken ct)
    {
        var around = Task.FromResult<IReadOnlyList<Seen>>([]);
        if (look.Around)
        {
            tx.Post(Sql.CancelLate);
            around = tx.QueryAsync<Seen>(Sql.Around, [_last.TenantId, _last.Kind, _last.Priority, Steps], ct);
        }

        var (tenants, inLimit) = (look.Tenants, look.TenantsInLimit);
        var at = tenants.Length + inLimit.Length > 0 ? tx.QueryAsync<Seen>(Sql.At, [tenants, inLimit], ct) : Task.FromResult<IReadOnlyList<Seen>>([]);
        var next = look.Keys is { Length: > 0 } keys
            ? tx.QueryAsync<Next>(Sql.Next, [keys.Select(k => k.TenantId).ToArray(), keys.Select(k => k.SerialKey).ToArray()], ct)
            : Task.FromResult<IReadOnlyList<Next>>([]);
        var seen = await around;
        if (look.Around)
        {
            _last = seen.Count == Steps ? seen[^1].Lane : First;
        }

        return new Found(
            [.. Due(seen)],
            [.. Due(await at)],
            [.. (await next).Where(n => Knows(n.Kind)).Select(n => (new Lane(n.TenantId, n.Kind, n.Priority), new Place(n.RunAt, n.Id)))]);
    }

    private IEnumerable<Lane> Due(IReadOnlyList<Seen> seen) => seen.Where(s => s.Due && Knows(s.Kind)).Select(s => s.Lane);

    private sealed record Seen(Guid TenantId, string Kind, short Priority, bool Due)
    {
        internal Lane Lane => new(TenantId, Kind, Priority);
    }

    private sealed record Next(Guid TenantId, string Kind, short Priority, DateTimeOffset RunAt, long Id);

    private static class Sql
    {
        internal const string CancelLate =
            """
            UPDATE work.items AS i
            SET state = 'cancelled', finished_at = now(),
                last_error = 'Not started by ' || to_char(i.start_by AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || ' UTC.'
            FROM (SELECT tenant_id, id FROM work.items WHERE waiting_start_by <= now() LIMIT 1000 FOR UPDATE SKIP LOCKED) AS late
            WHERE i.tenant_id = late.tenant_id AND i.id = late.id
            """;

        // From the first row of one lane to the first row of the next: the rows between are never read.
        internal const string Around =
            """
            WITH RECURSIVE lane AS (
                (SELECT 1 AS step, i.tenant_id, i.kind, i.priority, i.run_at FROM work.items AS i
                 WHERE i.state = 'ready' AND i.finished_at IS NULL AND (i.tenant_id, i.kind, i.priority) > ($1::uuid, $2::text, $3::smallint)
                 ORDER BY i.tenant_id, i.kind, i.priority, i.run_at, i.id LIMIT 1)
                UNION ALL
                SELECT l.step + 1, n.* FROM lane AS l CROSS JOIN LATERAL (
                    SELECT i.tenant_id, i.kind, i.priority, i.run_at FROM work.items AS i
                    WHERE i.state = 'ready' AND i.finished_at IS NULL AND (i.tenant_id, i.kind, i.priority) > (l.tenant_id, l.kind, l.priority)
                    ORDER BY i.tenant_id, i.kind, i.priority, i.run_at, i.id LIMIT 1) AS n
                WHERE l.step < $4
            )
            SELECT tenant_id, kind, priority, run_at <= now() AS due FROM lane
            """;

        // Who is next in a serial key, and where: its lane need not be read from the beginning for it, which an old snapshot would make dear.
        internal const string Next =
            """
            SELECT n.* FROM unnest($1::uuid[], $2::text[]) AS k (tenant_id, serial_key) CROSS JOIN LATERAL (
                SELECT i.tenant_id, i.kind, i.priority, i.run_at, i.id FROM work.items AS i
                WHERE i.tenant_id = k.tenant_id AND i.serial_key = k.serial_key AND i.finished_at IS NULL
                ORDER BY i.id LIMIT 1) AS n
            WHERE n.run_at <= now()
            """;

        // While less was claimed than a limit of theirs permits, nothing waited for it: what ended in these claims counts as well, because they are
        // forgotten after the look.
        internal const string At =
            """
            WITH RECURSIVE tenant AS MATERIALIZED (
                SELECT id FROM unnest($1::uuid[]) AS t (id)
                UNION ALL
                SELECT t.id FROM unnest($2::uuid[]) AS t (id)
                WHERE EXISTS (
                    SELECT FROM work.limits AS l
                    WHERE l.tenant_id = t.id AND l.max_running <= (SELECT coalesce(sum(cardinality(item_ids)), 0) FROM work.claims))
            ), lane AS (
                SELECT f.* FROM tenant AS t CROSS JOIN LATERAL (
                    SELECT i.tenant_id, i.kind, i.priority, i.run_at FROM work.items AS i
                    WHERE i.state = 'ready' AND i.finished_at IS NULL AND i.tenant_id = t.id
                    ORDER BY i.tenant_id, i.kind, i.priority, i.run_at, i.id LIMIT 1) AS f
                UNION ALL
                SELECT n.* FROM lane AS l CROSS JOIN LATERAL (
                    SELECT i.tenant_id, i.kind, i.priority, i.run_at FROM work.items AS i
                    WHERE i.state = 'ready' AND i.finished_at IS NULL AND i.tenant_id = l.tenant_id AND (i.kind, i.priority) > (l.kind, l.priority)
                    ORDER BY i.tenant_id, i.kind, i.priority, i.run_at, i.id LIMIT 1) AS n
            )
            SELECT tenant_id, kind, priority, run_at <= now() AS due FROM lane
            """;
    }
}
