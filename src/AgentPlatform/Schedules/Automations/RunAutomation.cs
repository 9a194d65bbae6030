using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Work;
using Npgsql;

namespace AgentPlatform.Schedules.Automations;

/// <summary>Begins a run through the automation of its type and looks after it until it is over or its time is up.</summary>
internal sealed class RunAutomation(Database database, ScheduledRuns runs, IEnumerable<IAutomation> automations, TimeProvider clock) : IWorkHandler
{
    private static readonly TimeSpan Look = TimeSpan.FromSeconds(2);

    private static readonly TimeSpan Turn = TimeSpan.FromSeconds(5);

    public async Task<WorkOutcome> HandleAsync(WorkItem item, CancellationToken ct)
    {
        var payload = item.Read<ScheduledRuns.Run>();
        await using var begin = database.Begin(Actor.System(item.TenantId));
        if (await runs.LockAsync(begin, payload.TaskId, ct) is not { } task || await runs.FindAsync(begin, payload.ExecutionId, ct) is not { Status: "queued" or "running" } run)
        {
            return new WorkOutcome.Cancel("The run is over, cancelled or gone.");
        }

        if (run.Status == "queued")
        {
            if (!await runs.BeginAsync(begin, run, ct))
            {
                return new WorkOutcome.Snooze(Turn);
            }

            run = (await runs.FindAsync(begin, run.Id, ct))!;
        }

        // Committed before it is run: a run that kills its process is seen as running, and its time counts.
        await begin.CommitAsync(ct);
        return await MoveAsync(item, task, run, ct);
    }

    public async Task OnDeadAsync(WorkItem item, string error, Transaction tx, CancellationToken ct)
    {
        var payload = item.Read<ScheduledRuns.Run>();
        if (await runs.LockAsync(tx, payload.TaskId, ct) is { } task && await runs.FindAsync(tx, payload.ExecutionId, ct) is { } run)
        {
            await runs.EndAsync(tx, task, run, new RunEnd("failed", null, error), ct);
        }
    }

    private async Task<WorkOutcome> MoveAsync(WorkItem item, ScheduledTask task, ScheduledExecution run, CancellationToken ct)
    {
        if (automations.FirstOrDefault(a => a.Type == task.AutomationType) is not { } automation)
        {
            return await EndAsync(item, run, new RunEnd("failed", null, $"Nothing here runs automations of type '{task.AutomationType}'.") { Impossible = true }, ct);
        }

        var asked = new AutomationRun(run.Id, task.Id, task.AutomationConfig);
        var left = run.StartedAt!.Value.AddSeconds(task.Timeout) - clock.GetUtcNow();
        if (left <= TimeSpan.Zero)
        {
            return await StopAsync(item, automation, asked, task, run, ct);
        }

        using var time = new CancellationTokenSource(left, clock);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(ct, time.Token);
        try
        {
            await using var tx = database.Begin(Actor.System(item.TenantId));
            var outcome = await automation.MoveAsync(tx, asked, both.Token);
            if (outcome is AutomationOutcome.UnderWay)
            {
                await tx.CommitAsync(ct);
                return new WorkOutcome.Snooze(left < Look ? left : Look);
            }

            if (outcome is AutomationOutcome.Succeeded)
            {
                return await EndAsync(tx, item, run, RunEnd.Of(outcome), ct);
            }

            await tx.DisposeAsync();
            return await EndAsync(item, run, RunEnd.Of(outcome), ct);
        }
        catch (OperationCanceledException) when (time.IsCancellationRequested && !ct.IsCancellationRequested)
        {
            return await StopAsync(item, automation, asked, task, run, ct);
        }
        catch (Exception e) when (e is not (OperationCanceledException or NpgsqlException) && !LeaseLostException.Means(e))
        {
            // An automation's failure is a failed run like any other: its words are kept with it. That of the database is the engine's to try again.
            return await EndAsync(item, run, new RunEnd("failed", null, $"{e.GetType().Name}: {e.Message}"), ct);
        }
    }

    private async Task<WorkOutcome> StopAsync(WorkItem item, IAutomation automation, AutomationRun asked, ScheduledTask task, ScheduledExecution run, CancellationToken ct)
    {
        await using var tx = database.Begin(Actor.System(item.TenantId));
        var reason = $"The run took longer than {task.Timeout} seconds.";
        await automation.StopAsync(tx, asked, reason, ct);
        return await EndAsync(tx, item, run, new RunEnd("timeout", null, reason), ct);
    }

    private async Task<WorkOutcome> EndAsync(WorkItem item, ScheduledExecution run, RunEnd end, CancellationToken ct)
    {
        await using var tx = database.Begin(Actor.System(item.TenantId));
        return await EndAsync(tx, item, run, end, ct);
    }

    private async Task<WorkOutcome> EndAsync(Transaction tx, WorkItem item, ScheduledExecution run, RunEnd end, CancellationToken ct)
    {
        // As it is now: it may have been paused or changed while it ran.
        if (await runs.LockAsync(tx, run.TaskId, ct) is { } task)
        {
            await runs.EndAsync(tx, task, run, end, ct);
        }

        item.Settle(tx, new WorkOutcome.Done());
        await tx.CommitAsync(ct);
        return WorkOutcome.Settled;
    }
}
