using AgentPlatform.Events;
using AgentPlatform.Postgres;
using AgentPlatform.Work;
using Microsoft.Extensions.Logging;

namespace AgentPlatform.Schedules;

/// <summary>Runs one task. The handler's writes, the task's row and the work item settle in one transaction.</summary>
internal sealed class RunAgentTask(
    Database database, EventStore events, TimeProvider clock, IEnumerable<IAgentTaskHandler> handlers, ILogger<RunAgentTask> log) : IWorkHandler
{
    public async Task<WorkOutcome> HandleAsync(WorkItem item, CancellationToken ct)
    {
        var id = item.Read<Payload>().TaskId;
        await using (var begin = database.Begin(Actor.System(item.TenantId)))
        {
            // Committed before the run: a task that kills its process is seen as processing, and its attempt is counted.
            if (await begin.FindAsync<Started>(Sql.Start, [id, item.Attempt - 1, clock.GetUtcNow()], ct) is not { } started)
            {
                return new WorkOutcome.Cancel("The task is over or gone.");
            }

            // Under the task's own id, so that it is said once however often the task is tried.
            events.Append(begin, new NewEvent("agent.task_ready", "agent_task", id, started) { EventId = id, CreatedBy = "schedules" });
            await begin.CommitAsync(ct);
        }

        return await RunAsync(item, id, ct) switch
        {
            // Nothing of a failed run is kept; the refusal goes through the engine, which tells OnDeadAsync when it gives up.
            AgentTaskOutcome.Failed failed => new WorkOutcome.Dead(failed.Error),
            AgentTaskOutcome.Retry retry => await RetryAsync(item, id, retry.Error, ct),
            _ => WorkOutcome.Settled,
        };
    }

    public Task OnDeadAsync(WorkItem item, string error, Transaction tx, CancellationToken ct)
    {
        tx.Post(Sql.Fail, item.Read<Payload>().TaskId, error, clock.GetUtcNow());
        return Task.CompletedTask;
    }

    private async Task<AgentTaskOutcome> RunAsync(WorkItem item, Guid id, CancellationToken ct)
    {
        await using var tx = database.Begin(Actor.System(item.TenantId));
        var task = await tx.SingleAsync<AgentTask>(Sql.Lock, [id], ct);
        if (handlers.FirstOrDefault(h => h.TaskType == task.TaskType) is not { } handler)
        {
            return new AgentTaskOutcome.Failed($"No handler knows tasks of type '{task.TaskType}'.");
        }

        var outcome = await RunAsync(handler, task, tx, ct);
        if (outcome is AgentTaskOutcome.Completed completed)
        {
            tx.Post(Sql.Complete, id, Kernel.Json.Param(completed.Result), clock.GetUtcNow());
            item.Settle(tx, new WorkOutcome.Done());
            await tx.CommitAsync(ct);
            log.TaskCompleted(id, task.TaskType);
        }

        return outcome;
    }

    private static async Task<AgentTaskOutcome> RunAsync(IAgentTaskHandler handler, AgentTask task, Transaction tx, CancellationToken ct)
    {
        try
        {
            return await handler.RunAsync(task, tx, ct);
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            // A handler's failure is an attempt like any other: its words are kept with the task.
            return new AgentTaskOutcome.Retry($"{e.GetType().Name}: {e.Message}");
        }
    }

    private async Task<WorkOutcome> RetryAsync(WorkItem item, Guid id, string error, CancellationToken ct)
    {
        if (!item.IsLastAttempt)
        {
            await using var tx = database.Begin(Actor.System(item.TenantId));
            tx.Post(Sql.NoteFailure, id, error, clock.GetUtcNow());
            await tx.CommitAsync(ct);
        }

        return new WorkOutcome.Retry(error);
    }

    internal sealed record Payload(Guid TaskId);

    /// <summary>What <c>agent.task_ready</c> tells.</summary>
    private sealed record Started(string TaskType, string AgentType, Guid? ContactId, string Priority, DateTimeOffset ScheduledFor);

    private static class Sql
    {
        internal const string Start =
            """
            UPDATE schedules.agent_tasks SET status = 'processing', retry_count = $2, last_attempted_at = $3
            WHERE id = $1 AND status IN ('pending', 'processing')
            RETURNING task_type, agent_type, contact_id, priority, scheduled_for
            """;

        internal const string Lock =
            """
            SELECT id, task_type, agent_type, contact_id, context_id, context_type, scheduled_for, priority, status, retry_count, max_retries,
                   last_attempted_at, context_json, result_json, error_log, created_at, created_by, completed_at, NULL::timestamptz AS archived_at
            FROM schedules.agent_tasks WHERE id = $1 FOR NO KEY UPDATE
            """;

        internal const string Complete =
            "UPDATE schedules.agent_tasks SET status = 'completed', result_json = $2, completed_at = $3 WHERE id = $1 AND status = 'processing'";

        internal const string NoteFailure =
            """
            UPDATE schedules.agent_tasks
            SET status = 'pending', error_log = concat_ws(E'\n', error_log, to_char($3 AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') || ' ' || $2)
            WHERE id = $1 AND status = 'processing'
            """;

        internal const string Fail =
            """
            UPDATE schedules.agent_tasks
            SET status = 'failed', completed_at = $3,
                error_log = concat_ws(E'\n', error_log, to_char($3 AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') || ' ' || $2)
            WHERE id = $1 AND status IN ('pending', 'processing')
            """;
    }
}
