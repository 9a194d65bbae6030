using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Work;

namespace AgentPlatform.Schedules.Automations;

/// <summary>A task's time has come: its run is queued, and its next time is set. Times that went by meanwhile are not made up for.</summary>
internal sealed class StartDueRun(Database database, ScheduledRuns runs, TimeProvider clock) : IWorkHandler
{
    public async Task<WorkOutcome> HandleAsync(WorkItem item, CancellationToken ct)
    {
        var (due, now) = (item.Read<ScheduledRuns.Due>(), clock.GetUtcNow());
        if (now < due.ScheduledFor)
        {
            // The database's clock is ahead of this host's.
            return new WorkOutcome.Snooze(due.ScheduledFor - now);
        }

        await using var tx = database.Begin(Actor.System(item.TenantId));
        if (await runs.LockAsync(tx, due.TaskId, ct) is not { MayStart: true } task || task.NextRun != due.ScheduledFor)
        {
            return new WorkOutcome.Cancel("The task has another time, or none.");
        }

        var next = task.ScheduleType == "once" ? null : Cadence.Parse(task.ScheduleType, task.CronExpression, task.Timezone).Value.After(now);
        // A run that is still under way takes the place of this one; what is to run only once waits for it.
        if (next is null || !await runs.IsRunningAsync(tx, task.Id, ct))
        {
            runs.Queue(tx, task.Id, "scheduled", 1, due.ScheduledFor);
        }

        runs.MoveOn(tx, task.Id, next);
        item.Settle(tx, new WorkOutcome.Done());
        await tx.CommitAsync(ct);
        return WorkOutcome.Settled;
    }
}
