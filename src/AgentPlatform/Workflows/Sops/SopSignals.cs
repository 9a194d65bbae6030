using AgentPlatform.Actions;
using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Work;
using AgentPlatform.Workflows.Sops.Drafting;
using AgentPlatform.Workflows.Starting;

namespace AgentPlatform.Workflows.Sops;

/// <summary>The time of a step is over. One that has ended before is none of its business.</summary>
internal sealed class SopStepTimeout(Database database, SopExecutionStore store, RunSop run, TimeProvider clock) : IWorkHandler
{
    public async Task<WorkOutcome> HandleAsync(WorkItem item, CancellationToken ct)
    {
        var due = item.Read<SopStepDue>();
        await using var tx = database.Begin(Actor.System(item.TenantId));
        if (await store.LockAsync(tx, due.ExecutionId, ct) is not { StepDueAt: { } at } execution || execution.StepRound != due.Round)
        {
            return new WorkOutcome.Done();
        }

        // The queue's clock is the database's.
        if (at - clock.GetUtcNow() is { Ticks: > 0 } early)
        {
            return new WorkOutcome.Snooze(early);
        }

        var who = execution.ActionQueueId is null ? "human" : "ai_agent";
        await run.SettleAsync(tx, execution, StepEnd.Failed(who, RequestSopAction.TimedOut, "The step has taken too long."), ct);
        item.Settle(tx, new WorkOutcome.Done());
        await tx.CommitAsync(ct);
        return WorkOutcome.Settled;
    }
}

/// <summary>Nobody has approved an execution in its time: it is rejected. One that was answered before is let be.</summary>
internal sealed class SopApprovalTimeout(Database database, SopExecutionStore store, RunSop run, TimeProvider clock) : IWorkHandler
{
    public async Task<WorkOutcome> HandleAsync(WorkItem item, CancellationToken ct)
    {
        await using var tx = database.Begin(Actor.System(item.TenantId));
        if (await store.LockAsync(tx, item.Read<SopApprovalDue>().ExecutionId, ct) is not { Status: "awaiting_approval", ApprovalDueAt: { } due } execution)
        {
            return new WorkOutcome.Done();
        }

        // The queue's clock is the database's.
        if (due - clock.GetUtcNow() is { Ticks: > 0 } early)
        {
            return new WorkOutcome.Snooze(early);
        }

        await run.CancelAsync(tx, execution, "Nobody approved it in time.", ct);
        item.Settle(tx, new WorkOutcome.Done());
        await tx.CommitAsync(ct);
        return WorkOutcome.Settled;
    }
}

/// <summary>Cancels an action that no step waits for any more; one that is being carried out is let be, and nobody hears of its end.</summary>
internal sealed class StopAbandonedAction(Database database, ActionQueue queue) : IWorkHandler
{
    public async Task<WorkOutcome> HandleAsync(WorkItem item, CancellationToken ct)
    {
        var stop = item.Read<StopSopAction>();
        await using var tx = database.Begin(Actor.System(item.TenantId));
        await queue.CancelAsync(tx, stop.ActionQueueId, stop.Reason, ct);
        item.Settle(tx, new WorkOutcome.Done());
        await tx.CommitAsync(ct);
        return WorkOutcome.Settled;
    }
}

/// <summary>Hears what became of the actions that steps requested.</summary>
internal sealed class SopActionOutcome(SopExecutionStore store, RunSop run) : IActionListener
{
    public async Task ChangedAsync(Transaction tx, ActionChange change, CancellationToken ct)
    {
        if (RequestSopAction.Requested(change.Item) && RequestSopAction.EndOf(change) is { } end && await store.LockOfActionAsync(tx, change.Item.Id, ct) is { } execution)
        {
            await run.SettleAsync(tx, execution, end, ct);
        }
    }
}

/// <summary>Begins the SOPs whose <c>triggers</c> name what has happened to a conversation, with the event as context.</summary>
internal sealed class SopTriggers(SopShelf shelf, StartSop starts, EventStore events) : IEventConsumer
{
    internal const string Consumer = "workflows.sops";

    public async Task HandleAsync(StoredEvent e, Transaction tx, CancellationToken ct)
    {
        if (EventStarts.ConversationOf(e) is not { } conversation)
        {
            return;
        }

        foreach (var sop in await shelf.StartedByAsync(tx, e.EventType, ct))
        {
            var context = Json.Of(new { e.EventType, e.AggregateType, e.AggregateId, e.Payload });
            var started = await starts.RunAsync(tx, new SopStart(sop.Id, $"event:{e.Id:n}:{sop.Id:n}") { ConversationId = conversation, Context = context }, ct);
            if (!started.IsOk && started.Problem.Code != StartSop.PrerequisitesUnmet)
            {
                events.Append(tx, new NewEvent("sop.not_started", "conversation", conversation, new { sop_id = sop.Id, event_id = e.Id, code = started.Problem.Code, started.Problem.Title }) { CreatedBy = "workflows" });
            }
        }
    }
}
