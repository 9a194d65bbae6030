using AgentPlatform.Actions.Aftermath;
using AgentPlatform.Actions.Controls;
using AgentPlatform.Actions.Execution;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Work;

namespace AgentPlatform.Actions.Checkpoints;

/// <summary>The checkpoint to go on from; the latest when none is named.</summary>
internal sealed record Resume(string? CheckpointId);

/// <summary>
/// A failed execution goes on from a checkpoint, with all its tries, as the same request under the same keys. Its dead letter is resolved when
/// it completes. The intent that asked for it has ended, and is not moved again.
/// </summary>
internal sealed class ResumeExecution(
    CheckpointStore checkpoints, ActionRegistry registry, ActionEffects effects, DeadLetters deadLetters, ExecutionControls controls, WorkQueue work, EventStore events, TimeProvider clock)
{
    internal async Task<Result<QueuedAction>> RunAsync(Transaction tx, Guid executionId, Resume how, CancellationToken ct)
    {
        if (await RequestLock.TakeAsync(tx, executionId, ct) is not { } item)
        {
            return Problem.NotFound("execution");
        }

        var checkpoint = (how.CheckpointId ?? item.CheckpointId) is { } id ? await checkpoints.FindAsync(tx, item.Id, id, ct) : null;
        if (await RefusalAsync(tx, item, checkpoint, ct) is { } refusal)
        {
            return refusal;
        }

        var resumed = await tx.SingleAsync<QueuedAction>(Sql.Resume, [item.Id, checkpoint!.CheckpointId], ct);
        deadLetters.Resumed(tx, resumed.QueueId);
        controls.Follow(tx, resumed, "resumed");
        events.Append(tx, ActionEvents.Of("execution.resumed", resumed, new { checkpoint_id = checkpoint.CheckpointId, step_index = checkpoint.StepIndex }));
        await work.ReviveAsync(tx, ActionQueue.WorkOf(resumed), ct);
        return resumed;
    }

    private async Task<Problem?> RefusalAsync(Transaction tx, QueuedAction item, ExecutionCheckpoint? checkpoint, CancellationToken ct)
    {
        if (item.Status != QueueStatus.Failed)
        {
            return Problem.Conflict("execution_not_failed", "Only a failed execution is resumed from a checkpoint.");
        }

        if (checkpoint is null)
        {
            return Problem.NotFound("checkpoint");
        }

        if (checkpoint.Refuses(clock.GetUtcNow()) is { } refusal)
        {
            return refusal;
        }

        if (await deadLetters.OfRequestAsync(tx, item.QueueId, ct) is { Resolved: true } or { ReplayQueueId: not null })
        {
            return Problem.Conflict("dead_letter_settled", "Its dead letter has been resolved, or is tried again by a replay.");
        }

        if (await registry.FindAsync(tx, item.AgentId, item.ActionId, ct) is not { IsActive: true } action)
        {
            return Problem.Conflict("action_not_offered", "The action is no longer offered.");
        }

        var called = await effects.OfRequestAsync(tx, item.Id, ct);
        return !EffectRules.CanResolve(action) && called.Any(effect => effect.IsOpen)
            ? Problem.Conflict("effect_unknown", "A call may have been carried out. Ask the provider, and settle the effect.")
            : EffectRules.RefusesAgain(action, called);
    }

    private static class Sql
    {
        internal const string Resume =
            """
            UPDATE actions.action_queue
            SET status = 'ready', checkpoint_id = $2, retry_count = 0, next_retry_at = NULL, completed_at = NULL, intent_id = NULL
            WHERE id = $1
            RETURNING *
            """;
    }
}
