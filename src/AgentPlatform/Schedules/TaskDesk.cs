using AgentPlatform.Contacts;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Work;

namespace AgentPlatform.Schedules;

/// <summary>Null means any; archived tasks are listed apart from the others.</summary>
internal sealed record TaskFilter(
    string? Status = null, string? TaskType = null, string? AgentType = null, Guid? ContactId = null, string? ContextType = null, Guid? ContextId = null, bool Archived = false);

/// <summary>A task from the API. The context document is what the handler of the type reads.</summary>
internal sealed record AgentTaskBody(
    string? TaskType, string? AgentType, System.Text.Json.JsonElement? Context, Guid? ContactId, string? ContextType, Guid? ContextId,
    DateTimeOffset? ScheduledFor, string Priority = "medium", int MaxRetries = 3);

/// <summary>How much waits: the seed's <c>get_pending_tasks_count()</c>.</summary>
internal sealed record PendingCount(string Priority, long Pending, long Overdue, long Processing);

/// <summary>Tasks for the API.</summary>
internal sealed class TaskDesk(Database database, TaskQueue queue, WorkQueue work, ContactDirectory contacts, TimeProvider clock)
{
    internal async Task<Page<AgentTask>> ListAsync(Actor actor, TaskFilter filter, PageRequest page, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        var rows = await tx.QueryAsync<AgentTask>(
            Sql.List, [filter.Status, filter.TaskType, filter.AgentType, filter.ContactId, filter.ContextType, filter.ContextId, page.Before, page.Fetch, filter.Archived], ct);
        return Page<AgentTask>.Cut(rows, page, t => t.Id);
    }

    internal async Task<Result<AgentTask>> ReadAsync(Actor actor, Guid id, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        return await FindAsync(tx, id, ct);
    }

    internal async Task<Page<PendingCount>> PendingAsync(Actor actor, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        return new Page<PendingCount>(await tx.QueryAsync<PendingCount>(Sql.Pending, [clock.GetUtcNow()], ct), null);
    }

    internal async Task<Result<AgentTask>> CreateAsync(Actor actor, AgentTaskBody body, CancellationToken ct)
    {
        if (Check(body) is { } invalid)
        {
            return invalid;
        }

        await using var tx = database.Begin(actor);
        if (body.ContactId is { } contactId && await contacts.FindAsync(tx, contactId, ct) is null)
        {
            return Problem.NotFound("contact");
        }

        var id = queue.Enqueue(tx, new NewAgentTask(body.TaskType!, body.AgentType!, body.Context ?? Json.Of(new { }))
        {
            ContactId = body.ContactId,
            ContextType = body.ContextType,
            ContextId = body.ContextId,
            ScheduledFor = body.ScheduledFor,
            Priority = body.Priority,
            MaxRetries = body.MaxRetries,
            CreatedBy = "api",
        });
        var task = await FindAsync(tx, id, ct);
        await tx.CommitAsync(ct);
        return task;
    }

    internal async Task<Result<AgentTask>> CancelAsync(Actor actor, Guid id, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        if (await tx.ExecuteAsync(Sql.Cancel, [id, clock.GetUtcNow()], ct) == 0)
        {
            var task = await FindAsync(tx, id, ct);
            return task.IsOk ? Problem.Conflict("task_state", $"A task that is {task.Value.Status} cannot be cancelled.") : task;
        }

        // An item that has been claimed meanwhile finds its task cancelled and stops.
        await work.CancelAsync(tx, TaskQueue.WorkKind, id.ToString(), "The task was cancelled.", ct);
        var cancelled = await FindAsync(tx, id, ct);
        await tx.CommitAsync(ct);
        return cancelled;
    }

    private static Problem? Check(AgentTaskBody body) =>
        body.TaskType?.Length is not (>= 1 and <= 100) ? Problem.Invalid("task_type", "Must be 1 to 100 characters.")
        : body.AgentType?.Length is not (>= 1 and <= 50) ? Problem.Invalid("agent_type", "Must be 1 to 50 characters.")
        : !NewAgentTask.Priorities.Contains(body.Priority) ? Problem.Invalid("priority", $"Must be one of {string.Join(", ", NewAgentTask.Priorities)}.")
        : body.MaxRetries is < 0 or > 100 ? Problem.Invalid("max_retries", "Must be between 0 and 100.")
        : body.ContextType is { Length: 0 or > 50 } ? Problem.Invalid("context_type", "Must be 1 to 50 characters.")
        : body.ContextType is null != body.ContextId is null ? Problem.Invalid("context_id", "Type and id of the context are given together.")
        : null;

    private static async Task<Result<AgentTask>> FindAsync(Transaction tx, Guid id, CancellationToken ct) =>
        await tx.FindAsync<AgentTask>(Sql.Find, [id], ct) is { } task ? task : Problem.NotFound("task");

    private static class Sql
    {
        internal const string List =
            """
            SELECT id, task_type, agent_type, contact_id, context_id, context_type, scheduled_for, priority, status, retry_count, max_retries,
                   last_attempted_at, context_json, result_json, error_log, created_at, created_by, completed_at, archived_at
            FROM schedules.every_agent_task
            WHERE ($1::text IS NULL OR status = $1)
              AND ($2::text IS NULL OR task_type = $2)
              AND ($3::text IS NULL OR agent_type = $3)
              AND ($4::uuid IS NULL OR contact_id = $4)
              AND ($5::text IS NULL OR context_type = $5)
              AND ($6::uuid IS NULL OR context_id = $6)
              AND ($7::uuid IS NULL OR id < $7)
              AND (archived_at IS NOT NULL) = $9
            ORDER BY id DESC LIMIT $8
            """;

        internal const string Find =
            """
            SELECT id, task_type, agent_type, contact_id, context_id, context_type, scheduled_for, priority, status, retry_count, max_retries,
                   last_attempted_at, context_json, result_json, error_log, created_at, created_by, completed_at, archived_at
            FROM schedules.every_agent_task WHERE id = $1
            """;

        internal const string Pending =
            """
            SELECT p.priority, count(*) FILTER (WHERE t.status = 'pending') AS pending,
                   count(*) FILTER (WHERE t.status = 'pending' AND t.scheduled_for <= $1) AS overdue,
                   count(*) FILTER (WHERE t.status = 'processing') AS processing
            FROM unnest(ARRAY['urgent', 'high', 'medium', 'low']) WITH ORDINALITY AS p (priority, place)
            LEFT JOIN schedules.agent_tasks t ON t.priority = p.priority AND t.status IN ('pending', 'processing')
            GROUP BY p.priority, p.place ORDER BY p.place
            """;

        internal const string Cancel =
            "UPDATE schedules.agent_tasks SET status = 'cancelled', completed_at = $2 WHERE id = $1 AND status = 'pending'";
    }
}

/// <summary>A merged contact's tasks go to the survivor.</summary>
internal sealed class MoveTasks : IContactMergeParticipant
{
    public Task MoveAsync(Transaction tx, Guid from, Guid into, CancellationToken ct)
    {
        tx.Post(Sql.Move, from, into);
        tx.Post(Sql.MoveArchived, from, into);
        return Task.CompletedTask;
    }

    private static class Sql
    {
        internal const string Move = "UPDATE schedules.agent_tasks SET contact_id = $2 WHERE contact_id = $1";

        internal const string MoveArchived = "UPDATE schedules.archived_agent_tasks SET contact_id = $2 WHERE contact_id = $1";
    }
}
