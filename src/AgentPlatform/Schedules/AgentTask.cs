using System.Text.Json;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Schedules;

/// <summary>
/// Background work of an agent. Priorities: urgent, high, medium, low. Context: what it is about, e.g. type <c>conversation</c> and its
/// id; tasks of one context run one at a time. The task type decides the handler (<see cref="IAgentTaskHandler"/>).
/// </summary>
public sealed record NewAgentTask(string TaskType, string AgentType, object ContextJson)
{
    internal static readonly string[] Priorities = ["urgent", "high", "medium", "low"];

    public Guid? Id { get; init; }

    public Guid? ContactId { get; init; }

    public string? ContextType { get; init; }

    public Guid? ContextId { get; init; }

    /// <summary>At once when null.</summary>
    public DateTimeOffset? ScheduledFor { get; init; }

    public string Priority { get; init; } = "medium";

    public int MaxRetries { get; init; } = 3;

    public string? CreatedBy { get; init; }
}

/// <summary>A stored task. Status: pending, processing, completed, failed, cancelled.</summary>
public sealed record AgentTask(
    Guid Id, string TaskType, string AgentType, Guid? ContactId, Guid? ContextId, string? ContextType, DateTimeOffset ScheduledFor, string Priority,
    string Status, int RetryCount, int MaxRetries, DateTimeOffset? LastAttemptedAt, JsonElement ContextJson, JsonElement? ResultJson, string? ErrorLog,
    DateTimeOffset CreatedAt, string? CreatedBy, DateTimeOffset? CompletedAt, DateTimeOffset? ArchivedAt);

/// <summary>How a task's run ended: a closed set.</summary>
public abstract record AgentTaskOutcome
{
    private AgentTaskOutcome()
    {
    }

    /// <summary>Done; the result is kept with the task.</summary>
    public sealed record Completed(object Result) : AgentTaskOutcome;

    /// <summary>Failed; tried again while retries are left.</summary>
    public sealed record Retry(string Error) : AgentTaskOutcome;

    /// <summary>Trying again cannot help.</summary>
    public sealed record Failed(string Error) : AgentTaskOutcome;
}

/// <summary>Does the tasks of one type. What it writes through <paramref name="tx"/> commits together with the task's completion, once.</summary>
public interface IAgentTaskHandler
{
    string TaskType { get; }

    Task<AgentTaskOutcome> RunAsync(AgentTask task, Transaction tx, CancellationToken ct);
}

/// <summary>Puts tasks in, in the caller's transaction. A trigger drives each with one work item of kind <c>schedules.task</c>.</summary>
public sealed class TaskQueue(TimeProvider clock, Work.IWorkNudge nudge)
{
    public const string WorkKind = "schedules.task";

    /// <summary>Travels with the caller's next round trip. Returns the task's id.</summary>
    public Guid Enqueue(Transaction tx, NewAgentTask task)
    {
        var id = task.Id ?? clock.NewId();
        var now = clock.GetUtcNow();
        tx.Post(
            Sql.Insert, id, task.TaskType, task.AgentType, task.ContactId, task.ContextId, task.ContextType, (task.ScheduledFor ?? now).ToUniversalTime(),
            task.Priority, task.MaxRetries, Json.Param(task.ContextJson), task.CreatedBy, now);
        tx.AfterCommit(nudge.Nudge);
        return id;
    }

    private static class Sql
    {
        internal const string Insert =
            """
            INSERT INTO schedules.agent_tasks
                (tenant_id, id, task_type, agent_type, contact_id, context_id, context_type, scheduled_for, priority, max_retries, context_json, created_by,
                 created_at)
            VALUES (kernel.current_tenant_id(), $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
            """;
    }
}
