using System.Text.Json;
using AgentPlatform.Campaigns.Outcomes;
using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Work;

namespace AgentPlatform.Campaigns.Moves;

/// <summary>How moves end. Every caller has locked the move, and found it in progress.</summary>
internal sealed class SettleMove(WorkQueue work, EventStore events, TimeProvider clock)
{
    /// <summary>What it came to is laid over what was there.</summary>
    internal Task<Move> CompleteAsync(Transaction tx, Move move, JsonElement? content, CancellationToken ct) =>
        EndedAsync(tx, Sql.Complete, [move.Id, Inputs.ObjectParam(content), clock.GetUtcNow()], "move.completed", ct);

    internal Task<Move> FailAsync(Transaction tx, Move move, string error, CancellationToken ct) =>
        EndedAsync(tx, Sql.Fail, [move.Id, error], "move.failed", ct);

    private async Task<Move> EndedAsync(Transaction tx, string sql, object?[] args, string happened, CancellationToken ct)
    {
        var move = await tx.SingleAsync<Move>(sql, args, ct);
        events.Append(tx, new NewEvent(happened, "move", move.Id, new { campaign_id = move.CampaignId, execution_id = move.ExecutionId, error = move.Error }));
        UpdateMetrics.Ask(tx, work, move.CampaignId, clock);
        return move;
    }

    private static class Sql
    {
        internal const string Complete =
            """
            UPDATE campaigns.moves SET status = 'completed', content = content || $2::jsonb, completed_at = $3
            WHERE tenant_id = kernel.current_tenant_id() AND id = $1 AND status = 'in_progress'
            RETURNING *
            """;

        internal const string Fail =
            "UPDATE campaigns.moves SET status = 'failed', error = $2 WHERE tenant_id = kernel.current_tenant_id() AND id = $1 AND status = 'in_progress' RETURNING *";
    }
}
