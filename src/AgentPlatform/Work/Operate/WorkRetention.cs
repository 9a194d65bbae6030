using AgentPlatform.Postgres;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Work.Operate;

/// <summary>Forgets finished work after <see cref="WorkOptions.RetentionDays"/>, a batch at a time; dead items stay until a person decides.</summary>
public sealed class WorkRetention(Database database, IOptions<WorkOptions> options)
{
    public async Task<int> PruneAsync(CancellationToken ct)
    {
        var total = 0;
        int pruned;
        do
        {
            await using var tx = database.BeginWorker();
            pruned = await tx.ExecuteAsync(Sql.Prune, [TimeSpan.FromDays(options.Value.RetentionDays)], ct);
            await tx.CommitAsync(ct);
            total += pruned;
        }
        while (pruned > 0);
        return total;
    }

    private static class Sql
    {
        internal const string Prune =
            """
            DELETE FROM work.items AS i
            USING (SELECT tenant_id, id FROM work.items WHERE finished_at < now() - $1::interval AND state IN ('done', 'cancelled') LIMIT 5000) AS old
            WHERE i.tenant_id = old.tenant_id AND i.id = old.id
            """;
    }
}
