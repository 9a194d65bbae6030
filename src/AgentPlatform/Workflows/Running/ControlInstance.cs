using System.Text.Json;
using AgentPlatform.Actions;
using AgentPlatform.Conversations;
using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Work;

namespace AgentPlatform.Workflows.Running;

/// <summary>What people do with a run: pause, resume, cancel, and send it an event.</summary>
internal sealed class ControlInstance(InstanceStore store, AdvanceWorkflow advance, WakeUps wakeUps, EventStore events, TimeProvider clock)
{
    internal Task<Result<WorkflowInstance>> PauseAsync(Transaction tx, Guid id, string? reason, CancellationToken ct) =>
        MoveAsync(tx, id, ["running", "awaiting_approval"], "paused", reason, ct);

    internal Task<Result<WorkflowInstance>> ResumeAsync(Transaction tx, Guid id, CancellationToken ct) => MoveAsync(tx, id, ["paused"], "running", null, ct);

    /// <summary>What waits in the queue is cancelled in this transaction, and can never run.</summary>
    internal async Task<Result<WorkflowInstance>> CancelAsync(Transaction tx, Guid id, string reason, CancellationToken ct)
    {
        if (await store.FindAsync(tx, id, ct) is not { } seen)
        {
            return Problem.NotFound("workflow_instance");
        }

        // The order in which settlements lock.
        await SessionStore.LockAsync(tx, seen.SessionId, ct);
        var moved = await MoveAsync(tx, id, ["running", "awaiting_approval", "paused"], "cancelled", reason, ct);
        if (!moved.IsOk)
        {
            return moved;
        }

        await advance.RunAsync(tx, (await store.LockAsync(tx, id, ct))!, ct);
        return (await store.FindAsync(tx, id, ct))!;
    }

    internal async Task<Result<WorkflowInstance>> SignalAsync(Transaction tx, Guid id, string name, JsonElement? payload, string key, CancellationToken ct)
    {
        if (await store.LockAsync(tx, id, ct) is not { } run)
        {
            return Problem.NotFound("workflow_instance");
        }

        if (run.Instance.IsOver)
        {
            return Over(run.Instance);
        }

        var user = tx.Actor!.UserId;
        if (await tx.ExecuteAsync(Sql.Signal, [tx.TenantId, clock.NewId(), id, name, Json.Param(payload ?? Json.Of(new { })), key, user == Guid.Empty ? null : user, clock.GetUtcNow()], ct) == 1)
        {
            events.Append(tx, WorkflowEvents.Of("workflow.signalled", run.Instance, new { name }));
            wakeUps.Wake(tx, id);
        }

        return run.Instance;
    }

    private async Task<Result<WorkflowInstance>> MoveAsync(Transaction tx, Guid id, string[] from, string to, string? reason, CancellationToken ct)
    {
        if (await tx.ExecuteAsync(Sql.Control, [id, to, reason, clock.GetUtcNow(), from], ct) == 0)
        {
            return await store.FindAsync(tx, id, ct) is not { } instance ? Problem.NotFound("workflow_instance")
                : instance.IsOver ? Over(instance)
                : instance.Phase == "undoing" ? Problem.Conflict("workflow_undoing", "The workflow is being undone; that cannot be stopped.")
                : Problem.Conflict("workflow_control", $"A workflow that is {instance.Control} cannot be {(to == "running" ? "resumed" : to)}.");
        }

        var moved = (await store.FindAsync(tx, id, ct))!;
        events.Append(tx, WorkflowEvents.Of($"workflow.{(to == "running" ? "resumed" : to == "cancelled" ? "cancel_requested" : to)}", moved, new { reason }));
        wakeUps.Wake(tx, id);
        return moved;
    }

    private static Problem Over(WorkflowInstance instance) => Problem.Conflict("workflow_instance_over", $"The workflow is {instance.Status}.");

    private static class Sql
    {
        internal const string Control =
            """
            UPDATE workflows.workflow_instances SET control = $2, control_reason = $3, last_state_change = $4
            WHERE id = $1 AND status = 'in_progress' AND phase = 'forward' AND control = ANY ($5)
            """;

        internal const string Signal =
            """
            INSERT INTO workflows.workflow_signals (tenant_id, id, instance_id, name, payload, signal_key, sent_by, received_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
            ON CONFLICT ON CONSTRAINT workflow_signal_once DO NOTHING
            """;
    }
}

/// <summary>A sub-workflow is stopped because the one it belongs to has failed or was cancelled.</summary>
internal sealed class StopChild(Database database, ControlInstance control) : IWorkHandler
{
    public async Task<WorkOutcome> HandleAsync(WorkItem item, CancellationToken ct)
    {
        var stop = item.Read<StopWork>();
        await using var tx = database.Begin(Actor.System(item.TenantId));
        // One that is over, or on its way back, needs no telling.
        if ((await control.CancelAsync(tx, stop.InstanceId, stop.Reason, ct)).IsOk)
        {
            await tx.CommitAsync(ct);
        }

        return new WorkOutcome.Done();
    }
}
