using System.Text.Json;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Tasks;

/// <summary>Writes and reads <c>tasks.task_executions</c>: one row per attempt.</summary>
internal sealed class TaskAttempts(TimeProvider clock)
{
    /// <summary>The task is in progress from here on. An attempt that was under way belonged to a worker that went away.</summary>
    internal async Task<TaskRun> BeginAsync(Transaction tx, AgencyTask task, TaskWork work, IReadOnlyList<TaskStep> steps, TaskGuide? guide, CancellationToken ct)
    {
        var (id, now) = (clock.NewId(), clock.GetUtcNow());
        tx.Post(Sql.Interrupt, task.Id, now);
        tx.Post(Sql.Start, task.Id, now);
        var attempt = await tx.SingleAsync<int>(
            Sql.Begin, [tx.TenantId, id, task.Id, work.TriggeredBy, work.UserId, steps.Count, steps.Count > 0 ? steps[0].Name : null, Entry("Begun."), now,
                guide?.ActionPatternId, guide?.SuccessPatternId], ct);
        return new TaskRun(task, id, attempt) { Guide = guide };
    }

    /// <summary>Locks the task and its attempt; false when the attempt is over: cancelled, or taken for dead and begun anew by another worker.</summary>
    internal async Task<bool> HoldAsync(Transaction tx, TaskRun run, CancellationToken ct) => await tx.FindAsync<Guid?>(Sql.Hold, [run.ExecutionId], ct) is not null;

    internal void StepDone(Transaction tx, TaskRun run, string step, string? next, JsonElement? value, TimeSpan busy) =>
        tx.Post(
            Sql.StepDone, run.ExecutionId, next, Json.Param(new[] { new { step, ms = (int)busy.TotalMilliseconds, value } }), Entry($"Step {step} is done."),
            (int)busy.TotalMilliseconds);

    /// <summary>The attempt goes on when that action ends.</summary>
    internal void Await(Transaction tx, TaskRun run, Guid actionQueueId) => tx.Post(Sql.Await, run.ExecutionId, actionQueueId, Entry($"Waits for action {actionQueueId}."));

    /// <summary>The attempt that waits for the action, its task locked; null when none does.</summary>
    internal Task<TaskExecution?> AwaitingAsync(Transaction tx, Guid actionQueueId, CancellationToken ct) =>
        tx.FindAsync<TaskExecution>(Sql.Awaiting, [actionQueueId], ct);

    internal Task<Guid?> ActionOfAsync(Transaction tx, Guid taskId, CancellationToken ct) => tx.FindAsync<Guid?>(Sql.ActionOf, [taskId], ct);

    /// <summary>What the attempt before this one waited for, if that was an action.</summary>
    internal Task<Guid?> LastActionAsync(Transaction tx, TaskRun run, CancellationToken ct) => tx.FindAsync<Guid?>(Sql.LastAction, [run.Task.Id, run.Attempt - 1], ct);

    internal void Complete(Transaction tx, Guid executionId, JsonElement output, TaskEvidence evidence) =>
        tx.Post(
            Sql.Complete, executionId, clock.GetUtcNow(), Json.Param(output), Entry("Completed."), evidence.BrowserSessionId, evidence.DebugUrl, evidence.RecordingUrl,
            Json.Param(evidence.Screenshots), Json.Param(evidence.ResourceUsage));

    internal void Fail(Transaction tx, Guid executionId, TaskFailure failure) =>
        tx.Post(Sql.Fail, executionId, clock.GetUtcNow(), failure.Message, failure.Code, failure.Stack, Entry($"Failed: {failure.Message}"));

    internal void Cancel(Transaction tx, Guid taskId, string reason) => tx.Post(Sql.Cancel, taskId, clock.GetUtcNow(), Entry($"Cancelled: {reason}"));

    /// <summary>A person has done the task: an attempt that begins and ends here.</summary>
    internal void Done(Transaction tx, AgencyTask task, Guid userId, JsonElement output, TaskEvidence evidence)
    {
        var now = clock.GetUtcNow();
        tx.Post(Sql.ByHand, tx.TenantId, clock.NewId(), task.Id, userId, Json.Param(output), Entry("Done by a person."), Json.Param(evidence.Screenshots), evidence.RecordingUrl, now);
    }

    internal async Task<Page<TaskExecution>> ListAsync(Transaction tx, Guid taskId, PageRequest page, CancellationToken ct) =>
        Page<TaskExecution>.Cut(await tx.QueryAsync<TaskExecution>(Sql.List, [taskId, page.Before, page.Fetch], ct), page, row => row.Id);

    private Npgsql.NpgsqlParameter Entry(string message) => Json.Param(new[] { new { at = clock.GetUtcNow(), message } });

    private static class Sql
    {
        internal const string Interrupt =
            """
            UPDATE tasks.task_executions SET status = 'interrupted', completed_at = $2, error = 'The worker went away.', error_code = 'interrupted'
            WHERE task_id = $1 AND status = 'started'
            """;

        internal const string Start =
            """
            UPDATE tasks.agency_tasks SET status = 'in_progress', status_reason = 'An attempt is under way.', started_at = coalesce(started_at, $2)
            WHERE id = $1 AND status IN ('queued', 'in_progress')
            """;

        internal const string Begin =
            """
            INSERT INTO tasks.task_executions (tenant_id, id, task_id, attempt_number, triggered_by, triggered_by_user_id, steps_total, current_step, logs, started_at,
                action_pattern_id, success_pattern_id)
            SELECT $1, $2, $3, coalesce(max(attempt_number), 0) + 1, $4, $5, $6, $7, $8, $9, $10::uuid, $11::uuid FROM tasks.task_executions WHERE task_id = $3
            RETURNING attempt_number
            """;

        internal const string Hold =
            """
            SELECT e.id FROM tasks.agency_tasks AS t
            JOIN tasks.task_executions AS e ON e.tenant_id = t.tenant_id AND e.task_id = t.id
            WHERE e.id = $1 AND e.status = 'started' AND t.status = 'in_progress'
            FOR NO KEY UPDATE OF t, e
            """;

        internal const string StepDone =
            """
            UPDATE tasks.task_executions
            SET steps_completed = steps_completed + 1, current_step = $2, step_results = step_results || $3, logs = logs || $4,
                resource_usage = jsonb_build_object('busy_ms', coalesce((resource_usage->>'busy_ms')::integer, 0) + $5,
                                                    'transactions', coalesce((resource_usage->>'transactions')::integer, 0) + 1)
            WHERE id = $1
            """;

        internal const string Await = "UPDATE tasks.task_executions SET action_queue_id = $2, logs = logs || $3 WHERE id = $1";

        internal const string Awaiting =
            """
            SELECT e.* FROM tasks.agency_tasks AS t
            JOIN tasks.task_executions AS e ON e.tenant_id = t.tenant_id AND e.task_id = t.id
            WHERE e.action_queue_id = $1 AND e.status = 'started' AND t.status = 'in_progress'
            FOR NO KEY UPDATE OF t, e
            """;

        internal const string LastAction = "SELECT action_queue_id FROM tasks.task_executions WHERE task_id = $1 AND attempt_number = $2";

        internal const string ActionOf = "SELECT action_queue_id FROM tasks.task_executions WHERE task_id = $1 AND status = 'started' AND action_queue_id IS NOT NULL";

        internal const string Complete =
            """
            UPDATE tasks.task_executions
            SET status = 'completed', completed_at = $2, output = $3, logs = logs || $4, steps_completed = steps_total, current_step = NULL,
                browser_session_id = $5, debug_url = $6, recording_url = $7, screenshots = $8, resource_usage = coalesce(resource_usage, '{}') || coalesce($9::jsonb, '{}')
            WHERE id = $1
            """;

        internal const string Fail =
            """
            UPDATE tasks.task_executions SET status = 'failed', completed_at = $2, error = $3, error_code = $4, error_stack = $5, logs = logs || $6
            WHERE id = $1
            """;

        internal const string Cancel =
            "UPDATE tasks.task_executions SET status = 'cancelled', completed_at = $2, logs = logs || $3 WHERE task_id = $1 AND status = 'started'";

        internal const string ByHand =
            """
            INSERT INTO tasks.task_executions (tenant_id, id, task_id, attempt_number, status, triggered_by, triggered_by_user_id, steps_total, steps_completed,
                output, logs, screenshots, recording_url, started_at, completed_at)
            SELECT $1, $2, $3, coalesce(max(attempt_number), 0) + 1, 'completed', 'user', $4, 1, 1, $5, $6, $7, $8, $9, $9
            FROM tasks.task_executions WHERE task_id = $3
            """;

        internal const string List =
            "SELECT * FROM tasks.task_executions WHERE task_id = $1 AND ($2::uuid IS NULL OR id < $2) ORDER BY id DESC LIMIT $3";
    }
}

/// <summary>
/// What shows how a task was done. An endpoint that drives a browser or another machine says it in its answer: <c>browser_session_id</c>,
/// <c>debug_url</c>, <c>recording_url</c>, <c>screenshots</c> (http(s) addresses) and <c>resource_usage</c> (an object).
/// </summary>
internal sealed record TaskEvidence(string? BrowserSessionId, string? DebugUrl, string? RecordingUrl, IReadOnlyList<string> Screenshots, JsonElement? ResourceUsage)
{
    private const int MaxScreenshots = 50;

    internal static readonly TaskEvidence None = new(null, null, null, [], null);

    internal static TaskEvidence Of(JsonElement result)
    {
        if (result.ValueKind != JsonValueKind.Object)
        {
            return None;
        }

        return new(
            Text(result, "browser_session_id"), Address(Text(result, "debug_url")), Address(Text(result, "recording_url")),
            result.TryGetProperty("screenshots", out var list) && list.ValueKind == JsonValueKind.Array
                ? [.. list.EnumerateArray().Where(s => s.ValueKind == JsonValueKind.String).Select(s => Address(s.GetString())).OfType<string>().Take(MaxScreenshots)]
                : [],
            result.TryGetProperty("resource_usage", out var usage) && usage.ValueKind == JsonValueKind.Object ? usage : null);
    }

    /// <summary>Only what a browser may safely open.</summary>
    internal static string? Address(string? text) => Uri.TryCreate(text, UriKind.Absolute, out var url) && url.Scheme is "http" or "https" ? url.AbsoluteUri : null;

    private static string? Text(JsonElement result, string name) =>
        result.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String && value.GetString() is { Length: > 0 and <= 2000 } text ? text : null;
}
