using System.Globalization;
using System.Text.Json;
using AgentPlatform.Conversations;
using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Work;
using AgentPlatform.Workflows.Sops.Drafting;

namespace AgentPlatform.Workflows.Sops;

/// <summary>Moves an execution, which the caller has locked, from one step to the next: each move is one statement on its row.</summary>
internal sealed class RunSop(SopShelf shelf, SopExecutionStore store, RequestSopAction request, ConversationLog conversations, WorkQueue work, EventStore events, TimeProvider clock)
{
    internal const string DueKind = "workflows.sop_step_due";
    internal const string ApprovalDueKind = "workflows.sop_approval_due";
    internal const string StopKind = "workflows.sop_stop_action";

    /// <summary>Nothing stands in its way any more: the first step begins, and the execution is counted.</summary>
    internal async Task<SopExecution> BeginAsync(Transaction tx, SopExecution execution, CancellationToken ct)
    {
        var now = clock.GetUtcNow();
        events.Append(tx, SopEvents.Of("sop.execution_started", execution, new { execution.ExecutorType, execution.Context, execution.DecidedBy }));
        // Last, for all executions of an SOP wait for each other here.
        tx.BeforeCommit(() => SopShelf.CountStart(tx, execution.SopId, now));
        return await GoOnAsync(tx, await GroundAsync(tx, execution, ct), execution with { Status = "in_progress", StartedAt = now }, ct);
    }

    /// <summary>Looks at the execution when its approval is due.</summary>
    internal void AwaitApproval(Transaction tx, Guid id, DateTimeOffset due) =>
        work.Enqueue(tx, new NewWork(ApprovalDueKind, id.ToString("n"), new SopApprovalDue(id)) { RunAt = due });

    /// <summary>The step under way has ended.</summary>
    internal async Task<SopExecution> SettleAsync(Transaction tx, SopExecution execution, StepEnd end, CancellationToken ct)
    {
        var ground = await GroundAsync(tx, execution, ct);
        var waitedFor = execution.ActionQueueId;
        var settled = await GoOnAsync(tx, ground, EndStep(tx, ground, execution, end), ct);
        if (end.ErrorCode == RequestSopAction.TimedOut && waitedFor is { } left && settled.ActionQueueId != left)
        {
            Stop(tx, left, "The step has taken too long.");
        }

        return settled;
    }

    internal async Task<SopExecution> CancelAsync(Transaction tx, SopExecution execution, string reason, CancellationToken ct)
    {
        if (execution.ActionQueueId is { } left)
        {
            Stop(tx, left, reason);
        }

        return await EndAsync(tx, execution with { StatusReason = reason }, "cancelled", ct);
    }

    /// <summary>The action is cancelled once this is committed: its row is locked before the execution's, never after.</summary>
    private void Stop(Transaction tx, Guid actionQueueId, string reason) =>
        work.Enqueue(tx, new NewWork(StopKind, actionQueueId.ToString("n"), new StopSopAction(actionQueueId, reason)));

    private async Task<Ground> GroundAsync(Transaction tx, SopExecution execution, CancellationToken ct) => new(
        new SopCourse(await shelf.StepsAsync(tx, execution.SopId, execution.Version, ct)),
        execution.ConversationId is { } id ? await conversations.FindAsync(tx, id, ct) : null);

    private async Task<SopExecution> GoOnAsync(Transaction tx, Ground ground, SopExecution execution, CancellationToken ct)
    {
        while (true)
        {
            var move = ground.Course.Next(execution.Results, Scope(ground, execution), clock.GetUtcNow());
            execution = move.Skipped.Aggregate(execution, (all, skipped) => Append(tx, all, skipped));
            if (move is not SopMove.Begin(var step, _))
            {
                return await EndAsync(tx, execution, move is SopMove.Complete ? "completed" : "failed", ct);
            }

            (execution, var end) = await BeginStepAsync(tx, ground, execution, step, ct);
            if (end is null)
            {
                return await store.SaveAsync(tx, execution, ct);
            }

            execution = EndStep(tx, ground, execution, end);
        }
    }

    /// <summary>The step under way; or how it has ended, if it has at once.</summary>
    private async Task<(SopExecution Execution, StepEnd? End)> BeginStepAsync(Transaction tx, Ground ground, SopExecution execution, SopStep step, CancellationToken ct)
    {
        var now = clock.GetUtcNow();
        execution = execution with
        {
            CurrentStepIndex = ground.Course.Steps.TakeWhile(other => other.StepNumber != step.StepNumber).Count(),
            StepRound = execution.StepRound + 1,
            StepStartedAt = now,
            StepDueAt = step.Timeout is { } seconds ? now.AddSeconds(seconds) : null,
            ActionQueueId = null,
        };
        if (execution.IsAgents(step))
        {
            if (await shelf.FindAsync(tx, execution.SopId, ct) is not { AiEnabled: true })
            {
                return (execution, StepEnd.Failed("ai_agent", "sop_ai_disabled", "The SOP is no longer executed by an agent.") with { IsFinal = true });
            }

            (execution, var end) = await request.RunAsync(tx, execution, step, ground.Conversation, Scope(ground, execution), ct);
            if (end is not null)
            {
                return (execution, end);
            }
        }

        if (execution.StepDueAt is { } due)
        {
            work.Enqueue(tx, new NewWork(DueKind, $"{execution.Id:n}:{execution.StepRound}", new SopStepDue(execution.Id, execution.StepRound)) { RunAt = due });
        }

        return (execution, null);
    }

    private SopExecution EndStep(Transaction tx, Ground ground, SopExecution execution, StepEnd end)
    {
        var step = ground.Course.Steps[execution.CurrentStepIndex!.Value];
        return Append(tx, execution, SopCourse.Judge(step, end, execution.Results, Scope(ground, execution, end.Result), execution.StepStartedAt!.Value, clock.GetUtcNow()));
    }

    private SopExecution Append(Transaction tx, SopExecution execution, SopStepResult result)
    {
        events.Append(tx, SopEvents.Of($"sop.step_{result.Status}", execution, result));
        return execution with { StepResults = Json.Of(execution.Results.Append(result)) };
    }

    private Task<SopExecution> EndAsync(Transaction tx, SopExecution execution, string status, CancellationToken ct)
    {
        var failures = execution.Results.Where(result => result.Status == "failed").ToArray();
        var last = status == "failed" ? failures[^1] : null;
        var ended = execution with
        {
            Status = status,
            CurrentStepIndex = null,
            StepStartedAt = null,
            StepDueAt = null,
            ActionQueueId = null,
            CompletedAt = clock.GetUtcNow(),
            Issues = Json.Of(failures.Select(failure => new SopIssue("execution", failure.Error!, failure.StepNumber, failure.ErrorCode))),
            Result = Json.Of(new { steps = ByStep(execution), error = last is null ? null : new { code = last.ErrorCode, message = last.Error, step_number = last.StepNumber } }),
        };
        events.Append(tx, SopEvents.Of("sop.execution_ended", ended, new { ended.Status, ended.StatusReason, ended.Result }));
        if (status != "cancelled")
        {
            tx.BeforeCommit(() => SopShelf.CountEnd(tx, ended.SopId, status == "completed"));
        }

        return store.SaveAsync(tx, ended, ct);
    }

    /// <summary>What conditions, criteria and parameters see. The result of the step under way, if it has one, is <c>$.step.result</c>.</summary>
    private static JsonElement Scope(Ground ground, SopExecution execution, JsonElement? result = null) => Json.Of(new
    {
        input = execution.Context,
        steps = ByStep(execution),
        instance_id = execution.Id,
        conversation_id = execution.ConversationId,
        contact_id = ground.Conversation?.ContactId,
        agent_id = ground.Conversation?.AgentId,
        step = new { result },
    });

    /// <summary>The latest result of each step.</summary>
    private static Dictionary<string, JsonElement?> ByStep(SopExecution execution)
    {
        var results = new Dictionary<string, JsonElement?>(StringComparer.Ordinal);
        foreach (var done in execution.Results.Where(result => result.Result is not null))
        {
            results[done.StepNumber.ToString(CultureInfo.InvariantCulture)] = done.Result;
        }

        return results;
    }

    /// <summary>What a move stands on.</summary>
    private sealed record Ground(SopCourse Course, Conversation? Conversation);
}

internal sealed record SopStepDue(Guid ExecutionId, int Round);

internal sealed record SopApprovalDue(Guid ExecutionId);

internal sealed record StopSopAction(Guid ActionQueueId, string Reason);

/// <summary>What the event store hears of executions: aggregate <c>sop_execution</c>.</summary>
internal static class SopEvents
{
    internal const string Aggregate = "sop_execution";

    internal static NewEvent Of(string type, SopExecution execution, object details) => new(type, Aggregate, execution.Id, new
    {
        execution.SopId,
        execution.Version,
        execution.ConversationId,
        details,
    })
    { CreatedBy = "workflows" };
}
