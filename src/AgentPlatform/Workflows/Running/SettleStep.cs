using AgentPlatform.Actions;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Events;
using AgentPlatform.Postgres;

namespace AgentPlatform.Workflows.Running;

/// <summary>Writes down what became of a step, in the transaction in which it did: its row, the histories, progress, estimate and event.</summary>
internal sealed class SettleStep(InstanceStore store, WakeUps wakeUps, EventStore events)
{
    /// <summary>Of a row that is still open; one that was ended before stays as it is.</summary>
    internal async Task RunAsync(Transaction tx, WorkflowStep step, Func<WorkflowStep, WorkflowStep> change, CancellationToken ct)
    {
        if (await store.LockAsync(tx, step.InstanceId, ct) is not { } run || run.Rows.FirstOrDefault(row => row.Id == step.Id) is not { IsOpen: true } row)
        {
            return;
        }

        var changed = change(row);
        store.Update(tx, changed);
        run = run with { Rows = [.. run.Rows.Select(r => r.Id == changed.Id ? changed : r)] };
        if (!changed.IsOpen)
        {
            Tell(tx, run, changed);
            wakeUps.Wake(tx, run.Instance.Id);
        }

        store.Save(tx, run, run.Instance.WakeAt);
    }

    /// <summary>A row that is over.</summary>
    internal void Tell(Transaction tx, RunState run, WorkflowStep ended)
    {
        store.Record(tx, run, ended);
        events.Append(tx, WorkflowEvents.OfStep(run, ended));
    }
}

/// <summary>Hears what became of the actions that steps requested.</summary>
internal sealed class StepOutcome(InstanceStore store, SettleStep settle, TimeProvider clock) : IActionListener
{
    public async Task ChangedAsync(Transaction tx, ActionChange change, CancellationToken ct)
    {
        var item = change.Item;
        if (item.WorkflowInstanceId is null || item.Status is not (QueueStatus.Ready or QueueStatus.Completed or QueueStatus.Failed or QueueStatus.Cancelled))
        {
            return;
        }

        foreach (var row in await store.OfActionAsync(tx, item.Id, ct))
        {
            await settle.RunAsync(tx, row, open => After(open, change, clock.GetUtcNow()), ct);
        }
    }

    /// <summary>Pure: the row once its action has moved.</summary>
    internal static WorkflowStep After(WorkflowStep row, ActionChange change, DateTimeOffset now) => change.Item switch
    {
        { Status: QueueStatus.Ready } => row with { Status = "running" },
        { Status: QueueStatus.Completed } done => row with { Status = "completed", Result = done.Result ?? Parameters.None, ExecutionId = done.ExecutionId, CompletedAt = now },
        { Status: QueueStatus.Failed } failed => row with
        {
            Status = "failed",
            ErrorCode = $"action_{change.Failure?.Kind ?? "failed"}",
            Error = change.Failure?.Message ?? "The action failed.",
            MayHaveHappened = change.Failure?.MayHaveHappened ?? false,
            ExecutionId = failed.ExecutionId,
            CompletedAt = now,
        },
        // An approval that was refused, or somebody who cancelled the request.
        var refused => row with
        {
            Status = row.IsUndo ? "failed" : "cancelled",
            ErrorCode = row.Status == "waiting" ? "approval_refused" : "action_cancelled",
            Error = row.Status == "waiting" ? "It was not allowed." : "Its action was cancelled.",
            ExecutionId = refused.ExecutionId,
            CompletedAt = now,
        },
    };
}
