using AgentPlatform.Actions.Execution;
using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Work;

namespace AgentPlatform.Actions.Controls;

/// <summary>
/// Keeps the control rows and obeys them at the boundary between two attempts. Whoever touches one holds the lock of its queue row,
/// so a command either comes before an attempt begins or waits for the next one.
/// </summary>
internal sealed class ExecutionControls(ExecutionLog executions, AbandonedEffects abandoned, EventStore events, ActionListeners listeners, TimeProvider clock)
{
    internal Task<ExecutionControl?> FindAsync(Transaction tx, Guid executionId, CancellationToken ct) =>
        tx.FindAsync<ExecutionControl>(Sql.Find, [executionId], ct);

    /// <summary>The request has moved: its control follows, unless someone has paused or cancelled it.</summary>
    internal void Follow(Transaction tx, QueuedAction item, string? reason) =>
        tx.Post(Sql.Follow, tx.TenantId, clock.NewId(), item.Id, ExecutionControl.Following(item), reason, clock.GetUtcNow());

    /// <summary>An attempt is about to begin: stops it when it must not, and gives what it is to know when it may.</summary>
    internal async Task<Boundary> ReachAsync(Transaction tx, WorkItem work, QueuedAction item, CancellationToken ct)
    {
        var control = await FindAsync(tx, item.Id, ct);
        switch (control?.ControlState)
        {
            case "paused":
                executions.CloseInterrupted(tx, item.QueueId);
                tx.Post(Sql.Park, item.Id);
                tx.Post(Sql.Checkpoint, item.Id, ExecutionControl.Checkpoint(item));
                // Its place in the conversation is given up, so that what was asked later need not wait for it; resuming revives the work.
                return new(await StopAsync(tx, work, new WorkOutcome.Cancel("paused"), ct), control);
            case "cancelled":
                await EndAsync(tx, item, ct);
                return new(await StopAsync(tx, work, new WorkOutcome.Cancel(control.StateReason ?? "cancelled"), ct), control);
            default:
                return new(null, control);
        }
    }

    /// <summary>The attempt takes the instruction with it: committed with its beginning, so no other attempt can.</summary>
    internal void Consume(Transaction tx, QueuedAction item, ExecutionControl? control)
    {
        if (control?.InjectedInstruction is { } instruction)
        {
            tx.Post(Sql.Consume, item.Id);
            events.Append(tx, ActionEvents.Of("execution.instruction_consumed", item, new { execution_id = item.ExecutionId, instruction, injected_at = control.InjectedAt }));
        }
    }

    private static async Task<WorkOutcome> StopAsync(Transaction tx, WorkItem work, WorkOutcome outcome, CancellationToken ct)
    {
        work.Settle(tx, outcome);
        await tx.CommitAsync(ct);
        return WorkOutcome.Settled;
    }

    private async Task EndAsync(Transaction tx, QueuedAction item, CancellationToken ct)
    {
        abandoned.Leave(tx, item);
        var ended = await tx.SingleAsync<QueuedAction>(Sql.End, [item.Id, clock.GetUtcNow()], ct);
        events.Append(tx, ActionEvents.Of("execution.stopped", ended, new { execution_id = item.ExecutionId, attempts = item.RetryCount }));
        await listeners.TellAsync(tx, new ActionChange(ended, null), ct);
    }

    private static class Sql
    {
        internal const string Find = "SELECT * FROM actions.execution_controls WHERE action_queue_id = $1";

        internal const string Follow =
            """
            INSERT INTO actions.execution_controls AS c (tenant_id, id, action_queue_id, control_state, state_reason, last_state_change, created_at)
            VALUES ($1, $2, $3, $4, $5, $6, $6)
            ON CONFLICT ON CONSTRAINT execution_controls_once DO UPDATE
            SET control_state = EXCLUDED.control_state, state_reason = EXCLUDED.state_reason, last_state_change = EXCLUDED.last_state_change
            WHERE c.control_state <> EXCLUDED.control_state AND c.control_state <> 'cancelled'
              AND (c.control_state <> 'paused' OR EXCLUDED.control_state = 'cancelled')
            """;

        // An attempt whose worker went away has not ended as anything: it begins again when the pause is over.
        internal const string Park = "UPDATE actions.action_queue SET status = 'ready' WHERE id = $1 AND status = 'executing'";

        internal const string Checkpoint = "UPDATE actions.execution_controls SET checkpoint_data = $2 WHERE action_queue_id = $1";

        internal const string Consume = "UPDATE actions.execution_controls SET injected_instruction = NULL WHERE action_queue_id = $1";

        internal const string End =
            "UPDATE actions.action_queue SET status = 'cancelled', completed_at = $2, next_retry_at = NULL WHERE id = $1 RETURNING *";
    }
}

/// <summary>What an attempt found at its beginning: an outcome when it must not begin.</summary>
internal sealed record Boundary(WorkOutcome? Outcome, ExecutionControl? Control);
