using System.Text.Json;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Brain.Shadows;

/// <summary>A turn that waits for its shadow, with all that it needs.</summary>
internal sealed record WaitingTurn(Guid Id, Guid ShadowId, Guid AgentId, JsonElement OtherThan, DateTimeOffset ShadowUpdatedAt, bool IsRunning, Guid ConversationId, JsonElement Input, JsonElement Live);

/// <summary>Reads shadows and the turns they took.</summary>
internal sealed class ShadowStore
{
    /// <summary>The agent's, for its book.</summary>
    internal Task<IReadOnlyList<Shadow>> RunningAsync(Transaction tx, Guid agentId, CancellationToken ct) => tx.QueryAsync<Shadow>(Sql.Running, [agentId], ct);

    internal Task<Shadow?> FindAsync(Transaction tx, Guid id, CancellationToken ct) => tx.FindAsync<Shadow>(Sql.Find, [id], ct);

    internal async Task<Page<Shadow>> ListAsync(Transaction tx, Guid agentId, PageRequest page, CancellationToken ct) =>
        Page<Shadow>.Cut(await tx.QueryAsync<Shadow>(Sql.List, [agentId, page.Before, page.Fetch], ct), page, shadow => shadow.Id);

    internal async Task<ShadowReport?> ReportAsync(Transaction tx, Guid id, CancellationToken ct)
    {
        tx.Gather();
        var (shadow, counts) = (FindAsync(tx, id, ct), tx.SingleAsync<ShadowCounts>(Sql.Count, [id], ct));
        await tx.AskAsync(ct);
        return await shadow is { } found ? new(found, await counts) : null;
    }

    /// <summary>Different: only those that differ, or only those that do not; all when null.</summary>
    internal async Task<Page<ShadowTurn>> TurnsAsync(Transaction tx, Guid shadowId, bool? different, PageRequest page, CancellationToken ct) =>
        Page<ShadowTurn>.Cut(await tx.QueryAsync<ShadowTurn>(Sql.Turns, [shadowId, different, page.Before, page.Fetch], ct), page, turn => turn.Id);

    /// <summary>Null when it was decided, or is gone.</summary>
    internal Task<WaitingTurn?> WaitingAsync(Transaction tx, Guid id, CancellationToken ct) => tx.FindAsync<WaitingTurn>(Sql.Waiting, [id], ct);

    private static class Sql
    {
        // One that has come to its end takes no more turns, though nobody has stopped it.
        internal const string Running =
            """
            SELECT id, agent_id, name, candidate, sample_rate, status, ends_at, stopped_at, created_at, updated_at
            FROM brain.shadows WHERE tenant_id = kernel.current_tenant_id() AND agent_id = $1 AND status = 'running' AND (ends_at IS NULL OR ends_at > now())
            ORDER BY id
            """;

        internal const string Find =
            """
            SELECT id, agent_id, name, candidate, sample_rate, CASE WHEN status = 'running' AND ends_at <= now() THEN 'ended' ELSE status END AS status, ends_at, stopped_at,
                   created_at, updated_at
            FROM brain.shadows WHERE tenant_id = kernel.current_tenant_id() AND id = $1
            """;

        internal const string List =
            """
            SELECT id, agent_id, name, candidate, sample_rate, CASE WHEN status = 'running' AND ends_at <= now() THEN 'ended' ELSE status END AS status, ends_at, stopped_at,
                   created_at, updated_at
            FROM brain.shadows WHERE tenant_id = kernel.current_tenant_id() AND agent_id = $1 AND ($2::uuid IS NULL OR id < $2)
            ORDER BY id DESC LIMIT $3
            """;

        internal const string Count =
            """
            WITH mine AS (
                SELECT status, reason, differences, calls, cost_usd, live_cost_usd, latency_ms
                FROM brain.shadow_turns WHERE tenant_id = kernel.current_tenant_id() AND shadow_id = $1
            )
            SELECT count(*) AS turns, count(*) FILTER (WHERE status = 'waiting') AS waiting, count(*) FILTER (WHERE status = 'same') AS same,
                   count(*) FILTER (WHERE status = 'different') AS different, count(*) FILTER (WHERE status = 'skipped') AS skipped,
                   (SELECT coalesce(jsonb_object_agg(kind, turns), '{}') FROM (SELECT unnest(differences) AS kind, count(*) AS turns FROM mine GROUP BY 1) AS k) AS different_by,
                   (SELECT coalesce(jsonb_object_agg(reason, turns), '{}') FROM (SELECT reason, count(*) AS turns FROM mine WHERE reason IS NOT NULL GROUP BY 1) AS r) AS skipped_by,
                   coalesce(sum(calls), 0) AS calls, coalesce(sum(cost_usd), 0) AS cost_usd,
                   coalesce(sum(live_cost_usd) FILTER (WHERE status IN ('same', 'different')), 0) AS live_cost_usd,
                   avg(latency_ms)::int AS average_latency_ms, max(latency_ms) AS slowest_latency_ms
            FROM mine
            """;

        internal const string Turns =
            """
            SELECT id, shadow_id, conversation_id, turn_number, message_id, status, reason, live, candidate, differences, live_cost_usd, cost_usd, calls, latency_ms,
                   created_at, decided_at
            FROM brain.shadow_turns
            WHERE tenant_id = kernel.current_tenant_id() AND shadow_id = $1 AND ($2::boolean IS NULL OR (status = 'different') = $2) AND ($3::uuid IS NULL OR id < $3)
            ORDER BY id DESC LIMIT $4
            """;

        // Two hosts that hold the same work, one of them by mistake, decide one after the other; the second finds nothing that waits.
        internal const string Waiting =
            """
            SELECT t.id, t.shadow_id, s.agent_id, s.candidate AS other_than, s.updated_at AS shadow_updated_at, s.status = 'running' AS is_running, t.conversation_id, t.input, t.live
            FROM brain.shadow_turns t
            JOIN brain.shadows s ON s.tenant_id = t.tenant_id AND s.id = t.shadow_id
            WHERE t.tenant_id = kernel.current_tenant_id() AND t.id = $1 AND t.status = 'waiting'
            FOR NO KEY UPDATE OF t
            """;
    }
}
