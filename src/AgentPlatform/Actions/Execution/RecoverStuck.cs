using AgentPlatform.Events;
using AgentPlatform.Postgres;
using AgentPlatform.Work;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Actions.Execution;

/// <summary>
/// Looks after requests that are <c>executing</c> without a sign of life. A dead worker's lease runs out by itself, and the engine runs the
/// request again; this finds those whose work item is gone or over although they are not, and revives it. The next attempt goes on from the
/// request's checkpoint, or from the beginning.
/// </summary>
public sealed class RecoverStuck
{
    private const int BatchSize = 100;
    private readonly Database _database;
    private readonly WorkQueue _work;
    private readonly EventStore _events;
    private readonly IOptions<ActionsOptions> _options;
    private readonly TimeProvider _clock;
    private readonly ILogger<ExecuteAction> _log;

    internal RecoverStuck(Database database, WorkQueue work, EventStore events, IOptions<ActionsOptions> options, TimeProvider clock, ILogger<ExecuteAction> log) =>
        (_database, _work, _events, _options, _clock, _log) = (database, work, events, options, clock, log);

    /// <summary>Returns how many were revived.</summary>
    public async Task<int> RunAsync(CancellationToken ct)
    {
        var before = _clock.GetUtcNow().AddMinutes(-_options.Value.StuckMinutes);
        IReadOnlyList<Silent> silent;
        await using (var tx = _database.BeginWorker())
        {
            silent = await tx.QueryAsync<Silent>(Sql.Silent, [before, BatchSize], ct);
            await tx.CommitAsync(ct);
        }

        var revived = 0;
        foreach (var request in silent)
        {
            revived += await ReviveAsync(request, before, ct) ? 1 : 0;
        }

        return revived;
    }

    private async Task<bool> ReviveAsync(Silent request, DateTimeOffset before, CancellationToken ct)
    {
        await using var tx = _database.Begin(Actor.System(request.TenantId));
        if (await tx.FindAsync<QueuedAction>(Sql.Lock, [request.Id, before], ct) is not { } item || !await _work.ReviveAsync(tx, ActionQueue.WorkOf(item), ct))
        {
            return false;
        }

        _events.Append(tx, ActionEvents.Of("action.recovered", item, new { execution_id = item.ExecutionId, checkpoint_id = item.CheckpointId, silent_since = item.LastCheckpointAt > item.StartedAt ? item.LastCheckpointAt : item.StartedAt }));
        await tx.CommitAsync(ct);
        _log.Recovered(item.ActionId, item.QueueId);
        return true;
    }

    private sealed record Silent(Guid TenantId, Guid Id);

    private static class Sql
    {
        internal const string Silent =
            """
            SELECT tenant_id, id FROM actions.action_queue
            WHERE status = 'executing' AND greatest(started_at, last_checkpoint_at) < $1
            ORDER BY greatest(started_at, last_checkpoint_at) LIMIT $2
            """;

        // One that a worker settles at this moment is not stuck.
        internal const string Lock =
            """
            SELECT * FROM actions.action_queue
            WHERE id = $1 AND status = 'executing' AND greatest(started_at, last_checkpoint_at) < $2
            FOR UPDATE SKIP LOCKED
            """;
    }
}
