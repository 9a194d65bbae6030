using AgentPlatform.Postgres;

namespace AgentPlatform.Brain.Shadows;

/// <summary>Forgets the turns of shadows after a month; row level security lets this job see nothing younger.</summary>
public sealed class ShadowRetention(Database database)
{
    /// <summary>Returns how many rows went.</summary>
    public Task<int> PruneAsync(CancellationToken ct) => database.PruneAsync(ct, Sql.Prune);

    private static class Sql
    {
        internal const string Prune =
            """
            DELETE FROM brain.shadow_turns
            WHERE (tenant_id, id) IN (SELECT tenant_id, id FROM brain.shadow_turns WHERE created_at < now() - interval '30 days' LIMIT $1)
            """;
    }
}
