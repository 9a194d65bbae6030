using System.Text.Json;
using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Schedules.Automations;

/// <summary>Scheduled tasks for the API.</summary>
internal sealed class ManageScheduledTasks(Database database, ScheduledRuns runs, IEnumerable<IAutomation> automations, TimeProvider clock)
{
    internal async Task<Page<ScheduledTask>> ListAsync(Transaction tx, string? status, string? automationType, PageRequest page, CancellationToken ct) =>
        Page<ScheduledTask>.Cut(await tx.QueryAsync<ScheduledTask>(Sql.List, [status, automationType, page.Before, page.Fetch], ct), page, t => t.Id);

    internal Task<ScheduledTask?> FindAsync(Transaction tx, Guid id, CancellationToken ct) => tx.FindAsync<ScheduledTask>(Sql.Find, [id], ct);

    internal async Task<Page<ScheduledExecution>> ExecutionsAsync(Transaction tx, Guid id, string? status, PageRequest page, CancellationToken ct) =>
        Page<ScheduledExecution>.Cut(await tx.QueryAsync<ScheduledExecution>(Sql.Executions, [id, status, page.Before, page.Fetch], ct), page, e => e.Id);

    internal Task<CronJob?> JobAsync(Transaction tx, Guid id, CancellationToken ct) => tx.FindAsync<CronJob>(Sql.Job, [id], ct);

    internal async Task<Result<ScheduledTask>> CreateAsync(Actor actor, ScheduledTaskBody body, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        var (task, now) = (body.Over(null) with { Id = clock.NewId(), CreatedAt = clock.GetUtcNow() }, clock.GetUtcNow());
        var next = await NextAsync(tx, task, now, ct);
        if (!next.IsOk)
        {
            return next.Problem;
        }

        task = task with { NextRun = task.IsActive ? next.Value : null };
        tx.Post(Sql.Insert, [.. Args(task, actor), task.CreatedAt]);
        runs.WakeAt(tx, task.Id, task.NextRun);
        var made = (await FindAsync(tx, task.Id, ct))!;
        await tx.CommitAsync(ct);
        return made;
    }

    /// <summary>Another schedule counts from now on. What is done cannot be changed while it is done.</summary>
    internal Task<Result<ScheduledTask>> ChangeAsync(Actor actor, Guid id, ScheduledTaskBody body, IfMatch match, CancellationToken ct) => WithAsync(actor, id, match, async (tx, known) =>
    {
        if (known.Status is "completed" or "archived")
        {
            return State(known, "changed");
        }

        var (task, now) = (body.Over(known), clock.GetUtcNow());
        var isOther = task.AutomationType != known.AutomationType || !JsonElement.DeepEquals(task.AutomationConfig, known.AutomationConfig);
        if (isOther && await runs.IsRunningAsync(tx, id, ct))
        {
            return Problem.Conflict("scheduled_task_running", "What a task does cannot be changed while it runs.");
        }

        var next = await NextAsync(tx, task, now, ct);
        if (!next.IsOk)
        {
            return next.Problem;
        }

        var moved = (task.CronExpression, task.Timezone, task.ScheduleType, task.IsActive) != (known.CronExpression, known.Timezone, known.ScheduleType, known.IsActive);
        return task with { NextRun = !task.MayStart ? null : moved ? next.Value : known.NextRun };
    }, ct);

    /// <summary>What waits to start is cancelled; a run under way goes to its end.</summary>
    internal Task<Result<ScheduledTask>> PauseAsync(Actor actor, Guid id, IfMatch match, CancellationToken ct) => WithAsync(actor, id, match, (_, known) =>
        Task.FromResult<Result<ScheduledTask>>(known.Status == "active" ? known with { Status = "paused", NextRun = null } : State(known, "paused")), ct);

    /// <summary>The next time is the first after now.</summary>
    internal Task<Result<ScheduledTask>> ResumeAsync(Actor actor, Guid id, IfMatch match, CancellationToken ct) => WithAsync(actor, id, match, async (tx, known) =>
    {
        if (known.Status is not ("paused" or "failed"))
        {
            return State(known, "resumed");
        }

        var next = await NextAsync(tx, known, clock.GetUtcNow(), ct);
        return next.Map(at => known with { Status = "active", NextRun = known.IsActive ? at : null });
    }, ct);

    internal Task<Result<ScheduledTask>> ArchiveAsync(Actor actor, Guid id, IfMatch match, CancellationToken ct) => WithAsync(actor, id, match, (_, known) =>
        Task.FromResult<Result<ScheduledTask>>(known.Status == "archived" ? State(known, "archived") : known with { Status = "archived", NextRun = null }), ct);

    internal async Task<Result<ScheduledTask>> DeleteAsync(Actor actor, Guid id, IfMatch match, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        if (await runs.LockAsync(tx, id, ct) is not { } task)
        {
            return Problem.NotFound("scheduled_task");
        }

        if (match.Check(task.UpdatedAt) is { } changed)
        {
            return changed;
        }

        if (await runs.IsRunningAsync(tx, id, ct))
        {
            return Problem.Conflict("scheduled_task_running", "A task cannot be deleted while it runs.");
        }

        tx.Post(Sql.Delete, id);
        await tx.CommitAsync(ct);
        return task;
    }

    /// <summary>A run at once, beside the schedule.</summary>
    internal async Task<Result<ScheduledExecution>> RunNowAsync(Actor actor, Guid id, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        if (await runs.LockAsync(tx, id, ct) is not { } task)
        {
            return Problem.NotFound("scheduled_task");
        }

        if (!task.MayStart)
        {
            return State(task, "run");
        }

        var run = runs.Queue(tx, id, "manual", 1, clock.GetUtcNow());
        var queued = (await runs.FindAsync(tx, run, ct))!;
        await tx.CommitAsync(ct);
        return queued;
    }

    private async Task<Result<ScheduledTask>> WithAsync(Actor actor, Guid id, IfMatch match, Func<Transaction, ScheduledTask, Task<Result<ScheduledTask>>> change, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        if (await runs.LockAsync(tx, id, ct) is not { } known)
        {
            return Problem.NotFound("scheduled_task");
        }

        if (match.Check(known.UpdatedAt) is { } stale)
        {
            return stale;
        }

        var changed = await change(tx, known);
        if (!changed.IsOk)
        {
            return changed;
        }

        tx.Post(Sql.Update, Args(changed.Value, actor));
        if (!changed.Value.MayStart)
        {
            runs.CancelQueued(tx, id, "The task was stopped before the run began.");
        }

        if (changed.Value.NextRun != known.NextRun)
        {
            runs.WakeAt(tx, id, changed.Value.NextRun);
        }

        var task = (await FindAsync(tx, id, ct))!;
        await tx.CommitAsync(ct);
        return task;
    }

    /// <summary>The first time after now of a task that is right in all its fields.</summary>
    private async Task<Result<DateTimeOffset>> NextAsync(Transaction tx, ScheduledTask task, DateTimeOffset now, CancellationToken ct)
    {
        if (!ScheduledTask.Types.Contains(task.AutomationType))
        {
            return Problem.Invalid("automation_type", $"Must be one of {string.Join(", ", ScheduledTask.Types)}.");
        }

        if (automations.FirstOrDefault(a => a.Type == task.AutomationType) is not { } automation)
        {
            return Problem.Unprocessable("automation_type_not_served", $"Nothing in this deployment runs automations of type '{task.AutomationType}'.");
        }

        if (ScheduledTaskBody.Check(task) is { } invalid)
        {
            return invalid;
        }

        var cadence = Cadence.Parse(task.ScheduleType, task.CronExpression, task.Timezone);
        return !cadence.IsOk ? cadence.Problem
            : await automation.CheckAsync(tx, task.AutomationConfig, ct) is { } problem ? problem
            : cadence.Value.After(now) is { } next ? next
            : Problem.Invalid("cron_expression", "There is no such time.");
    }

    private static Problem State(ScheduledTask task, string what) =>
        Problem.Conflict("scheduled_task_state", $"A task that is {(task.MayStart || task.IsActive ? task.Status : "switched off")} cannot be {what}.");

    private static object?[] Args(ScheduledTask t, Actor actor) =>
    [
        t.Id, t.Name, t.Description, t.AutomationType, Json.Param(t.AutomationConfig), t.ScheduleType, t.CronExpression, t.Timezone, t.Status, t.NextRun?.ToUniversalTime(),
        t.RetryOnFailure, t.MaxRetries, t.RetryDelay, t.Timeout, t.KeepExecutionHistory, t.MaxHistoryRecords, Json.Param(t.Tags), Json.Param(t.Metadata), t.IsActive,
        t.NotifyOnSuccess, t.NotifyOnFailure, Json.Param(NotificationChannel.Normal(t.Places)), actor.UserId,
    ];

    private static class Sql
    {
        internal const string List =
            """
            SELECT * FROM schedules.scheduled_browser_tasks
            WHERE ($1::text IS NULL OR status = $1) AND ($2::text IS NULL OR automation_type = $2) AND ($3::uuid IS NULL OR id < $3)
            ORDER BY id DESC LIMIT $4
            """;

        internal const string Find = "SELECT * FROM schedules.scheduled_browser_tasks WHERE id = $1";

        internal const string Executions =
            """
            SELECT * FROM schedules.scheduled_task_executions
            WHERE task_id = $1 AND ($2::text IS NULL OR status = $2) AND ($3::uuid IS NULL OR id < $3)
            ORDER BY id DESC LIMIT $4
            """;

        internal const string Job =
            """
            SELECT id, task_id, job_id, job_name, cron_expression, timezone, is_running, last_started_at, last_completed_at, next_run_at, created_at, updated_at
            FROM schedules.cron_job_registry WHERE task_id = $1
            """;

        internal const string Insert =
            """
            INSERT INTO schedules.scheduled_browser_tasks
                (tenant_id, id, name, description, automation_type, automation_config, schedule_type, cron_expression, timezone, status, next_run, retry_on_failure,
                 max_retries, retry_delay, timeout, keep_execution_history, max_history_records, tags, metadata, is_active, notify_on_success, notify_on_failure,
                 notification_channels, user_id, created_by, last_modified_by, created_at)
            VALUES (kernel.current_tenant_id(), $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $23, $23, $24)
            """;

        internal const string Update =
            """
            UPDATE schedules.scheduled_browser_tasks
            SET name = $2, description = $3, automation_type = $4, automation_config = $5, schedule_type = $6, cron_expression = $7, timezone = $8, status = $9,
                next_run = $10, retry_on_failure = $11, max_retries = $12, retry_delay = $13, timeout = $14, keep_execution_history = $15,
                max_history_records = $16, tags = $17, metadata = $18, is_active = $19,
                notify_on_success = $20, notify_on_failure = $21, notification_channels = $22, last_modified_by = $23
            WHERE id = $1
            """;

        internal const string Delete = "DELETE FROM schedules.scheduled_browser_tasks WHERE id = $1";
    }
}
