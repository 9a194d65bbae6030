using System.Diagnostics;
using AgentPlatform.Events;
using AgentPlatform.Postgres;
using AgentPlatform.Work;

namespace AgentPlatform.Tasks;

/// <summary>
/// One attempt at a queued task. What the first transaction commits shows everybody that it is under way; each step is a transaction of its
/// own. Whoever takes over from a worker that died begins a new attempt, and the old one can write no more.
/// </summary>
internal sealed class RunTask(
    Database database, TaskBoard board, TaskAttempts attempts, SettleTask settle, IEnumerable<IAgencyTaskProcessor> processors, ITaskGuides guides, EventStore events) : IWorkHandler
{
    public async Task<WorkOutcome> HandleAsync(WorkItem item, CancellationToken ct)
    {
        var work = item.Read<TaskWork>();
        TaskRun run;
        IReadOnlyList<TaskStep> steps;
        await using (var tx = database.Begin(Actor.System(item.TenantId)))
        {
            if (await board.LockAsync(tx, work.TaskId, ct) is not { Status: "queued" or "in_progress" } task || task.QueueRound != work.Round)
            {
                return new WorkOutcome.Cancel("The task is over, or was queued anew.");
            }

            var processor = processors.FirstOrDefault(p => p.Knows(task.TaskType));
            steps = processor?.StepsOf(task.TaskType) ?? [];
            run = await attempts.BeginAsync(tx, task, work, steps, await guides.FindAsync(tx, task, ct), ct);
            events.Append(tx, new NewEvent("agency_task.started", "agency_task", task.Id, new { attempt = run.Attempt, triggered_by = work.TriggeredBy }));
            if (Refusal(processor, task) is { } failure)
            {
                return await FailAsync(tx, item, run, failure, again: false, ct);
            }

            await tx.CommitAsync(ct);
        }

        for (var i = 0; ; i++)
        {
            if (await StepAsync(item, run, steps, i, ct) is { } outcome)
            {
                return outcome;
            }
        }
    }

    /// <summary>Our own side failed again and again: the task has, too.</summary>
    public async Task OnDeadAsync(WorkItem item, string error, Transaction tx, CancellationToken ct)
    {
        if (await board.LockAsync(tx, item.Read<TaskWork>().TaskId, ct) is { Status: "queued" or "in_progress" } task && task.QueueRound == item.Read<TaskWork>().Round)
        {
            var run = await attempts.BeginAsync(tx, task, item.Read<TaskWork>(), [], guide: null, ct);
            await settle.FailAsync(tx, task, run.ExecutionId, new TaskFailure("internal_error", error), again: false, ct);
        }
    }

    private static TaskFailure? Refusal(IAgencyTaskProcessor? processor, AgencyTask task) =>
        processor is null ? new TaskFailure("no_processor", $"Nobody here does tasks of type '{task.TaskType}'.")
        : processor.Refuses(task) is { } why ? new TaskFailure("config_invalid", why)
        : null;

    /// <summary>Null: on with the next step.</summary>
    private async Task<WorkOutcome?> StepAsync(WorkItem item, TaskRun run, IReadOnlyList<TaskStep> steps, int place, CancellationToken ct)
    {
        await using var tx = database.Begin(Actor.System(item.TenantId));
        if (!await attempts.HoldAsync(tx, run, ct))
        {
            return new WorkOutcome.Cancel("The attempt was ended.");
        }

        var (step, began) = (steps[place], Stopwatch.GetTimestamp());
        var outcome = await RunAsync(step, run, tx, ct);
        if (outcome is StepOutcome.Failed failed)
        {
            // Nothing of a failed step is kept.
            await tx.DisposeAsync();
            await using var second = database.Begin(Actor.System(item.TenantId));
            return await attempts.HoldAsync(second, run, ct)
                ? await FailAsync(second, item, run, failed.Why, failed.Again, ct)
                : new WorkOutcome.Cancel("The attempt was ended.");
        }

        var done = outcome as StepOutcome.Done;
        var next = place + 1 < steps.Count ? steps[place + 1].Name : null;
        attempts.StepDone(tx, run, step.Name, next, done?.Value, Stopwatch.GetElapsedTime(began));
        if (done is not null && next is not null)
        {
            await tx.CommitAsync(ct);
            return null;
        }

        if (outcome is StepOutcome.AwaitAction awaited)
        {
            attempts.Await(tx, run, awaited.ActionQueueId);
        }
        else
        {
            await settle.CompleteAsync(tx, run.Task, run.ExecutionId, done!.Value, done.Summary, ct);
        }

        item.Settle(tx, new WorkOutcome.Done());
        await tx.CommitAsync(ct);
        return WorkOutcome.Settled;
    }

    private static async Task<StepOutcome> RunAsync(TaskStep step, TaskRun run, Transaction tx, CancellationToken ct)
    {
        try
        {
            return await step.RunAsync(run, tx, ct);
        }
        catch (Exception e) when (e is not OperationCanceledException && !LeaseLostException.Means(e) && !Database.IsAway(e))
        {
            // A processor's bug is a failed attempt like any other: its words are kept with it.
            return new StepOutcome.Failed(new TaskFailure(e.GetType().Name, e.Message) { Stack = e.StackTrace }, Again: true);
        }
    }

    private async Task<WorkOutcome> FailAsync(Transaction tx, WorkItem item, TaskRun run, TaskFailure failure, bool again, CancellationToken ct)
    {
        await settle.FailAsync(tx, run.Task, run.ExecutionId, failure, again, ct);
        item.Settle(tx, new WorkOutcome.Done());
        await tx.CommitAsync(ct);
        return WorkOutcome.Settled;
    }
}
