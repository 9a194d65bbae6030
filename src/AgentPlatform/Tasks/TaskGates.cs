using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Work;

namespace AgentPlatform.Tasks;

/// <summary>The work item of a queued task. Only the task's latest round runs.</summary>
internal sealed record TaskWork(Guid TaskId, int Round, string TriggeredBy, Guid? UserId = null);

/// <summary>Why an attempt is made; <see cref="ByUser"/> when a person asked for it.</summary>
internal sealed record TaskTrigger(string Word, Guid? ByUser = null)
{
    internal static readonly TaskTrigger Created = new("created");
    internal static readonly TaskTrigger Schedule = new("schedule");
    internal static readonly TaskTrigger Dependency = new("dependency");
    internal static readonly TaskTrigger Retry = new("retry");

    internal static TaskTrigger Review(Guid user) => new("review", user);

    internal static TaskTrigger Change(Guid user) => new("change", user);

    /// <summary>Somebody said run, which also starts what is to be started by hand.</summary>
    internal static TaskTrigger Run(Guid user) => new("user", user);
}

/// <summary>
/// What stands in a pending task's way: tasks it depends on, a task that blocks it, a review, a person's start. Whoever takes one of these
/// away looks again, with the task's row locked. Locks are taken upstream first: the tasks waited for, then the one that waits.
/// </summary>
internal sealed class TaskGates(WorkQueue work, EventStore events, TimeProvider clock)
{
    /// <summary>What stands in the way of the bot when the task is a person's to do, and nothing else does.</summary>
    internal const string PersonsOwn = "Waits for a person to do it.";

    /// <summary>
    /// Changes of who waits for whom take turns in a tenant, for two that know nothing of each other could close a circle. Before any task is
    /// held: of two that are to wait for each other, each would hold what the other needs, and one of them the turn.
    /// </summary>
    internal static void TakeTurn(Transaction tx) => tx.PostCall(Sql.TakeTurn);

    /// <summary>
    /// Holds the tasks that another is to wait for until this transaction ends: none of them can end unseen meanwhile. A problem when one is not there.
    /// </summary>
    internal async Task<Problem?> HoldAsync(Transaction tx, IReadOnlyList<Guid> dependsOn, Guid? blockedBy, CancellationToken ct)
    {
        var wanted = dependsOn.Concat(blockedBy is { } blocker ? [blocker] : []).Distinct().ToArray();
        if (wanted.Length == 0)
        {
            return null;
        }

        var held = (await tx.QueryAsync<Guid>(Sql.Hold, [wanted], ct)).ToHashSet();
        return dependsOn.Any(id => !held.Contains(id)) ? Problem.Invalid("depends_on", "Names a task that does not exist.")
            : blockedBy is { } by && !held.Contains(by) ? Problem.Invalid("blocked_by", "There is no such task.")
            : null;
    }

    /// <summary>Problem <c>task_cycle</c> when one of these waits for the task itself, however far away. The caller has the turn.</summary>
    internal async Task<Problem?> RefuseCycleAsync(Transaction tx, Guid id, IReadOnlyList<Guid> dependsOn, Guid? blockedBy, CancellationToken ct) =>
        await tx.SingleAsync<bool>(Sql.Reaches, [id, dependsOn.Concat(blockedBy is { } by ? [by] : []).ToArray()], ct)
            ? Problem.Conflict("task_cycle", "The tasks would wait for each other.", "One of depends_on or blocked_by waits for this task.")
            : null;

    /// <summary>Queues those of the pending tasks that nothing stands in the way of, and says of the others what does. The caller has locked or made them.</summary>
    internal async Task<IReadOnlyList<AgencyTask>> OpenAsync(Transaction tx, Guid[] ids, TaskTrigger trigger, CancellationToken ct)
    {
        var looked = await tx.QueryAsync<AgencyTask>(Sql.Open, [ids, clock.GetUtcNow(), trigger.Word == "user"], ct);
        foreach (var task in looked.Where(task => task.Status == "queued"))
        {
            // One that was queued before keeps its place: what waits longest goes first.
            Enqueue(tx, task, trigger, task.ScheduledFor > clock.GetUtcNow() ? task.ScheduledFor : task.QueueRound > 1 ? task.QueuedAt : null);
            events.Append(tx, new NewEvent("agency_task.queued", "agency_task", task.Id, new { triggered_by = trigger.Word, scheduled_for = task.ScheduledFor }));
        }

        return looked;
    }

    /// <summary>The task is over: those that waited for it are looked at.</summary>
    internal async Task FollowAsync(Transaction tx, Guid over, CancellationToken ct)
    {
        // A statement of its own, so that the look has a snapshot younger than the locks: of two that end at once the second sees the first.
        var waiting = await tx.QueryAsync<Guid>(Sql.LockWaiting, [over], ct);
        if (waiting.Count > 0)
        {
            await OpenAsync(tx, [.. waiting], TaskTrigger.Dependency, ct);
        }
    }

    internal void Enqueue(Transaction tx, AgencyTask task, TaskTrigger trigger, DateTimeOffset? runAt) =>
        work.Enqueue(tx, new NewWork(TaskBoard.RunKind, Key(task), new TaskWork(task.Id, task.QueueRound, trigger.Word, trigger.ByUser))
        {
            Priority = TaskPriority.ForWork(task.Priority, task.Urgency),
            RunAt = runAt,
        });

    /// <summary>Takes back the work of a queued task; if it has just been claimed, the claim finds its round gone.</summary>
    internal Task WithdrawAsync(Transaction tx, AgencyTask task, string reason, CancellationToken ct) =>
        work.CancelAsync(tx, TaskBoard.RunKind, Key(task), reason, ct);

    private static string Key(AgencyTask task) => $"{task.Id}:{task.QueueRound}";

    private static class Sql
    {
        internal const string Hold = "SELECT id FROM tasks.agency_tasks WHERE id = ANY ($1) ORDER BY id FOR SHARE";

        internal const string TakeTurn =
            "SELECT pg_advisory_xact_lock(hashtextextended('tasks.dependencies:' || kernel.current_tenant_id()::text, 0)) IS NOT NULL";

        internal const string Reaches =
            """
            WITH RECURSIVE upstream AS (
                SELECT unnest($2::uuid[]) AS id
                UNION
                SELECT next.id
                FROM upstream AS u
                JOIN tasks.agency_tasks AS t ON t.id = u.id
                CROSS JOIN LATERAL unnest(t.depends_on || t.blocked_by) AS next (id)
                WHERE next.id IS NOT NULL
            )
            SELECT EXISTS (SELECT FROM upstream WHERE id = $1)
            """;

        internal const string LockWaiting =
            """
            SELECT id FROM tasks.agency_tasks
            WHERE status = 'pending' AND (depends_on @> ARRAY[$1]::uuid[] OR blocked_by = $1)
            ORDER BY id FOR NO KEY UPDATE
            """;

        internal const string Open =
            """
            WITH looked AS (
                SELECT t.tenant_id, t.id,
                       CASE WHEN up.broken > 0 THEN 'Waits for a task that failed or was cancelled.'
                            WHEN up.unfinished > 0 THEN 'Waits for ' || up.unfinished || CASE up.unfinished WHEN 1 THEN ' task.' ELSE ' tasks.' END
                            WHEN b.status IN ('pending', 'queued', 'in_progress') THEN 'Is blocked by another task.'
                            WHEN t.requires_human_review AND t.human_reviewed_at IS NULL THEN 'Waits for a review.'
                            WHEN NOT t.assigned_to_bot THEN 'Waits for a person to do it.'
                            WHEN t.execution_type = 'manual' AND NOT $3 THEN 'Waits for somebody to start it.'
                       END AS reason
                FROM tasks.agency_tasks AS t
                LEFT JOIN tasks.agency_tasks AS b ON b.tenant_id = t.tenant_id AND b.id = t.blocked_by
                CROSS JOIN LATERAL (
                    SELECT count(*) FILTER (WHERE u.status <> 'completed') AS unfinished, count(*) FILTER (WHERE u.status IN ('failed', 'cancelled')) AS broken
                    FROM tasks.agency_tasks AS u WHERE u.tenant_id = t.tenant_id AND u.id = ANY (t.depends_on)) AS up
                WHERE t.id = ANY ($1) AND t.status = 'pending'
            )
            UPDATE tasks.agency_tasks AS t
            SET status = CASE WHEN l.reason IS NULL THEN 'queued' ELSE 'pending' END,
                status_reason = l.reason,
                queued_at = CASE WHEN l.reason IS NULL THEN coalesce(t.queued_at, $2) ELSE t.queued_at END,
                queue_round = t.queue_round + CASE WHEN l.reason IS NULL THEN 1 ELSE 0 END
            FROM looked AS l
            WHERE t.tenant_id = l.tenant_id AND t.id = l.id
            RETURNING t.*
            """;
    }
}
