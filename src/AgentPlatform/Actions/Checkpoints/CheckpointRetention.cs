using AgentPlatform.Postgres;

namespace AgentPlatform.Actions.Checkpoints;

/// <summary>Removes checkpoints that have expired. Row level security lets this job see no other.</summary>
public sealed class CheckpointRetention(Database database)
{
    /// <summary>Returns how many went.</summary>
    public Task<int> PruneAsync(CancellationToken ct) => database.PruneAsync(ct, Sql.Prune);

    private static class Sql
    {
        internal const string Prune =
            """
            DELETE FROM actions.execution_checkpoints
            WHERE (tenant_id, id) IN (SELECT tenant_id, id FROM actions.execution_checkpoints WHERE expires_at < now() LIMIT $1)
            """;
    }
}
