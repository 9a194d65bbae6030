using System.Text.Json;
using AgentPlatform.Actions.Controls;
using AgentPlatform.Contacts;
using AgentPlatform.Conversations;
using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Resilience;
using AgentPlatform.Work;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace AgentPlatform.Actions;

/// <summary>
/// Runs one queued action. An endpoint is called between two transactions: the first writes the attempt as <c>executing</c>, the
/// second settles it with everything that follows. What needs no call happens in one.
/// </summary>
internal sealed class ExecuteAction(
    Database database, ActionRegistry registry, ExecutionLog executions, AcknowledgeExecution acknowledgements, DeadLetters deadLetters, ActionEffects effects, HttpAction http, LocalActions local,
    ContactDirectory contacts, SessionStore sessions, EventStore events, ActionListeners listeners, ExecutionControls controls, CircuitBreaker circuits, TimeProvider clock, ILogger<ExecuteAction> log) : IWorkHandler
{
    /// <summary>A worker that was stopped for longer than this between record and call may have lost its lease, and does not call.</summary>
    internal static readonly TimeSpan MaxPause = TimeSpan.FromSeconds(5);

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
                return await SettleAsync(tx, work, begun.Item!, begun.Action!, known, ct);
            }

            if (begun.Action!.ExecutionType != "http")
            {
                return await SettleAsync(tx, work, begun.Item!, begun.Action, await local.RunAsync(tx, begun.Action, begun.Item!, begun.Contact, ct), ct);
            }

            await tx.CommitAsync(ct);
        }

        // No connection is held while the endpoint thinks.
        var answer = await CallAsync(work.TenantId, begun, ct);
        await using var second = database.Begin(Actor.System(work.TenantId));
        // The session first, as turns do: a deadlock here would cost the settlement of a call that has been made.
        await sessions.FindAsync(second, begun.Item!.SessionId, ct);
        await circuits.LeaveAsync(second, begun.Passage!, EffectRules.VerdictOf(answer), answer.Failure?.Message, ct);
        return await SettleAsync(second, work, begun.Item, begun.Action, answer, ct);
    }

    /// <summary>The engine gave the item up (our own fault, repeatedly): the request ends as failed, and in the dead letters.</summary>
    public async Task OnDeadAsync(WorkItem work, string error, Transaction tx, CancellationToken ct)
    {
        if (await tx.FindAsync<QueuedAction>(Sql.Lock, [work.Read<ActionWork>().Id], ct) is { Status: QueueStatus.Ready or QueueStatus.Executing or QueueStatus.Retrying } item)
        {
            executions.CloseInterrupted(tx, item.QueueId);
            var action = await registry.FindAsync(tx, item.AgentId, item.ActionId, ct);
            await FailAsync(tx, item, action, new ActionFailure("internal_error", error), ct);
        }
    }

    /// <summary>
    /// What templates may use: <c>params</c> (also at the top level), the contact's own data, and what an operator left for this attempt:
    /// <c>instruction</c> and <c>checkpoint</c>.
    /// </summary>
    internal static JsonElement Data(QueuedAction item, Contact? contact, JsonElement? result = null, ExecutionControl? control = null)
    {
        var data = item.ParamsCollected.ValueKind == JsonValueKind.Object
            ? item.ParamsCollected.EnumerateObject().ToDictionary(p => p.Name, p => (object?)p.Value, StringComparer.Ordinal)
            : new Dictionary<string, object?>(StringComparer.Ordinal);
        data["params"] = item.ParamsCollected;
        data["contact"] = contact is null ? null : new
        {
            contact.Id,
            contact.ExternalId,
            contact.FirstName,
            contact.LastName,
            contact.Company,
            contact.Title,
            contact.Email,
            contact.PhoneNumber,
            contact.LinkedinUrl,
            contact.Verified,
        };
        data["queue_id"] = item.QueueId;
        data["idempotency_key"] = item.IdempotencyKey;
        data["conversation_id"] = item.ConversationId;
        data["result"] = result;
        if (control?.InjectedInstruction is { } instruction)
        {
            data["instruction"] = instruction;
        }

        if (control?.CheckpointData is { } checkpoint)
        {
            data["checkpoint"] = checkpoint;
        }

        return Json.Of(data);
    }

    /// <summary>A call whose outcome is unknown is asked for, where that can be; only one that did not happen is made again.</summary>
    private async Task<ActionResult> CallAsync(Guid tenantId, Begun begun, CancellationToken ct)
    {
        var (action, item, data) = (begun.Action!, begun.Item!, Data(begun.Item!, begun.Contact, control: begun.Control));
        if (begun.Probe is { } probe && await http.ProbeAsync(tenantId, action, probe, item, data, ct) is { Effect: not "not_happened" } found)
        {
            return found;
        }

        var answer = clock.GetUtcNow() - item.StartedAt > MaxPause
            ? ActionResult.Failed(new(ErrorKind.NetworkError, "The worker was held up before the call.") { Code = EffectRules.NotCalled }) with { Effect = "not_happened" }
            : await http.CallAsync(tenantId, action, item, data, ct);
        return answer with { Probed = begun.Probe is not null };
    }

    private async Task<Begun> BeginAsync(Transaction tx, WorkItem work, CancellationToken ct)
    {
        var now = clock.GetUtcNow();
        var item = await tx.FindAsync<QueuedAction>(Sql.Lock, [work.Read<ActionWork>().Id], ct);
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
        var (entry, troubled) = (registry.FindAsync(tx, item.AgentId, item.ActionId, ct), circuits.TroubledAsync(tx, ct));
        await tx.AskAsync(ct);
        if (await entry is not { IsActive: true } action)
        {
            return new(await RefuseAsync(tx, work, item, null, new ActionFailure(ErrorKind.Configuration, "The action is no longer offered."), ct));
        }

        var effect = item.Status == QueueStatus.Ready && item.ReplayOf is null ? null : await effects.FindAsync(tx, item.Id, ct);
        if (effect is { IsOpen: true } && !EffectRules.CanResolve(action))
        {
            return new(await RefuseAsync(tx, work, item, action, new ActionFailure(ErrorKind.OutcomeUnknown, "The call may have been carried out, and nothing tells whether it was."), ct));
        }

        var passage = action.ExecutionType == "http"
            ? await circuits.EnterAsync(tx, await troubled, EffectRules.ServiceOf(action), TimeSpan.FromSeconds(action.TimeoutSeconds) + MaxPause, ct) : null;
        return passage?.Wait is { } wait
            ? new(await PostponeAsync(tx, work, item, passage.Service, wait, ct))
            : await StartAsync(tx, item, action, effect, boundary.Control, now, ct) with { Passage = passage };
    }

    /// <summary>The endpoint's circuit is open: neither an attempt nor a failure, it is only later. Said once, however long it lasts.</summary>
    private async Task<WorkOutcome> PostponeAsync(Transaction tx, WorkItem work, QueuedAction item, string service, TimeSpan wait, CancellationToken ct)
    {
        events.Append(tx, ActionEvents.Of("action.postponed", item, new { reason = ErrorKind.CircuitOpen, service, until = clock.GetUtcNow() + wait }) with { EventId = item.Id });
        await work.SettleAsync(tx, new WorkOutcome.Snooze(wait), ct);
        await tx.CommitAsync(ct);
        return WorkOutcome.Settled;
    }

    private async Task<WorkOutcome> RefuseAsync(Transaction tx, WorkItem work, QueuedAction item, ActionDefinition? action, ActionFailure failure, CancellationToken ct)
    {
        executions.CloseInterrupted(tx, item.QueueId);
        await FailAsync(tx, item, action, failure, ct);
        await work.SettleAsync(tx, new WorkOutcome.Done(), ct);
        await tx.CommitAsync(ct);
        return WorkOutcome.Settled;
    }

    private async Task<Begun> StartAsync(Transaction tx, QueuedAction item, ActionDefinition action, ActionEffect? effect, ExecutionControl? control, DateTimeOffset now, CancellationToken ct)
    {
        var done = await executions.CompletedAsync(tx, item.IdempotencyKey, ct);
        var executionId = executions.Begin(tx, item, action, done?.ExecutionId);
        if (done is null && action.ExecutionType == "http")
        {
            effects.Begin(tx, item, action, executionId);
        }

        var executing = await tx.SingleAsync<QueuedAction>(Sql.Start, [item.Id, executionId, now], ct);
        events.Append(tx, ActionEvents.Of("action.attempted", executing, new { execution_id = executionId, attempt = executing.RetryCount + 1 }));
        controls.Consume(tx, executing, control);
        await listeners.TellAsync(tx, new ActionChange(executing, action), ct);
        if (done is not null)
        {
            log.Duplicate(item.ActionId, item.QueueId, done.ExecutionId);
        }

        return new(null)
        {
            // A replay of an open call goes out under that call's key.
            Item = executing with { IdempotencyKey = effect?.IdempotencyKey ?? executing.IdempotencyKey },
            Action = action,
            Probe = effect is { IsOpen: true } ? EffectProbe.Of(action) : null,
            Contact = await contacts.FindAsync(tx, item.ContactId, ct),
            Control = control,
            Known = done is null ? null : new ActionResult(done.Result ?? Parameters.None) { ResponseStatus = done.ApiResponseStatus, ResponseBody = done.ApiResponseBody },
        };
    }

    private async Task<WorkOutcome> SettleAsync(Transaction tx, WorkItem work, QueuedAction item, ActionDefinition action, ActionResult result, CancellationToken ct)
    {
        WorkOutcome outcome = new WorkOutcome.Done();
        effects.Settle(tx, item.Id, result);
        if (result.Failure is not { } failure)
        {
            executions.Complete(tx, item.ExecutionId!, result, acknowledgements.Expect(tx, action, item.ExecutionId!));
            await CompleteAsync(tx, item, action, result, ct);
        }
        else
        {
            executions.Fail(tx, item.ExecutionId!, failure);
            if ((result.Effect != "unknown" || EffectRules.CanResolve(action)) && item.Policy.Next(item.RetryCount + 1, failure.Kind, clock.GetUtcNow()) is { } next)
            {
                await RetryAsync(tx, item, action, failure, next, ct);
                outcome = new WorkOutcome.Snooze(next - clock.GetUtcNow());
            }
            else
            {
                await FailAsync(tx, item, action, failure, ct);
            }
        }

        await work.SettleAsync(tx, outcome, ct);
        await tx.CommitAsync(ct);
        return WorkOutcome.Settled;
    }

    private async Task CompleteAsync(Transaction tx, QueuedAction item, ActionDefinition action, ActionResult result, CancellationToken ct)
    {
        var completed = await tx.SingleAsync<QueuedAction>(Sql.Complete, [item.Id, clock.GetUtcNow(), result.Value], ct);
        events.Append(tx, ActionEvents.Of("action.completed", completed, new { execution_id = item.ExecutionId, api_response_status = result.ResponseStatus }));
        if (item.RollbackOf is { } undone)
        {
            executions.RolledBack(tx, undone, item.ActionId, item.ExecutionId!);
        }

        if (item.ReplayOf is not null)
        {
            deadLetters.ReplayCompleted(tx, item.QueueId);
        }

        await listeners.TellAsync(tx, new ActionChange(completed, action), ct);
    }

    private async Task RetryAsync(Transaction tx, QueuedAction item, ActionDefinition action, ActionFailure failure, DateTimeOffset next, CancellationToken ct)
    {
        var retrying = await tx.SingleAsync<QueuedAction>(Sql.Retry, [item.Id, clock.GetUtcNow(), next, Error(item, failure)], ct);
        events.Append(tx, ActionEvents.Of("action.failed", retrying, new { execution_id = item.ExecutionId, error_type = failure.Kind, will_retry = true, next_retry_at = next }));
        log.AttemptFailed(item.ActionId, item.QueueId, failure.Kind, next);
        await listeners.TellAsync(tx, new ActionChange(retrying, action, failure), ct);
    }

    private async Task FailAsync(Transaction tx, QueuedAction item, ActionDefinition? action, ActionFailure failure, CancellationToken ct)
    {
        var failed = await tx.SingleAsync<QueuedAction>(Sql.Fail, [item.Id, clock.GetUtcNow(), Error(item, failure)], ct);
        effects.Leave(tx, item.Id);
        deadLetters.Add(tx, failed, ActionQueue.Text(item.Status), action?.Category, failure);
        events.Append(tx, ActionEvents.Of("action.failed", failed, new { execution_id = item.ExecutionId, error_type = failure.Kind, will_retry = false }));
        log.GaveUp(item.ActionId, item.QueueId, failure.Kind);
        await listeners.TellAsync(tx, new ActionChange(failed, action, failure), ct);
    }

    private NpgsqlParameter Error(QueuedAction item, ActionFailure failure) =>
        Json.Param(new[] { new { attempt = item.RetryCount + 1, error = failure.Message, type = failure.Kind, timestamp = clock.GetUtcNow() } });

    private sealed record Begun(WorkOutcome? Outcome)
    {
        internal QueuedAction? Item { get; init; }
        internal ActionDefinition? Action { get; init; }
        internal Contact? Contact { get; init; }
        internal ExecutionControl? Control { get; init; }

        /// <summary>Leave to call the endpoint.</summary>
        internal Passage? Passage { get; init; }

        /// <summary>To be asked before anything is called.</summary>
        internal EffectProbe? Probe { get; init; }

        /// <summary>What an earlier execution of the same idempotency key brought.</summary>
        internal ActionResult? Known { get; init; }
    }

    private static class Sql
    {
        internal const string Lock = "SELECT * FROM actions.action_queue WHERE id = $1 FOR UPDATE";

        internal const string Start =
            """
            UPDATE actions.action_queue SET status = 'executing', started_at = $3, execution_id = $2, next_retry_at = NULL
            WHERE id = $1
            RETURNING *
            """;

        internal const string Complete =
            "UPDATE actions.action_queue SET status = 'completed', completed_at = $2, result = $3 WHERE id = $1 RETURNING *";

        internal const string Retry =
            """
            UPDATE actions.action_queue
            SET status = 'retrying', retry_count = retry_count + 1, last_retry_at = $2, next_retry_at = $3, retry_errors = retry_errors || $4::jsonb
            WHERE id = $1
            RETURNING *
            """;

        internal const string Fail =
            """
            UPDATE actions.action_queue
            SET status = 'failed', retry_count = least(retry_count + 1, max_retries), last_retry_at = $2, next_retry_at = NULL, completed_at = $2,
                retry_errors = retry_errors || $3::jsonb
            WHERE id = $1
            RETURNING *
            """;
    }
}

/// <summary>The kinds of action that only write here: they happen in the transaction that settles them.</summary>
internal sealed class LocalActions(ContactDirectory contacts, ConversationLog conversations)
{
    /// <summary>
    /// <c>reply</c> succeeds with its parameters as the result; <c>set_field</c> writes every parameter into the contact's field of the
    /// same name; <c>handoff</c> gives the conversation to a human.
    /// </summary>
    internal async Task<ActionResult> RunAsync(Transaction tx, ActionDefinition action, QueuedAction item, Contact? contact, CancellationToken ct)
    {
        if (contact is null)
        {
            return ActionResult.Failed(new(ErrorKind.Configuration, "The contact no longer exists."));
        }

        switch (action.ExecutionType)
        {
            case "set_field":
                return await SetFieldsAsync(tx, item, contact, ct);
            case "handoff":
                await conversations.HandOverAsync(tx, item.ConversationId, action.ActionId, ct);
                return new(Json.Of(new { handled_by = "human" }));
            default:
                return new(item.ParamsCollected);
        }
    }

    private async Task<ActionResult> SetFieldsAsync(Transaction tx, QueuedAction item, Contact contact, CancellationToken ct)
    {
        foreach (var field in item.ParamsCollected.EnumerateObject())
        {
            var text = field.Value.ValueKind == JsonValueKind.String ? field.Value.GetString() : field.Value.GetRawText();
            var written = await contacts.SetFieldAsync(tx, contact.Id, new FieldWrite(field.Name, text, FieldWrite.UserProvided) { ConversationId = item.ConversationId }, ct);
            if (!written.IsOk)
            {
                return ActionResult.Failed(new(ErrorKind.ApiRejected, written.Problem.Detail ?? written.Problem.Title) { Code = written.Problem.Code });
            }
        }

        return new(item.ParamsCollected);
    }
}
