using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Messaging.Pacing;
using AgentPlatform.Postgres;
using AgentPlatform.Work;

namespace AgentPlatform.Campaigns.Moves;

/// <summary>
/// What the life of a campaign does to its outreach that is under way, and to what that has handed over and nobody has decided on yet. Every caller has locked the
/// campaign, which a batch holds until it commits: none is missed.
/// </summary>
internal sealed class RunningMoves(WorkQueue work, Recall recall, EventStore events, TimeProvider clock)
{
    /// <summary>It goes on where it was.</summary>
    internal async Task GoOnAsync(Transaction tx, Guid campaignId, CancellationToken ct)
    {
        await recall.ResumeAsync(tx, await tx.QueryAsync<Guid>(Sql.Unsent, [campaignId], ct), ct);
        var resumed = clock.NewId();
        var running = await tx.QueryAsync<MoveWork>(Sql.Running, [campaignId, resumed], ct);
        work.EnqueueMany(tx, [.. running.Select(move => RunMove.Work(move, resumed))]);
        RunMove.Wake(tx, work, running.Select(move => move.MoveId));
    }

    /// <summary>What it waits for may have changed.</summary>
    internal async Task LookAgainAsync(Transaction tx, Guid campaignId, CancellationToken ct) =>
        RunMove.Wake(tx, work, (await tx.QueryAsync<MoveWork>(Sql.Running, [campaignId, Guid.Empty], ct)).Select(move => move.MoveId));

    /// <summary>The next batch finds out by itself.</summary>
    internal async Task PauseAsync(Transaction tx, Guid campaignId, CancellationToken ct) =>
        await recall.PauseAsync(tx, await tx.QueryAsync<Guid>(Sql.Unsent, [campaignId], ct), ct);

    /// <summary>It writes to nobody any more.</summary>
    internal async Task StopAsync(Transaction tx, Guid campaignId, string error, CancellationToken ct)
    {
        await recall.CancelAsync(tx, await tx.QueryAsync<Guid>(Sql.Unsent, [campaignId], ct), error, ct);
        foreach (var move in await tx.QueryAsync<Guid>(Sql.Stop, [campaignId, error], ct))
        {
            events.Append(tx, new NewEvent("move.failed", "move", move, new { campaign_id = campaignId, error }));
        }
    }

    /// <summary>The move goes, and with it whoever could have what it handed over go on.</summary>
    internal async Task ForgetAsync(Transaction tx, Guid moveId, CancellationToken ct) =>
        await recall.CancelAsync(tx, await tx.QueryAsync<Guid>(Sql.UnsentOfMove, [moveId], ct), "move_deleted", ct);

    private static class Sql
    {
        internal const string Running =
            """
            SELECT id AS move_id, $2::uuid AS run_id, execution_id FROM campaigns.moves
            WHERE tenant_id = kernel.current_tenant_id() AND campaign_id = $1 AND status = 'in_progress' AND type = 'outreach' ORDER BY id
            """;

        internal const string Unsent =
            """
            SELECT r.queue_id FROM campaigns.moves AS m JOIN campaigns.move_recipients AS r ON r.tenant_id = m.tenant_id AND r.move_id = m.id
            WHERE m.tenant_id = kernel.current_tenant_id() AND m.campaign_id = $1 AND r.status = 'queued' AND r.queue_id IS NOT NULL
            """;

        internal const string UnsentOfMove =
            "SELECT queue_id FROM campaigns.move_recipients WHERE tenant_id = kernel.current_tenant_id() AND move_id = $1 AND status = 'queued' AND queue_id IS NOT NULL";

        internal const string Stop =
            """
            UPDATE campaigns.moves SET status = 'failed', error = $2
            WHERE tenant_id = kernel.current_tenant_id() AND campaign_id = $1 AND status = 'in_progress' AND type = 'outreach'
            RETURNING id
            """;
    }
}
