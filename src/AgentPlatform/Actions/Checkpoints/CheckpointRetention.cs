using AgentPlatform.Postgres;

namespace AgentPlatform.Actions.Checkpoints;

/// <summary>Removes checkpoints that have expired. Row level security lets this job see no other.</summary>
public sealed class CheckpointRetention(Database database)
{
    private const int BatchSize = 1000;

    /// <summary>Deletes in batches, so that no transaction is long. Returns how many went.</summary>
    public async Task<int> PruneAsync(CancellationToken ct)
    {
        var total = 0;
        int deleted;
        do
        {
            await using var tx = database.BeginWorker();
            deleted = await tx.ExecuteAsync(Sql.Prune, [BatchSize], ct);
            await tx.CommitAsync(ct);
            total += deleted;
        }
        while (deleted == BatchSize);
        return total;
    }

    private static class Sql
    {
        internal const string Prune =
            """
            DELETE FROM actions.execution_checkpoints
            WHERE (tenant_id, id) IN (SELECT tenant_id, id FROM actions.execution_checkpoints WHERE expires_at < now() LIMIT $1)
            """;
    }
}
