using AgentPlatform.Events;
using AgentPlatform.Postgres;
using AgentPlatform.Work;

namespace AgentPlatform.Tasks;

internal sealed record TaskDue(Guid TaskId);

/// <summary>Looks at a task when its deadline passes: one that is not over becomes overdue, says so, and goes before all others.</summary>
internal sealed class TaskDeadline(Database database, TaskBoard board, TaskGates gates, EventStore events, TimeProvider clock) : IWorkHandler
{
    public async Task<WorkOutcome> HandleAsync(WorkItem item, CancellationToken ct)
    {
        await using var tx = database.Begin(Actor.System(item.TenantId));
        if (await board.LockAsync(tx, item.Read<TaskDue>().TaskId, ct) is not { IsOver: false, Deadline: { } deadline } task || task.Urgency == "overdue")
        {
            return new WorkOutcome.Done();
        }

        // The queue's clock is the database's. A deadline that was moved has a look of its own, at which this one would be repeated.
        if (deadline - clock.GetUtcNow() is { Ticks: > 0 } early)
        {
            return new WorkOutcome.Snooze(early);
        }

        if (task.Status == "queued")
        {
            await gates.WithdrawAsync(tx, task, "The task is past its deadline and goes before others.", ct);
        }

        tx.Post(Sql.Overdue, task.Id);
        events.Append(tx, new NewEvent("agency_task.overdue", "agency_task", task.Id, new { title = task.Title, deadline, status = task.Status, priority = task.Priority }));
        if (task.Status != "in_progress")
        {
            await gates.OpenAsync(tx, [task.Id], TaskTrigger.Schedule, ct);
        }

        item.Settle(tx, new WorkOutcome.Done());
        await tx.CommitAsync(ct);
        return WorkOutcome.Settled;
    }

    private static class Sql
    {
        // One that is queued goes through its gates again, and is queued anew with its new urgency.
        internal const string Overdue =
            "UPDATE tasks.agency_tasks SET urgency = 'overdue', status = CASE status WHEN 'queued' THEN 'pending' ELSE status END WHERE id = $1";
    }
}
