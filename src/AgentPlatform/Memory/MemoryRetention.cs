using AgentPlatform.Postgres;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Memory;

/// <summary>
/// Forgets: what was not retrieved loses half of its weight each half-life, and goes when it weighs too little; turns go when they are old. Row level security
/// lets this job see nothing that was needed within a day.
/// </summary>
public sealed class MemoryRetention(Database database, IOptions<MemoryOptions> options)
{
    /// <summary>Returns how many memories went.</summary>
    public async Task<int> PruneAsync(CancellationToken ct)
    {
        var o = options.Value;
        await database.PruneAsync(Sql.Fade, [(double)o.HalfLifeDays], ct);
        return await database.PruneAsync(Sql.Forget, [(decimal)o.ForgetBelow], ct) + await database.PruneAsync(Sql.Turns, [TimeSpan.FromDays(o.TurnDays)], ct);
    }

    private static class Sql
    {
        // A weight that has hardly changed is not worth a new version of its row.
        internal const string Fade =
            """
            WITH faded AS (
                SELECT c.tenant_id, c.id, w.weight
                FROM memory.memory_chunks AS c
                CROSS JOIN LATERAL (SELECT round((0.5 ^ (extract(epoch FROM now() - c.last_accessed)::float8 / 86400 / $2::float8))::numeric, 4) AS weight) AS w
                WHERE c.last_accessed < now() - interval '1 day' AND abs(c.decay_weight - w.weight) >= 0.005
                LIMIT $1
            )
            UPDATE memory.memory_chunks AS c SET decay_weight = f.weight FROM faded AS f WHERE c.tenant_id = f.tenant_id AND c.id = f.id
            """;

        internal const string Forget =
            """
            DELETE FROM memory.memory_chunks
            WHERE (tenant_id, id) IN (SELECT tenant_id, id FROM memory.memory_chunks WHERE last_accessed < now() - interval '1 day' AND decay_weight < $2::numeric LIMIT $1)
            """;

        internal const string Turns =
            """
            DELETE FROM memory.episodes
            WHERE (tenant_id, id) IN (SELECT tenant_id, id FROM memory.episodes WHERE episode_type = 'TURN' AND valid_from < now() - $2::interval LIMIT $1)
            """;
    }
}
