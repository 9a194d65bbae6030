using System.Text.Json;
using AgentPlatform.Actions;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Api;
using AgentPlatform.Conversations;
using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Tasks.Processors;

namespace AgentPlatform.Tasks;

/// <summary>What operators do to tasks. Each move locks the task, is refused when its state forbids it, and looks again at what stands in its way.</summary>
internal sealed class ManageTasks(
    Database database, TaskBoard board, TaskGates gates, TaskAttempts attempts, SettleTask settle, ConversationLog conversations, ActionRegistry registry, ActionQueue actions,
    EventStore events, TimeProvider clock)
{
    internal async Task<Result<AgencyTask>> CreateAsync(Actor actor, TaskBody body, CancellationToken ct)
    {
        if (body.ProblemAsNew is { } invalid)
        {
            return invalid;
        }

        await using var tx = database.Begin(actor);
        if (body.ConversationId is { } id && await conversations.FindAsync(tx, id, ct) is null)
        {
            return Problem.NotFound("conversation");
        }

        var created = await board.CreateAsync(tx, AsNew(body, actor), ct);
        if (created.IsOk)
        {
            await tx.CommitAsync(ct);
        }

        return created;
    }

    /// <summary>Changes what has not begun. One that is queued goes through its gates again.</summary>
    internal async Task<Result<AgencyTask>> ChangeAsync(Actor actor, Guid id, TaskBody body, IfMatch ifMatch, CancellationToken ct)
    {
        if (body.ProblemAsChange is { } invalid)
        {
            return invalid;
        }

        await using var tx = database.Begin(actor);
        if (body.DependsOn is not null || body.BlockedBy is not null)
        {
            // The turn first; then upstream before the task itself, like whoever ends one of them.
            TaskGates.TakeTurn(tx);
            if (await gates.HoldAsync(tx, [.. body.DependsOn ?? []], body.BlockedBy, ct) is { } missing)
            {
                return missing;
            }

            if (await gates.RefuseCycleAsync(tx, id, body.DependsOn ?? [], body.BlockedBy, ct) is { } cycle)
            {
                return cycle;
            }
        }

        return await MoveAsync(tx, id, ifMatch, "changed", task => task.Status is "pending" or "queued", async task =>
        {
            if (task.Status == "queued")
            {
                await gates.WithdrawAsync(tx, task, "The task was changed.", ct);
            }

            Post(tx, id, body);
            board.Watch(tx, id, body.Deadline);
            events.Append(tx, new NewEvent("agency_task.changed", "agency_task", id, body));
            await gates.OpenAsync(tx, [id], TaskTrigger.Change(actor.UserId), ct);
            return null;
        }, ct);
    }

    internal Task<Result<AgencyTask>> ReviewAsync(Caller caller, Guid id, ReviewBody body, IfMatch ifMatch, CancellationToken ct) =>
        MoveAsync(caller.Actor, id, ifMatch, "reviewed", task => task is { Status: "pending", RequiresHumanReview: true, HumanReviewedAt: null }, async (tx, task) =>
        {
            var actor = caller.Actor;
            if (body.Approved == true && await RefusesPermissionAsync(tx, caller, task, ct) is { } refused)
            {
                return refused;
            }

            tx.Post(Sql.Review, id, actor.UserId, clock.GetUtcNow());
            events.Append(tx, new NewEvent("agency_task.reviewed", "agency_task", id, new { approved = body.Approved, note = body.Note }));
            if (body.Approved == true)
            {
                await gates.OpenAsync(tx, [id], TaskTrigger.Review(actor.UserId), ct);
            }
            else
            {
                await settle.CancelAsync(tx, task, body.Note!, ct);
            }

            return null;
        }, ct);

    /// <summary>An action the task waits for is cancelled with it; one that is being carried out cannot be, and the task goes on.</summary>
    internal async Task<Result<AgencyTask>> CancelAsync(Actor actor, Guid id, CancelBody? body, IfMatch ifMatch, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        var reason = body?.Reason ?? "Cancelled by an operator.";
        if (await attempts.ActionOfAsync(tx, id, ct) is { } action)
        {
            if (ifMatch.Check((await board.FindAsync(tx, id, ct))!.UpdatedAt) is { } stale)
            {
                return stale;
            }

            // The action before the task, as when it ends by itself; the task hears of it and is cancelled.
            return await actions.CancelAsync(tx, action, reason, ct) is { IsOk: false } refused ? refused.Problem : await DoneAsync(tx, id, ct);
        }

        return await MoveAsync(tx, id, ifMatch, "cancelled", task => !task.IsOver, async task =>
        {
            if (await attempts.ActionOfAsync(tx, id, ct) is not null)
            {
                return Problem.Conflict("task_state", "The task has just handed over to an action; try again.");
            }

            await settle.CancelAsync(tx, task, reason, ct);
            return null;
        }, ct);
    }

    /// <summary>One more attempt at a task that has failed.</summary>
    internal Task<Result<AgencyTask>> RetryAsync(Actor actor, Guid id, IfMatch ifMatch, CancellationToken ct) =>
        MoveAsync(actor, id, ifMatch, "retried", task => task.Status == "failed", async (tx, _) =>
        {
            tx.Post(Sql.Reopen, id);
            await gates.OpenAsync(tx, [id], TaskTrigger.Run(actor.UserId), ct);
            return null;
        }, ct);

    /// <summary>Starts a task that is started by hand.</summary>
    internal Task<Result<AgencyTask>> RunAsync(Actor actor, Guid id, IfMatch ifMatch, CancellationToken ct) =>
        MoveAsync(actor, id, ifMatch, "run", task => task is { Status: "pending", AssignedToBot: true, ExecutionType: "manual" }, async (tx, _) =>
        {
            var opened = (await gates.OpenAsync(tx, [id], TaskTrigger.Run(actor.UserId), ct))[0];
            return opened.Status == "queued" ? null : Problem.Conflict("task_waits", "Something else stands in the task's way.", opened.StatusReason);
        }, ct);

    /// <summary>A person has done what is theirs to do.</summary>
    internal Task<Result<AgencyTask>> CompleteAsync(Actor actor, Guid id, CompleteBody body, IfMatch ifMatch, CancellationToken ct) =>
        MoveAsync(actor, id, ifMatch, "completed by hand", task => task is { Status: "pending", AssignedToBot: false }, async (tx, task) =>
        {
            var looked = (await gates.OpenAsync(tx, [id], TaskTrigger.Run(actor.UserId), ct))[0];
            if (looked.StatusReason != TaskGates.PersonsOwn)
            {
                return Problem.Conflict("task_waits", "Something else stands in the task's way.", looked.StatusReason);
            }

            var result = body.Result ?? Json.Of(new { summary = body.Summary });
            attempts.Done(tx, task, actor.UserId, result, body.Evidence);
            await settle.CompletedAsync(tx, task, result, body.Summary, ct);
            return null;
        }, ct);

    /// <summary>The review of an action that a person must allow is its permission: an approver gives it, and not to themselves.</summary>
    private async Task<Problem?> RefusesPermissionAsync(Transaction tx, Caller caller, AgencyTask task, CancellationToken ct)
    {
        if (task.TaskType != RunAction.TaskType || RunAction.ActionIdOf(task) is not { } actionId || task.ConversationId is not { } conversationId
            || await conversations.FindAsync(tx, conversationId, ct) is not { AgentId: { } agentId }
            || await registry.FindAsync(tx, agentId, actionId, ct) is not { Approval.ValueKind: JsonValueKind.Object })
        {
            return null;
        }

        return !Scopes.Allow(caller.Scopes, "approvals:write") ? new Problem("missing_scope", 403, "The API key lacks a scope.", "A person must allow this action: that needs approvals:write.")
            : task.UserId == caller.Actor.UserId ? Problem.Forbidden("task_own_review", "Somebody other than who put the task up has to allow its action.")
            : null;
    }

    private async Task<Result<AgencyTask>> MoveAsync(
        Actor actor, Guid id, IfMatch ifMatch, string move, Func<AgencyTask, bool> may, Func<Transaction, AgencyTask, Task<Problem?>> change, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        return await MoveAsync(tx, id, ifMatch, move, may, task => change(tx, task), ct);
    }

    private async Task<Result<AgencyTask>> MoveAsync(
        Transaction tx, Guid id, IfMatch ifMatch, string move, Func<AgencyTask, bool> may, Func<AgencyTask, Task<Problem?>> change, CancellationToken ct)
    {
        if (await board.LockAsync(tx, id, ct) is not { } task)
        {
            return Problem.NotFound("task");
        }

        var problem = ifMatch.Check(task.UpdatedAt)
            ?? (may(task) ? null : Problem.Conflict("task_state", $"A task that is {task.Status} cannot be {move} like this.", task.StatusReason))
            ?? await change(task);
        return problem is null ? await DoneAsync(tx, id, ct) : problem;
    }

    private async Task<Result<AgencyTask>> DoneAsync(Transaction tx, Guid id, CancellationToken ct)
    {
        var task = (await board.FindAsync(tx, id, ct))!;
        await tx.CommitAsync(ct);
        return task;
    }

    private static NewAgencyTask AsNew(TaskBody body, Actor actor) => new(body.Title!.Trim(), body.TaskType!)
    {
        UserId = actor.UserId == Guid.Empty ? null : actor.UserId,
        ConversationId = body.ConversationId,
        Description = body.Description,
        Category = body.Category ?? "general",
        Priority = body.Priority ?? "medium",
        Urgency = body.Urgency ?? "normal",
        AssignedToBot = body.AssignedToBot ?? true,
        RequiresHumanReview = body.RequiresHumanReview ?? false,
        ExecutionType = body.ExecutionType ?? "automatic",
        ExecutionConfig = body.ExecutionConfig,
        ScheduledFor = body.ScheduledFor,
        Deadline = body.Deadline,
        DependsOn = body.DependsOn ?? [],
        BlockedBy = body.BlockedBy,
        MaxRetries = body.MaxRetries ?? 3,
        NotifyOnComplete = body.NotifyOnComplete ?? true,
        NotifyOnFailure = body.NotifyOnFailure ?? true,
        Tags = body.Tags ?? [],
        Metadata = body.Metadata,
    };

    private static void Post(Transaction tx, Guid id, TaskBody body) => tx.Post(
        Sql.Change, id, body.Title?.Trim(), body.Description, body.Category, body.Priority, body.Urgency, body.AssignedToBot, body.RequiresHumanReview, body.ExecutionType,
        Json.Param(body.ExecutionConfig), body.ScheduledFor?.ToUniversalTime(), body.Deadline?.ToUniversalTime(), body.DependsOn?.Distinct().ToArray(), body.BlockedBy,
        body.MaxRetries, body.NotifyOnComplete, body.NotifyOnFailure, body.Tags?.Distinct(StringComparer.Ordinal).ToArray(), Json.Param(body.Metadata),
        body.Clears("scheduled_for"), body.Clears("deadline"), body.Clears("blocked_by"));

    private static class Sql
    {
        // A deadline that moves takes the mark of the old one away; a review was of what the task did then.
        internal const string Change =
            """
            UPDATE tasks.agency_tasks
            SET status = 'pending',
                title = coalesce($2, title), description = coalesce($3, description), category = coalesce($4, category), priority = coalesce($5, priority),
                urgency = CASE WHEN $6::text IS NOT NULL THEN $6 WHEN urgency = 'overdue' AND ($12::timestamptz IS NOT NULL OR $21) THEN 'normal' ELSE urgency END,
                assigned_to_bot = coalesce($7, assigned_to_bot), requires_human_review = coalesce($8, requires_human_review),
                execution_type = coalesce($9, execution_type), execution_config = coalesce($10, execution_config),
                human_reviewed_by = CASE WHEN $10 <> execution_config THEN NULL ELSE human_reviewed_by END,
                human_reviewed_at = CASE WHEN $10 <> execution_config THEN NULL ELSE human_reviewed_at END,
                scheduled_for = CASE WHEN $20 THEN NULL ELSE coalesce($11, scheduled_for) END,
                deadline = CASE WHEN $21 THEN NULL ELSE coalesce($12, deadline) END,
                depends_on = coalesce($13, depends_on),
                blocked_by = CASE WHEN $22 THEN NULL ELSE coalesce($14, blocked_by) END,
                max_retries = coalesce($15, max_retries), notify_on_complete = coalesce($16, notify_on_complete),
                notify_on_failure = coalesce($17, notify_on_failure), tags = coalesce($18, tags), metadata = coalesce($19, metadata)
            WHERE id = $1
            """;

        internal const string Review = "UPDATE tasks.agency_tasks SET human_reviewed_by = $2, human_reviewed_at = $3 WHERE id = $1";

        internal const string Reopen = "UPDATE tasks.agency_tasks SET status = 'pending', completed_at = NULL, queued_at = NULL WHERE id = $1";
    }
}
