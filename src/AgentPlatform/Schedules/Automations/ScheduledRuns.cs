using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Work;

namespace AgentPlatform.Schedules.Automations;

/// <summary>Queues, begins and ends the runs of scheduled tasks. Whoever changes a task or a run holds the task's row.</summary>
internal sealed class ScheduledRuns(WorkQueue work, TimeProvider clock)
{
    internal const string DueKind = "schedules.due";
    internal const string RunKind = "schedules.run";

    internal Task<ScheduledTask?> LockAsync(Transaction tx, Guid taskId, CancellationToken ct) => tx.FindAsync<ScheduledTask>(Sql.Lock, [taskId], ct);

    internal Task<ScheduledExecution?> FindAsync(Transaction tx, Guid id, CancellationToken ct) => tx.FindAsync<ScheduledExecution>(Sql.Find, [id], ct);

    internal Task<bool> IsRunningAsync(Transaction tx, Guid taskId, CancellationToken ct) => tx.SingleAsync<bool>(Sql.IsRunning, [taskId], ct);

    /// <summary>Wakes the task at that time. What was said of another time finds the task moved on, and starts nothing.</summary>
    internal void WakeAt(Transaction tx, Guid taskId, DateTimeOffset? at)
    {
        if (at is { } due)
        {
            work.Enqueue(tx, new NewWork(DueKind, clock.NewId().ToString("n"), new Due(taskId, due)) { RunAt = due });
        }
    }

    internal void MoveOn(Transaction tx, Guid taskId, DateTimeOffset? next)
    {
        tx.Post(Sql.MoveOn, taskId, next?.ToUniversalTime());
        WakeAt(tx, taskId, next);
    }

    internal Guid Queue(Transaction tx, Guid taskId, string trigger, int attempt, DateTimeOffset scheduledFor, DateTimeOffset? runAt = null)
    {
        var id = clock.NewId();
        tx.Post(Sql.Queue, id, taskId, trigger, attempt, scheduledFor.ToUniversalTime(), clock.GetUtcNow());
        work.Enqueue(tx, new NewWork(RunKind, id.ToString("n"), new Run(id, taskId)) { RunAt = runAt });
        return id;
    }

    /// <summary>False when another run of the task is under way.</summary>
    internal async Task<bool> BeginAsync(Transaction tx, ScheduledExecution run, CancellationToken ct) =>
        await tx.ExecuteAsync(Sql.Begin, [run.Id, run.TaskId, clock.GetUtcNow()], ct) == 1;

    internal void CancelQueued(Transaction tx, Guid taskId, string reason) => tx.Post(Sql.CancelQueued, taskId, reason, clock.GetUtcNow());

    /// <summary>Ends a run, counts it, queues the next attempt if there is to be one, and prunes what the task keeps no longer.</summary>
    internal async Task EndAsync(Transaction tx, ScheduledTask task, ScheduledExecution run, RunEnd end, CancellationToken ct)
    {
        var (now, again) = (clock.GetUtcNow(), end.MayRepeat && task.MayStart && task.RetryOnFailure && run.AttemptNumber <= task.MaxRetries);
        if (await tx.FindAsync<Ended>(Sql.End, [run.Id, end.Status, now, Json.Param(end.Output), end.Error, again, end.Impossible], ct) is not { } ended)
        {
            return;
        }

        if (again)
        {
            Queue(tx, task.Id, "retry", run.AttemptNumber + 1, run.ScheduledFor, now.AddSeconds(task.RetryDelay));
        }
        else
        {
            Tell(tx, task, new RunEnded(run.Id, task.Id, task.Name, task.UserId, end.Status, run.AttemptNumber, ended.LastRunDuration, end.Error, ended.FailureStreak, now));
        }

        if (end.Impossible)
        {
            CancelQueued(tx, task.Id, "The task is failed.");
        }

        tx.Post(Sql.Prune, task.Id, task.KeepExecutionHistory ? task.MaxHistoryRecords : 0);
    }

    private void Tell(Transaction tx, ScheduledTask task, RunEnded ended) => work.Enqueue(tx, new NewWork(RunEnded.Kind, ended.ExecutionId.ToString("n"), ended with
    {
        Tags = task.TagTexts,
        Notify = (ended.IsFailure ? task.NotifyOnFailure : task.NotifyOnSuccess) ? task.Places : [],
    }));

    private sealed record Ended(int LastRunDuration, int FailureStreak);

    internal sealed record Due(Guid TaskId, DateTimeOffset ScheduledFor);

    internal sealed record Run(Guid ExecutionId, Guid TaskId);

    private static class Sql
    {
        internal const string Lock = "SELECT * FROM schedules.scheduled_browser_tasks WHERE id = $1 FOR NO KEY UPDATE";

        internal const string Find = "SELECT * FROM schedules.scheduled_task_executions WHERE id = $1";

        internal const string IsRunning = "SELECT is_running FROM schedules.cron_job_registry WHERE task_id = $1";

        internal const string MoveOn = "UPDATE schedules.scheduled_browser_tasks SET next_run = $2 WHERE id = $1";

        internal const string Queue =
            """
            INSERT INTO schedules.scheduled_task_executions (tenant_id, id, task_id, trigger_type, attempt_number, scheduled_for, created_at)
            VALUES (kernel.current_tenant_id(), $1, $2, $3, $4, $5, $6)
            """;

        internal const string Begin =
            """
            WITH job AS (
                UPDATE schedules.cron_job_registry SET is_running = true, last_started_at = $3 WHERE task_id = $2 AND NOT is_running
                RETURNING task_id
            )
            UPDATE schedules.scheduled_task_executions e SET status = 'running', started_at = $3, logs = logs || jsonb_build_object('at', $3, 'text', 'begun')
            FROM job WHERE e.id = $1 AND e.task_id = job.task_id AND e.status = 'queued'
            """;

        internal const string CancelQueued =
            """
            UPDATE schedules.scheduled_task_executions SET status = 'cancelled', error = $2, completed_at = $3
            WHERE task_id = $1 AND status = 'queued'
            """;

        // The run, its task's counts and the registry's flag change together or not at all.
        internal const string End =
            """
            WITH ended AS (
                UPDATE schedules.scheduled_task_executions
                SET status = $2::text, completed_at = $3, duration = greatest(0, extract(epoch FROM $3 - started_at) * 1000)::integer, output = $4, error = $5,
                    logs = logs || jsonb_build_object('at', $3, 'text', concat_ws(': ', $2::text, $5::text))
                         || CASE WHEN $6 THEN jsonb_build_array(jsonb_build_object('at', $3, 'text', 'to be repeated')) ELSE '[]' END
                WHERE id = $1 AND status = 'running'
                RETURNING task_id, started_at, duration, trigger_type
            ), free AS (
                UPDATE schedules.cron_job_registry r SET is_running = false, last_completed_at = $3 FROM ended WHERE r.task_id = ended.task_id
            )
            UPDATE schedules.scheduled_browser_tasks t
            SET execution_count = execution_count + 1,
                success_count = success_count + ($2::text = 'success')::integer,
                failure_count = failure_count + ($2::text <> 'success')::integer,
                failure_streak = CASE WHEN $2::text = 'success' THEN 0 ELSE failure_streak + (NOT $6)::integer END,
                total_duration = total_duration + ended.duration,
                last_run = ended.started_at, last_run_status = $2::text, last_run_error = $5, last_run_duration = ended.duration,
                status = CASE WHEN t.status = 'active' AND $7 THEN 'failed'
                              WHEN t.status IN ('active', 'paused') AND t.schedule_type = 'once' AND t.next_run IS NULL AND ended.trigger_type <> 'manual' AND NOT $6 THEN 'completed'
                              ELSE t.status END,
                next_run = CASE WHEN $7 THEN NULL ELSE t.next_run END
            FROM ended WHERE t.id = ended.task_id
            RETURNING t.last_run_duration, t.failure_streak
            """;

        internal const string Prune =
            """
            DELETE FROM schedules.scheduled_task_executions
            WHERE task_id = $1 AND status NOT IN ('queued', 'running')
              AND id NOT IN (SELECT id FROM schedules.scheduled_task_executions WHERE task_id = $1 ORDER BY id DESC LIMIT $2)
            """;
    }
}

/// <summary>How a run ended: success, failed or timeout.</summary>
internal sealed record RunEnd(string Status, object? Output, string? Error)
{
    /// <summary>No run of this task can be made as it is configured.</summary>
    internal bool Impossible { get; init; }

    internal bool MayRepeat => Status != "success" && !Impossible;

    internal static RunEnd Of(AutomationOutcome outcome) => outcome switch
    {
        AutomationOutcome.Succeeded done => new("success", done.Output, null),
        AutomationOutcome.Impossible never => new("failed", null, never.Error) { Impossible = true },
        AutomationOutcome.Failed failed => new("failed", null, failed.Error),
        _ => throw new ArgumentException("A run that is under way has not ended.", nameof(outcome)),
    };
}
