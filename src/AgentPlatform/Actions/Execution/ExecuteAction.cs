using AgentPlatform.Actions.Checkpoints;
using AgentPlatform.Actions.Controls;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Billing.Usage;
using AgentPlatform.Contacts;
using AgentPlatform.Conversations;
using AgentPlatform.Events;
using AgentPlatform.Postgres;
using AgentPlatform.Resilience;
using AgentPlatform.Work;
using Microsoft.Extensions.Logging;

namespace AgentPlatform.Actions.Execution;

/// <summary>
/// Runs one queued action. Endpoints are called between transactions: the first writes the attempt as <c>executing</c>, the last settles it
/// with everything that follows. What needs no call happens in one.
/// </summary>
internal sealed class ExecuteAction(
    Database database, ActionRegistry registry, ExecutionLog executions, SettleAttempt settle, ActionEffects effects, CallEndpoint calls, RunSteps steps, CheckpointStore checkpoints,
    LocalActions local, ContactDirectory contacts, EventStore events, ActionListeners listeners, ExecutionControls controls, CircuitBreaker circuits, ExecutionAllowance allowance, TimeProvider clock, ILogger<ExecuteAction> log)
    : IWorkHandler
{
    public async Task<WorkOutcome> HandleAsync(WorkItem work, CancellationToken ct)
    {
        Begun begun;
        await using (var tx = database.Begin(Actor.System(work.TenantId)))
        {
            begun = await BeginAsync(tx, work, ct);
            if (begun.Outcome is { } outcome)
            {
                return outcome;
            }

            if (begun.Known is { } known)
            {
                return await settle.RunAsync(tx, work, begun.Item!, begun.Action!, known, ct);
            }

            if (begun.Action!.ExecutionType != "http")
            {
                return await settle.RunAsync(tx, work, begun.Item!, begun.Action, await local.RunAsync(tx, begun.Action, begun.Item!, begun.Contact, ct), ct);
            }

            await tx.CommitAsync(ct);
        }

        // No connection is held while the endpoint thinks.
        if (await AnswerAsync(work, begun, ct) is not { } answer)
        {
            return WorkOutcome.Settled;
        }

        await using var second = database.Begin(Actor.System(work.TenantId));
        // The session first, as turns do: a deadlock here would cost the settlement of a call that has been made.
        await SessionStore.LockAsync(second, begun.Item!.SessionId, ct);
        await circuits.LeaveAsync(second, begun.Passage!, EffectRules.VerdictOf(answer), answer.Failure?.Message, ct);
        return await settle.RunAsync(second, work, begun.Item, begun.Action, answer, ct);
    }

    /// <summary>The engine gave the item up (our own fault, repeatedly): the request ends as failed, and in the dead letters.</summary>
    public async Task OnDeadAsync(WorkItem work, string error, Transaction tx, CancellationToken ct)
    {
        if (await LockAsync(tx, work, ct) is { Status: QueueStatus.Ready or QueueStatus.Executing or QueueStatus.Retrying } item)
        {
            executions.CloseInterrupted(tx, item.QueueId);
            var action = await registry.FindAsync(tx, item.AgentId, item.ActionId, ct);
            await settle.FailAsync(tx, item, action, new ActionFailure("internal_error", error) { MayHaveHappened = item.Status == QueueStatus.Executing }, ct);
        }
    }

    private static Task<QueuedAction?> LockAsync(Transaction tx, WorkItem work, CancellationToken ct)
    {
        var request = work.Read<ActionWork>();
        return RequestLock.TakeAsync(tx, request.Id, request.SessionId, ct);
    }

    /// <summary>Null when the run ended between two steps, and has said so to the engine.</summary>
    private async Task<ActionResult?> AnswerAsync(WorkItem work, Begun begun, CancellationToken ct)
    {
        var (item, action) = (begun.Item!, begun.Action!);
        var data = TemplateData.Of(item, begun.Contact, control: begun.Control, checkpoint: begun.Checkpoint);
        if (StepPlan.Of(action, item.ParamsCollected) is { } plan)
        {
            return await steps.RunAsync(work, new StepRun(item, action, plan, data, begun.Checkpoint, begun.Effects), ct);
        }

        var open = begun.Effects.FirstOrDefault(effect => effect.IsOpen);
        return await calls.RunAsync(
            new EndpointCall(work.TenantId, action, item, data, open is null ? null : EffectProbe.Of(action), item.StartedAt!.Value) { AskOnly = open is not null && SettleAttempt.HasNoTries(item) }, ct);
    }

    private async Task<Begun> BeginAsync(Transaction tx, WorkItem work, CancellationToken ct)
    {
        var now = clock.GetUtcNow();
        var item = await LockAsync(tx, work, ct);
        if (item is null or { Status: not (QueueStatus.Ready or QueueStatus.Executing or QueueStatus.Retrying) })
        {
            return new(new WorkOutcome.Cancel("The request is no longer there to be executed."));
        }

        var boundary = await controls.ReachAsync(tx, work, item, ct);
        if (boundary.Outcome is { } stopped)
        {
            return new(stopped);
        }

        if (item is { Status: QueueStatus.Retrying, NextRetryAt: { } due } && due > now)
        {
            return new(new WorkOutcome.Snooze(due - now));
        }

        tx.Gather();
        var (entry, troubled, before) = (registry.FindAsync(tx, item.AgentId, item.ActionId, ct), circuits.TroubledAsync(tx, ct), effects.OfRequestAsync(tx, item.Id, ct));
        await tx.AskAsync(ct);
        if (await entry is not { IsActive: true } action)
        {
            return new(await RefuseAsync(tx, work, item, null, new ActionFailure(ErrorKind.Configuration, "The action is no longer offered."), ct));
        }

        var called = await before;
        if (called.Any(effect => effect.IsOpen) && !EffectRules.CanResolve(action))
        {
            return new(await RefuseAsync(tx, work, item, action, new ActionFailure(ErrorKind.OutcomeUnknown, "The call may have been carried out, and nothing tells whether it was.") { MayHaveHappened = true }, ct));
        }

        var passage = action.ExecutionType == "http"
            ? await circuits.EnterAsync(tx, await troubled, EffectRules.ServiceOf(action.ApiEndpoint!), TimeSpan.FromSeconds(action.TimeoutSeconds) + CallEndpoint.MaxPause, ct)
            : null;
        if (passage?.Wait is { } wait)
        {
            return new(await PostponeAsync(tx, work, item, passage.Service, wait, ct));
        }

        if (await TakeAllowanceAsync(tx, work, item, action, passage, called.Any(effect => effect.IsOpen), ct) is { } held)
        {
            return new(held);
        }

        var checkpoint = await checkpoints.TakeUpAsync(tx, item, ct);
        return checkpoint.IsOk
            ? await StartAsync(tx, item, new Begun(null) { Action = action, Effects = called, Checkpoint = checkpoint.Value, Control = boundary.Control, Passage = passage }, now, ct)
            : new(await RefuseAsync(tx, work, item, action, new ActionFailure(ErrorKind.CheckpointRefused, checkpoint.Problem.Title), ct));
    }

    /// <summary>The endpoint's circuit is open: neither an attempt nor a failure, it is only later. Said once, however long it lasts.</summary>
    private async Task<WorkOutcome> PostponeAsync(Transaction tx, WorkItem work, QueuedAction item, string service, TimeSpan wait, CancellationToken ct)
    {
        events.Append(tx, ActionEvents.Of("action.postponed", item, new { reason = ErrorKind.CircuitOpen, service, until = clock.GetUtcNow() + wait }) with { EventId = item.Id });
        work.Settle(tx, new WorkOutcome.Snooze(wait));
        await tx.CommitAsync(ct);
        return WorkOutcome.Settled;
    }

    /// <summary>Null when it may start. What undoes something is never in want of an allowance.</summary>
    private async Task<WorkOutcome?> TakeAllowanceAsync(
        Transaction tx, WorkItem work, QueuedAction item, ActionDefinition action, Passage? passage, bool mayHaveHappened, CancellationToken ct)
    {
        if (item.RollbackOf is not null)
        {
            return null;
        }

        var locked = await allowance.LockAsync(tx, item.Id, ct);
        // What was interrupted has its place already.
        var taken = await allowance.TakeAsync(
            tx, locked, item.Id, item.AgentId, () => item.Status == QueueStatus.Executing ? Task.FromResult(0) : tx.SingleAsync<int>(Sql.BusyAgents, [item.AgentId], ct), ct);
        if (taken is Allowance.Refused or Allowance.Wait && passage is not null)
        {
            await circuits.LeaveAsync(tx, passage, ServiceVerdict.Untried, null, ct);
        }

        switch (taken)
        {
            case Allowance.Refused(var reason):
                return await RefuseAsync(tx, work, item, action, new ActionFailure(ErrorKind.AllowanceUsedUp, reason) { MayHaveHappened = mayHaveHappened }, ct);
            case Allowance.Wait(var pause):
                work.Settle(tx, new WorkOutcome.Snooze(pause));
                await tx.CommitAsync(ct);
                return WorkOutcome.Settled;
            default:
                return null;
        }
    }

    private async Task<WorkOutcome> RefuseAsync(Transaction tx, WorkItem work, QueuedAction item, ActionDefinition? action, ActionFailure failure, CancellationToken ct)
    {
        executions.CloseInterrupted(tx, item.QueueId);
        await settle.FailAsync(tx, item, action, failure, ct);
        work.Settle(tx, new WorkOutcome.Done());
        await tx.CommitAsync(ct);
        return WorkOutcome.Settled;
    }

    private async Task<Begun> StartAsync(Transaction tx, QueuedAction item, Begun begun, DateTimeOffset now, CancellationToken ct)
    {
        var (action, effect) = (begun.Action!, begun.Effects.Count == 0 ? null : begun.Effects[0]);
        var done = await executions.CompletedAsync(tx, item.IdempotencyKey, ct);
        // A run that gave up its place between two steps is still the same attempt.
        var goesOn = item.Status == QueueStatus.Ready && item.ExecutionId is { } begunAs && await executions.IsOpenAsync(tx, begunAs, ct);
        var executionId = goesOn ? item.ExecutionId! : executions.Begin(tx, item, action, done?.ExecutionId);
        if (done is null && action.ExecutionType == "http" && ForEach.Of(action) is null)
        {
            effects.Begin(tx, item, action, executionId);
        }

        var executing = await tx.SingleAsync<QueuedAction>(Sql.Start, [item.Id, executionId, now], ct);
        if (!goesOn)
        {
            events.Append(tx, ActionEvents.Of("action.attempted", executing, new { execution_id = executionId, attempt = executing.RetryCount + 1, checkpoint_id = begun.Checkpoint?.CheckpointId }));
        }

        controls.Consume(tx, executing, begun.Control);
        await listeners.TellAsync(tx, new ActionChange(executing, action), ct);
        if (done is not null)
        {
            log.Duplicate(item.ActionId, item.QueueId, done.ExecutionId);
        }

        return begun with
        {
            // A replay of an open call goes out under that call's key.
            Item = ForEach.Of(action) is null && effect is not null ? executing with { IdempotencyKey = effect.IdempotencyKey } : executing,
            Contact = await contacts.FindAsync(tx, item.ContactId, ct),
            Known = done is null ? null : new ActionResult(done.Result ?? Parameters.None) { ResponseStatus = done.ApiResponseStatus, ResponseBody = done.ApiResponseBody },
        };
    }

    private sealed record Begun(WorkOutcome? Outcome)
    {
        internal QueuedAction? Item { get; init; }
        internal ActionDefinition? Action { get; init; }
        internal Contact? Contact { get; init; }
        internal ExecutionControl? Control { get; init; }

        /// <summary>Leave to call the endpoint.</summary>
        internal Passage? Passage { get; init; }

        /// <summary>What the request goes on from.</summary>
        internal ExecutionCheckpoint? Checkpoint { get; init; }

        /// <summary>The calls that were made before this attempt.</summary>
        internal IReadOnlyList<ActionEffect> Effects { get; init; } = [];

        /// <summary>What an earlier execution of the same idempotency key brought.</summary>
        internal ActionResult? Known { get; init; }
    }

    private static class Sql
    {
        internal const string BusyAgents =
            """
            SELECT count(DISTINCT agent_id)::integer FROM actions.action_queue
            WHERE tenant_id = kernel.current_tenant_id() AND status = 'executing' AND agent_id <> $1
            """;

        internal const string Start =
            """
            UPDATE actions.action_queue SET status = 'executing', started_at = $3, execution_id = $2, next_retry_at = NULL
            WHERE id = $1
            RETURNING *
            """;
    }
}
