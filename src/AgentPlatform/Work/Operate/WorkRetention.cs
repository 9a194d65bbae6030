using AgentPlatform.Postgres;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Work.Operate;

/// <summary>
/// Forgets finished work after <see cref="WorkOptions.RetentionDays"/>, a batch at a time; dead items stay until a person decides. What runs and is listed in
/// no claim, which takes somebody who changes the tables by hand, is listed.
/// </summary>
public sealed class WorkRetention(Database database, IOptions<WorkOptions> options)
{
    public async Task<int> PruneAsync(CancellationToken ct)
    {
        await using (var listing = database.BeginWorker())
        {
            await listing.ExecuteAsync(Sql.ListLost, [], ct);
            await listing.CommitAsync(ct);
        }

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
        internal const string ListLost =
            """
            INSERT INTO work.claims (look_at, tenant_ids, item_ids)
            SELECT now(), array_agg(tenant_id), array_agg(id) FROM work.items
            WHERE finished_at IS NULL AND state = 'running' AND lease_until < now() - interval '1 hour'
              AND id NOT IN (SELECT unnest(item_ids) FROM work.claims)
            HAVING count(*) > 0
            """;

        internal const string Prune =
            """
            DELETE FROM work.items AS i
            USING (SELECT tenant_id, id FROM work.items WHERE finished_at < now() - $1::interval AND state IN ('done', 'cancelled') LIMIT 5000) AS old
            WHERE i.tenant_id = old.tenant_id AND i.id = old.id
            """;
    }
}
