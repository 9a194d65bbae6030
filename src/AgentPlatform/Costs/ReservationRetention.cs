using AgentPlatform.Postgres;

namespace AgentPlatform.Costs;

/// <summary>Removes reservations that were over a month ago. Row level security lets this job see no other.</summary>
public sealed class ReservationRetention(Database database)
{
    /// <summary>Returns how many went.</summary>
    public Task<int> PruneAsync(CancellationToken ct) => database.PruneAsync(ct, Sql.Prune);

    private static class Sql
    {
        internal const string Prune =
            """
            DELETE FROM costs.budget_reservations
            WHERE (tenant_id, id) IN (
                SELECT tenant_id, id FROM costs.budget_reservations WHERE status <> 'open' AND created_at < now() - interval '30 days' LIMIT $1)
            """;
    }
}
