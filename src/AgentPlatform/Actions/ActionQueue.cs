using System.Text.Json;
using AgentPlatform.Actions.Approvals;
using AgentPlatform.Actions.Controls;
using AgentPlatform.Actions.Execution;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Contacts;
using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Work;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Actions;

/// <summary>Requests actions, completes their parameters, cancels them. What becomes ready is driven by the work engine.</summary>
public sealed class ActionQueue
{
    private readonly WorkQueue _work;
    private readonly EventStore _events;
    private readonly ActionRegistry _registry;
    private readonly ActionListeners _listeners;
    private readonly RequestApproval _approvals;
    private readonly ExecutionControls _controls;
    private readonly AbandonedEffects _abandoned;
    private readonly RequestStates _states;
    private readonly IOptions<ActionsOptions> _options;
    private readonly TimeProvider _clock;

    internal ActionQueue(
        WorkQueue work, EventStore events, ActionRegistry registry, ActionListeners listeners, RequestApproval approvals, ExecutionControls controls,
        AbandonedEffects abandoned, RequestStates states, IOptions<ActionsOptions> options, TimeProvider clock) =>
        (_work, _events, _registry, _listeners, _approvals, _controls, _abandoned, _states, _options, _clock) =
        (work, events, registry, listeners, approvals, controls, abandoned, states, options, clock);

    /// <summary>
    /// Queues the action once per idempotency key; a repeated request gets the first one back. Waiting requests of its opposites are cancelled.
    /// </summary>
    public async Task<QueuedAction> EnqueueAsync(Transaction tx, ActionRequest request, CancellationToken ct)
    {
        var action = request.Action;
        if (!action.IsActive)
        {
            throw new InvalidOperationException($"{action.ActionId} is not offered; whoever asks for it has to refuse first.");
        }

        var values = Parameters.Merge(action, Parameters.None, request.Params);
        var state = request.Context is { } who
            ? await _states.OfAsync(tx, action, (request.SessionId, request.ContactId), who, values, ct)
            : RequestState.AwaitingApproval(action, RequestState.Decide(Parameters.Check(action, values), blocked: null, values), request.NeedsApproval);
        var id = _clock.NewId();
        var policy = request.Retry ?? action.Policy;
        var inserted = await tx.FindAsync<QueuedAction>(Sql.Insert,
        [
            tx.TenantId, id, $"act_{id:n}", action.ActionId, action.ActionName, request.SessionId, request.ContactId, action.AgentId, request.ConversationId,
            request.IntentId, request.TurnNumber, request.TraceId, request.RequestId, Text(state.Status), QueuePriority.Of(action.Priority), state.Params,
            Json.Param(state.Check.Missing), Json.Param(state.Check.Errors), policy.MaxRetries, Text(policy.BackoffStrategy), policy.InitialDelaySeconds,
            policy.MaxDelaySeconds, policy.RetryOnErrors, state.Blocked?.Reason, Json.Param(state.Blocked?.Stored), request.IdempotencyKey, _clock.GetUtcNow(),
            request.RollbackOf, request.ReplayOf, policy.Jitter, request.WorkflowInstanceId,
        ], ct);
        if (inserted is null)
        {
            return await tx.SingleAsync<QueuedAction>(Sql.ByIdempotencyKey, [request.IdempotencyKey], ct);
        }

        if (request.Context is not null)
        {
            await CancelOppositesAsync(tx, action, inserted, ct);
        }

        Announce(tx, inserted, action);
        return inserted;
    }

    /// <summary>Adds values to a waiting request. Null when it no longer waits.</summary>
    public async Task<QueuedAction?> SupplyAsync(Transaction tx, Guid id, JsonElement values, EligibilityContext who, CancellationToken ct)
    {
        var item = await tx.FindAsync<QueuedAction>(Sql.LockWaiting, [id], ct);
        if (item is null || await _registry.FindAsync(tx, item.AgentId, item.ActionId, ct) is not { IsActive: true } action)
        {
            return null;
        }

        return await MoveAsync(tx, item, action, await _states.OfAsync(tx, action, (item.SessionId, item.ContactId), who, Parameters.Merge(action, item.ParamsCollected, values), ct), ct);
    }

    /// <summary>
    /// Looks again at what keeps the contact's blocked requests waiting, because something about them has changed. Those that waited too long are cancelled.
    /// Returns those that wait no more, or for something else than was said.
    /// </summary>
    public async Task<IReadOnlyList<QueuedAction>> ReevaluateAsync(Transaction tx, Guid contactId, EligibilityContext who, CancellationToken ct)
    {
        var moved = new List<QueuedAction>();
        foreach (var seen in await tx.QueryAsync<QueuedAction>(Sql.Blocked, [contactId], ct))
        {
            // Locked, after its session, only if something becomes of it: turns of one contact's several conversations look at each other's requests.
            if (await LookAsync(tx, seen, who, ct) is null
                || await RequestLock.TakeAsync(tx, seen.Id, seen.SessionId, ct) is not { Status: QueueStatus.Blocked, BlockerReason: not ApprovalPolicy.Awaiting } item
                || await LookAsync(tx, item, who, ct) is not { } becomes)
            {
                continue;
            }

            if (becomes is (var action, { } state))
            {
                moved.Add(await MoveAsync(tx, item, action!, state, ct));
            }
            else
            {
                await CancelAsync(tx, item.Id, "waited_too_long", ct);
            }
        }

        return moved;
    }

    /// <summary>What becomes of a blocked request: another state, or no state when it waited too long; null when it waits as before.</summary>
    private async Task<(ActionDefinition? Action, RequestState? State)?> LookAsync(Transaction tx, QueuedAction item, EligibilityContext who, CancellationToken ct)
    {
        if (item.AddedAt < _clock.GetUtcNow().AddHours(-_options.Value.BlockedHours))
        {
            return (null, null);
        }

        return await _registry.FindAsync(tx, item.AgentId, item.ActionId, ct) is { IsActive: true } action
            && await _states.OfAsync(tx, action, (item.SessionId, item.ContactId), who, item.ParamsCollected, ct) is var state && RequestState.Moves(item, state.Blocked)
            ? (action, state) : null;
    }

    /// <summary>The approval was given: exactly these parameters run.</summary>
    internal Task<QueuedAction> ReleaseAsync(Transaction tx, QueuedAction item, ActionDefinition action, JsonElement values, CancellationToken ct) =>
        MoveAsync(tx, item, action, new RequestState(QueueStatus.Ready, Parameters.Check(action, values), null, values), ct);

    /// <summary>Of these sessions, or of all when null, those in which a request waits for a schema.</summary>
    public Task<IReadOnlyList<Guid>> WaitingForSchemasAsync(Transaction tx, IReadOnlyCollection<Guid>? sessionIds, CancellationToken ct) =>
        tx.QueryAsync<Guid>(Sql.WaitingForSchemas, [sessionIds?.ToArray()], ct);

    public Task<bool> HasBlockedAsync(Transaction tx, Guid contactId, CancellationToken ct) => tx.SingleAsync<bool>(Sql.HasBlocked, [contactId], ct);

    /// <summary>Stops what has not begun. Problem <c>not_cancellable</c> when it runs or is over.</summary>
    public async Task<Result<QueuedAction>> CancelAsync(Transaction tx, Guid id, string reason, CancellationToken ct)
    {
        if (await RequestLock.TakeAsync(tx, id, ct) is null)
        {
            return Problem.NotFound("queued_action");
        }

        if (await tx.FindAsync<QueuedAction>(Sql.Cancel, [id, _clock.GetUtcNow()], ct) is not { } cancelled)
        {
            return Problem.Conflict("not_cancellable", "The action is being executed or is over.");
        }

        await _work.CancelAsync(tx, ActionsModule.WorkKind, cancelled.Id.ToString(), reason, ct);
        _abandoned.Leave(tx, cancelled);
        await _approvals.WithdrawAsync(tx, cancelled, reason, ct);
        _controls.Follow(tx, cancelled, reason);
        await TellAsync(tx, cancelled, ct);
        return cancelled;
    }

    /// <summary>Cancels all waiting requests of an intent.</summary>
    public async Task CancelIntentAsync(Transaction tx, string intentId, string reason, CancellationToken ct)
    {
        foreach (var id in await tx.QueryAsync<Guid>(Sql.OfIntent, [intentId], ct))
        {
            await CancelAsync(tx, id, reason, ct);
        }
    }

    public Task<QueuedAction?> FindAsync(Transaction tx, Guid id, CancellationToken ct) => tx.FindAsync<QueuedAction>(Sql.ById, [id], ct);

    /// <summary>The request of that public id.</summary>
    public Task<QueuedAction?> OfQueueIdAsync(Transaction tx, string queueId, CancellationToken ct) => tx.FindAsync<QueuedAction>(Sql.ByQueueId, [queueId], ct);

    /// <summary>The session's requests that are not over, and those that ended in the last hour: what the session's state mirrors.</summary>
    public Task<IReadOnlyList<QueuedAction>> OfSessionAsync(Transaction tx, Guid sessionId, CancellationToken ct) =>
        tx.QueryAsync<QueuedAction>(Sql.OfSession, [sessionId, _clock.GetUtcNow().AddHours(-1)], ct);

    /// <summary>Whether a conversation has such requests, or its contact blocked ones.</summary>
    public Task<bool> HasAnyAsync(Transaction tx, Guid conversationId, Guid contactId, CancellationToken ct) =>
        tx.SingleAsync<bool>(Sql.HasAny, [conversationId, contactId, _clock.GetUtcNow().AddHours(-1)], ct);

    internal async Task<Page<QueuedAction>> ListAsync(Transaction tx, QueueFilter filter, PageRequest page, CancellationToken ct) =>
        Page<QueuedAction>.Cut(
            await tx.QueryAsync<QueuedAction>(Sql.List, [filter.Status, filter.AgentId, filter.SessionId, page.Before, page.Fetch], ct),
            page, row => row.Id);

    /// <summary>What runs next: highest priority first, then the oldest.</summary>
    internal Task<IReadOnlyList<QueuedAction>> NextAsync(Transaction tx, int limit, CancellationToken ct) =>
        tx.QueryAsync<QueuedAction>(Sql.Next, [limit], ct);

    /// <summary>Answers come back in the order in which the conversation asked; a retry delays only what was asked after it. A workflow has an order of its own.</summary>
    internal static NewWork WorkOf(QueuedAction item) => new(ActionsModule.WorkKind, item.Id.ToString(), ActionWork.Of(item))
    {
        SerialKey = item.WorkflowInstanceId is null ? $"actions:{item.ConversationId}" : null,
        Priority = QueuePriority.ForWork(item.Priority),
    };

    internal static string[] Statuses { get; } = [.. Enum.GetValues<QueueStatus>().Select(Text)];

    internal static string Text<TEnum>(TEnum value)
        where TEnum : struct, Enum => value.ToString().ToLowerInvariant();

    private async Task<QueuedAction> MoveAsync(Transaction tx, QueuedAction item, ActionDefinition action, RequestState state, CancellationToken ct)
    {
        var moved = await tx.SingleAsync<QueuedAction>(Sql.Move,
        [
            item.Id, Text(state.Status), state.Params, Json.Param(state.Check.Missing), Json.Param(state.Check.Errors), state.Blocked?.Reason, Json.Param(state.Blocked?.Stored),
        ], ct);
        Announce(tx, moved, action);
        await TellAsync(tx, moved, ct);
        return moved;
    }

    private async Task CancelOppositesAsync(Transaction tx, ActionDefinition action, QueuedAction item, CancellationToken ct)
    {
        var pending = await tx.QueryAsync<Guid>(Sql.WaitingOpposites, [item.ContactId, item.AgentId, action.OppositeOf.ToArray(), Json.Param(new[] { action.ActionId }), item.Id], ct);
        foreach (var id in pending)
        {
            await CancelAsync(tx, id, $"superseded by {item.QueueId}", ct);
        }
    }

    private void Announce(Transaction tx, QueuedAction item, ActionDefinition action)
    {
        _events.Append(tx, ActionEvents.Of("action.queued", item, new { status = item.Status, item.ParamsMissing, item.BlockerReason }));
        _controls.Follow(tx, item, item.BlockerReason);
        if (item.BlockerReason == ApprovalPolicy.Awaiting)
        {
            _approvals.Ask(tx, action, item);
        }

        if (item.Status == QueueStatus.Ready)
        {
            _work.Enqueue(tx, WorkOf(item));
        }
    }

    private Task TellAsync(Transaction tx, QueuedAction item, CancellationToken ct) => _listeners.TellAsync(tx, new ActionChange(item, null), ct);

    private static class Sql
    {
        internal const string Insert =
            """
            INSERT INTO actions.action_queue (tenant_id, id, queue_id, action_id, action_name, session_id, contact_id, agent_id, conversation_id,
                intent_id, turn_number, trace_id, request_id, status, priority, params_collected, params_missing, params_validation_errors, max_retries,
                backoff_strategy, initial_delay_seconds, max_delay_seconds, retry_on_errors, blocker_reason, blocker_details, idempotency_key, added_at,
                rollback_of, replay_of, retry_jitter, workflow_instance_id)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31)
            ON CONFLICT (tenant_id, idempotency_key) DO NOTHING
            RETURNING *
            """;

        internal const string ByIdempotencyKey = "SELECT * FROM actions.action_queue WHERE idempotency_key = $1";

        internal const string ById = "SELECT * FROM actions.action_queue WHERE id = $1";

        internal const string ByQueueId = "SELECT * FROM actions.action_queue WHERE queue_id = $1";

        internal const string LockWaiting = "SELECT * FROM actions.action_queue WHERE id = $1 AND (status = 'pending' OR status = 'blocked' AND blocker_reason <> 'awaiting_approval') FOR UPDATE";

        internal const string Blocked =
            "SELECT * FROM actions.action_queue WHERE contact_id = $1 AND status = 'blocked' AND blocker_reason <> 'awaiting_approval' ORDER BY added_at, id";

        internal const string WaitingForSchemas =
            """
            SELECT DISTINCT session_id FROM actions.action_queue
            WHERE tenant_id = kernel.current_tenant_id() AND status = 'blocked' AND blocker_reason = 'schema_dependencies' AND ($1::uuid[] IS NULL OR session_id = ANY ($1))
            LIMIT 10000
            """;

        internal const string HasBlocked = "SELECT EXISTS (SELECT FROM actions.action_queue WHERE contact_id = $1 AND status = 'blocked')";

        internal const string Move =
            """
            UPDATE actions.action_queue
            SET status = $2, params_collected = $3, params_missing = $4, params_validation_errors = $5, blocker_reason = $6, blocker_details = $7
            WHERE id = $1
            RETURNING *
            """;

        internal const string Cancel =
            """
            UPDATE actions.action_queue SET status = 'cancelled', completed_at = $2, blocker_reason = NULL, blocker_details = NULL
            WHERE id = $1 AND status IN ('pending', 'ready', 'retrying', 'blocked')
            RETURNING *
            """;

        internal const string OfIntent =
            "SELECT id FROM actions.action_queue WHERE intent_id = $1 AND status IN ('pending', 'ready', 'retrying', 'blocked') ORDER BY id";

        internal const string OfSession =
            """
            SELECT * FROM actions.action_queue
            WHERE session_id = $1 AND (completed_at IS NULL OR completed_at > $2)
            ORDER BY id DESC LIMIT 50
            """;

        internal const string HasAny =
            """
            SELECT EXISTS (SELECT FROM actions.action_queue WHERE conversation_id = $1 AND (completed_at IS NULL OR completed_at > $3))
                OR EXISTS (SELECT FROM actions.action_queue WHERE contact_id = $2 AND status = 'blocked')
            """;

        // Either side may declare the pair.
        internal const string WaitingOpposites =
            """
            SELECT q.id FROM actions.action_queue q
            WHERE q.contact_id = $1 AND q.agent_id = $2 AND q.id <> $5 AND q.status IN ('pending', 'ready', 'retrying', 'blocked')
              AND (q.action_id = ANY ($3)
                   OR EXISTS (SELECT FROM actions.action_registry r WHERE r.agent_id = q.agent_id AND r.action_id = q.action_id AND r.opposites @> $4))
            ORDER BY q.id
            """;

        // Lists leave out what was asked for in private conversations of others. Single rows do not: approvers decide about those, too.
        internal const string List =
            """
            SELECT * FROM actions.action_queue
            WHERE ($1::text IS NULL OR status = $1) AND ($2::uuid IS NULL OR agent_id = $2) AND ($3::uuid IS NULL OR session_id = $3)
              AND ($4::uuid IS NULL OR id < $4) AND conversations.is_visible(tenant_id, conversation_id)
            ORDER BY id DESC LIMIT $5
            """;

        internal const string Next =
            "SELECT * FROM actions.action_queue WHERE status = 'ready' AND conversations.is_visible(tenant_id, conversation_id) ORDER BY priority DESC, added_at LIMIT $1";
    }
}

internal sealed record QueueFilter(string? Status, Guid? AgentId, Guid? SessionId);

internal sealed record ActionWork(Guid Id, Guid SessionId)
{
    internal static ActionWork Of(QueuedAction item) => new(item.Id, item.SessionId);
}
