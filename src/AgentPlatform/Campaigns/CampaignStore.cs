using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Campaigns;

/// <summary>Reads campaigns.</summary>
internal static class CampaignStore
{
    internal static Task<Campaign?> FindAsync(Transaction tx, Guid id, CancellationToken ct) => tx.FindAsync<Campaign>(Sql.Find, [id], ct);

    internal static Task<Campaign?> LockAsync(Transaction tx, Guid id, CancellationToken ct) => tx.FindAsync<Campaign>(Sql.Lock, [id], ct);

    /// <summary>
    /// The campaign of a move, which stays as it is until the transaction ends. Before the move is locked: whoever ends a campaign locks them in this order.
    /// </summary>
    internal static Task<Campaign?> HoldOfAsync(Transaction tx, Guid moveId, CancellationToken ct) => tx.FindAsync<Campaign>(Sql.HoldOf, [moveId], ct);

    internal static async Task<Page<Campaign>> ListAsync(Transaction tx, string? status, string? type, PageRequest page, CancellationToken ct) =>
        Page<Campaign>.Cut(await tx.QueryAsync<Campaign>(Sql.List, [status, type, page.Before, page.Fetch], ct), page, campaign => campaign.Id);

    private static class Sql
    {
        internal const string Find = "SELECT * FROM campaigns.campaigns WHERE tenant_id = kernel.current_tenant_id() AND id = $1";

        internal const string Lock = "SELECT * FROM campaigns.campaigns WHERE tenant_id = kernel.current_tenant_id() AND id = $1 FOR NO KEY UPDATE";

        internal const string HoldOf =
            """
            SELECT c.* FROM campaigns.moves AS m JOIN campaigns.campaigns AS c ON c.tenant_id = m.tenant_id AND c.id = m.campaign_id
            WHERE m.tenant_id = kernel.current_tenant_id() AND m.id = $1 FOR SHARE OF c
            """;

        internal const string List =
            """
            SELECT * FROM campaigns.campaigns
            WHERE tenant_id = kernel.current_tenant_id() AND ($1::text IS NULL OR status = $1) AND ($2::text IS NULL OR type = $2) AND ($3::uuid IS NULL OR id < $3)
            ORDER BY id DESC LIMIT $4
            """;
    }
}
