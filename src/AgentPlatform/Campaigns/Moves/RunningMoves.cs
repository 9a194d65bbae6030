using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Work;

namespace AgentPlatform.Campaigns.Moves;

/// <summary>What the life of a campaign does to its outreach that is under way. A pause needs nothing: the next batch finds it.</summary>
internal sealed class RunningMoves(WorkQueue work, EventStore events, TimeProvider clock)
{
    /// <summary>It goes on where it was.</summary>
    internal async Task GoOnAsync(Transaction tx, Guid campaignId, CancellationToken ct)
    {
        var resumed = clock.NewId();
        var running = await tx.QueryAsync<MoveWork>(Sql.Running, [campaignId, resumed], ct);
        work.EnqueueMany(tx, [.. running.Select(move => RunMove.Work(move, resumed))]);
    }

    /// <summary>It writes to nobody any more.</summary>
    internal async Task StopAsync(Transaction tx, Guid campaignId, string error, CancellationToken ct)
    {
        foreach (var move in await tx.QueryAsync<Guid>(Sql.Stop, [campaignId, error], ct))
        {
            events.Append(tx, new NewEvent("move.failed", "move", move, new { campaign_id = campaignId, error }));
        }
    }

    private static class Sql
    {
        internal const string Running =
            """
            SELECT id AS move_id, $2::uuid AS run_id, execution_id FROM campaigns.moves
            WHERE tenant_id = kernel.current_tenant_id() AND campaign_id = $1 AND status = 'in_progress' AND type = 'outreach' ORDER BY id
            """;

        internal const string Stop =
            """
            UPDATE campaigns.moves SET status = 'failed', error = $2
            WHERE tenant_id = kernel.current_tenant_id() AND campaign_id = $1 AND status = 'in_progress' AND type = 'outreach'
            RETURNING id
            """;
    }
}
