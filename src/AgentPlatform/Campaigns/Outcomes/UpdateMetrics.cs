using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Work;

namespace AgentPlatform.Campaigns.Outcomes;

/// <summary>What the work of a campaign's metrics knows.</summary>
internal sealed record MetricsWork(Guid CampaignId);

/// <summary>
/// Counts a campaign's moves and what became of their messages anew, in one statement, a second after something changed. Each change asks for its own look,
/// so none that commits late is missed; one look does for all that wait behind it.
/// </summary>
internal sealed class UpdateMetrics(Database database, WorkQueue queue) : IWorkHandler
{
    internal const string Kind = "campaigns.metrics";

    private static readonly TimeSpan Lull = TimeSpan.FromSeconds(1);

    /// <summary>A move without a campaign counts nowhere.</summary>
    internal static void Ask(Transaction tx, WorkQueue work, Guid? campaignId, TimeProvider clock)
    {
        if (campaignId is { } id)
        {
            work.Enqueue(tx, new NewWork(Kind, clock.NewId().ToString(), new MetricsWork(id)) { SerialKey = $"campaign-metrics:{id}", Priority = 60, RunAt = clock.GetUtcNow() + Lull });
        }
    }

    public async Task<WorkOutcome> HandleAsync(WorkItem item, CancellationToken ct)
    {
        await using var tx = database.Begin(Actor.System(item.TenantId));
        var behind = await queue.BehindAsync(tx, item, ct);
        await tx.ExecuteAsync(Sql.Update, [item.Read<MetricsWork>().CampaignId], ct);
        queue.Absorb(tx, item, behind);
        item.Settle(tx, new WorkOutcome.Done());
        await tx.CommitAsync(ct);
        return WorkOutcome.Settled;
    }

    private static class Sql
    {
        internal const string Update =
            """
            WITH own AS (
                SELECT id, status FROM campaigns.moves WHERE tenant_id = kernel.current_tenant_id() AND campaign_id = $1
            ), counted AS (
                SELECT jsonb_build_object('moves', (
                    SELECT jsonb_build_object(
                        'total', count(*), 'pending', count(*) FILTER (WHERE status = 'pending'), 'in_progress', count(*) FILTER (WHERE status = 'in_progress'),
                        'completed', count(*) FILTER (WHERE status = 'completed'), 'failed', count(*) FILTER (WHERE status = 'failed'))
                    FROM own
                ), 'messages', (
                    SELECT jsonb_build_object(
                        'contacts', count(*), 'queued', count(*) FILTER (WHERE r.status = 'queued'), 'sent', count(*) FILTER (WHERE r.sent_at IS NOT NULL),
                        'delivered', count(*) FILTER (WHERE r.status = 'delivered'), 'failed', count(*) FILTER (WHERE r.status = 'failed'),
                        'skipped', count(*) FILTER (WHERE r.status = 'skipped'), 'replied', count(*) FILTER (WHERE r.replied_at IS NOT NULL),
                        'opted_out', count(*) FILTER (WHERE r.opted_out_at IS NOT NULL))
                    FROM own JOIN campaigns.move_recipients AS r ON r.tenant_id = kernel.current_tenant_id() AND r.move_id = own.id
                )) AS metrics
            )
            UPDATE campaigns.campaigns AS c SET metrics = counted.metrics FROM counted
            WHERE c.tenant_id = kernel.current_tenant_id() AND c.id = $1 AND c.metrics <> counted.metrics
            """;
    }
}
