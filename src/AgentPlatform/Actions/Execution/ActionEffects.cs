using System.Text.Json;
using AgentPlatform.Actions.Checkpoints;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Resilience;

namespace AgentPlatform.Actions.Execution;

/// <summary>
/// The record of a request's call to the outside. Status: <c>calling</c> (it may be under way), <c>unknown</c> (its answer was lost),
/// <c>not_happened</c> (surely not carried out; may be called again), <c>happened</c>.
/// </summary>
public sealed record ActionEffect
{
    public Guid Id { get; init; }
    public Guid ActionQueueId { get; init; }
    public string? QueueId { get; init; }

    /// <summary>Which call of a request that makes one per item of a list; 0 for a single call.</summary>
    public int Step { get; init; }

    /// <summary><c>call</c>, or <c>escalation</c>: the report that the request was given up.</summary>
    public string Purpose { get; init; } = "";

    /// <summary>The latest attempt; null for a replay that has not begun.</summary>
    public string? ExecutionId { get; init; }

    /// <summary>What every call of this effect carries as <c>Idempotency-Key</c>.</summary>
    public string IdempotencyKey { get; init; } = "";
    public JsonElement Intent { get; init; }
    public string Status { get; init; } = "";
    public int Attempts { get; init; }
    public int Probes { get; init; }
    public JsonElement? Outcome { get; init; }
    public string? Error { get; init; }
    public DateTimeOffset FirstAttemptAt { get; init; }
    public DateTimeOffset LastAttemptAt { get; init; }
    public DateTimeOffset? SettledAt { get; init; }

    internal static readonly string[] Statuses = ["calling", "unknown", "not_happened", "happened"];

    /// <summary>Nobody may simply call again.</summary>
    internal bool IsOpen => Status is "calling" or "unknown";
}

/// <summary>How to learn whether a call was carried out: a request, and what its answer looks like in either case.</summary>
internal sealed record EffectProbe(string? Method, string? Endpoint, ResponseCriteria? Happened, ResponseCriteria? NotHappened)
{
    internal static readonly string[] Methods = ["GET", "POST"];

    internal static EffectProbe? Of(ActionDefinition action) =>
        action.Probe is { ValueKind: JsonValueKind.Object } probe ? Json.Read<EffectProbe>(probe) : null;
}

/// <summary>One call of a request that makes several: its number, its key and the element of the list that it is about.</summary>
internal sealed record EffectStep(int Index, string Key, JsonElement Element);

/// <summary>Pure: what a call's answer says about its effect, and what may follow.</summary>
internal static class EffectRules
{
    /// <summary>The code of a failure before the call.</summary>
    internal const string NotCalled = "not_called";

    private static readonly string[] BeforeSending =
    [
        nameof(HttpRequestError.ConnectionError), nameof(HttpRequestError.NameResolutionError), nameof(HttpRequestError.SecureConnectionError),
    ];

    internal static string StatusAfter(ActionResult result) => result.Failure switch
    {
        null => "happened",
        { Kind: ErrorKind.CriteriaFailed or ErrorKind.ApiRejected or ErrorKind.Configuration } => "not_happened",
        { Kind: ErrorKind.ApiError, ResponseStatus: 425 or 429 } => "not_happened",
        { Kind: ErrorKind.NetworkError, Code: { } code } when BeforeSending.Contains(code, StringComparer.Ordinal) => "not_happened",
        _ => "unknown",
    };

    /// <summary>What the call says of the endpoint's host: an answer that refuses is an answer; one that asks for patience is, too.</summary>
    internal static ServiceVerdict VerdictOf(ActionResult result) => result.Failure switch
    {
        { Kind: ErrorKind.Configuration } or { Code: NotCalled } => ServiceVerdict.Untried,
        { Kind: ErrorKind.ApiError, ResponseStatus: 425 or 429 } => ServiceVerdict.Healthy,
        { Kind: ErrorKind.ApiError or ErrorKind.NetworkError or ErrorKind.Timeout } => ServiceVerdict.Broken,
        _ => ServiceVerdict.Healthy,
    };

    /// <summary>Host and port of an endpoint, which are always literal: what fails together.</summary>
    internal static string ServiceOf(string endpoint)
    {
        var address = endpoint.AsSpan(endpoint.IndexOf("://", StringComparison.Ordinal) + 3);
        var end = address.IndexOfAny('/', '?', '#');
        return (end < 0 ? address : address[..end]).ToString().ToLowerInvariant();
    }

    /// <summary>The same call twice does what it does once.</summary>
    internal static bool IsRepeatable(ActionDefinition action) => action.ApiIdempotent || action.ApiMethod is "GET" or "PUT" or "DELETE";

    /// <summary>A call that was carried out is not made again. Of several calls each knows for itself.</summary>
    internal static Problem? RefusesAgain(ActionDefinition action, IReadOnlyList<ActionEffect> called) =>
        ForEach.Of(action) is null && called.Any(effect => effect.Status == "happened")
            ? Problem.Conflict("effect_happened", "The call was carried out; resolve the dead letter instead.")
            : null;

    /// <summary>A call whose outcome is unknown can be resolved without a person: by asking, or by calling again.</summary>
    internal static bool CanResolve(ActionDefinition action) => EffectProbe.Of(action) is not null || IsRepeatable(action);
}

/// <summary>Writes and reads <c>actions.effects</c>, one row per call to an endpoint.</summary>
internal sealed class ActionEffects(TimeProvider clock)
{
    internal Task<ActionEffect?> FindAsync(Transaction tx, Guid id, CancellationToken ct) => tx.FindAsync<ActionEffect>(Sql.Find, [id], ct);

    /// <summary>In the order of their steps; at most one for a single call.</summary>
    internal Task<IReadOnlyList<ActionEffect>> OfRequestAsync(Transaction tx, Guid actionQueueId, CancellationToken ct) =>
        tx.QueryAsync<ActionEffect>(Sql.OfRequest, [actionQueueId], ct);

    /// <summary>Committed before the call. A later attempt keeps the first one's key.</summary>
    internal void Begin(Transaction tx, QueuedAction item, ActionDefinition action, string executionId, EffectStep? step = null)
    {
        var intent = step is null
            ? Json.Param(new { method = action.ApiMethod, endpoint = action.ApiEndpoint, @params = item.ParamsCollected })
            : Json.Param(new { method = action.ApiMethod, endpoint = action.ApiEndpoint, item = step.Element });
        tx.Post(Sql.Begin, tx.TenantId, clock.NewId(), item.Id, executionId, step?.Key ?? item.IdempotencyKey, intent, clock.GetUtcNow(), step?.Index ?? 0, "call");
    }

    /// <summary>
    /// A replay of a call that may have been or was carried out is the same effect: the same key, and what is asked before a retry is asked before
    /// it. Of several calls those go on whose element of <paramref name="list"/> is still the same.
    /// </summary>
    internal void Continue(Transaction tx, IReadOnlyCollection<ActionEffect> effects, QueuedAction replay, JsonElement? list) =>
        tx.Post(Sql.Continue, effects.Select(e => e.Id).ToArray(), effects.Select(_ => clock.NewId()).ToArray(), replay.Id, Json.Param(list));

    /// <summary>A person has asked the provider.</summary>
    internal void NotHappened(Transaction tx, ActionEffect open) => tx.Post(Sql.NotHappened, open.Id, clock.GetUtcNow());

    internal void Settle(Transaction tx, Guid actionQueueId, ActionResult result, int step = 0, string purpose = "call")
    {
        var status = result.Effect;
        tx.Post(Sql.Settle, actionQueueId, status, result.ResponseStatus is { } code ? Json.Param(new { response_status = code }) : DBNull.Value,
            result.Failure?.Message, status == "unknown" ? null : clock.GetUtcNow(), result.Probed ? 1 : 0, step, purpose);
    }

    /// <summary>Like <see cref="Settle"/>; the answer is kept with it, for a step that is done is never asked for it again.</summary>
    internal void SettleStep(Transaction tx, Guid actionQueueId, ActionResult result, int step)
    {
        Settle(tx, actionQueueId, result, step);
        if (result.Failure is null)
        {
            tx.Post(Sql.Keep, actionQueueId, step, Json.Param(new { response_status = result.ResponseStatus, result = result.Value }));
        }
    }

    internal void SettleByHand(Transaction tx, ActionEffect open, bool happened, string? note) =>
        tx.Post(Sql.SettleByHand, open.Id, happened ? "happened" : "not_happened", note, clock.GetUtcNow());

    /// <summary>The report of a request that was given up: an effect of its own beside the request's calls.</summary>
    internal void BeginEscalation(Transaction tx, QueuedAction report, ActionDefinition call) =>
        tx.Post(Sql.Begin, tx.TenantId, clock.NewId(), report.Id, report.ExecutionId, report.IdempotencyKey,
            Json.Param(new { method = call.ApiMethod, endpoint = call.ApiEndpoint }), clock.GetUtcNow(), 0, "escalation");

    internal Task<ActionEffect?> EscalationAsync(Transaction tx, Guid actionQueueId, CancellationToken ct) => tx.FindAsync<ActionEffect>(Sql.Escalation, [actionQueueId], ct);

    internal void SettleEscalation(Transaction tx, Guid actionQueueId, ActionResult result) => Settle(tx, actionQueueId, result, 0, "escalation");

    /// <summary>Nobody will look at it again by itself.</summary>
    internal void Leave(Transaction tx, Guid actionQueueId) => tx.Post(Sql.Leave, actionQueueId);

    internal async Task<Page<ActionEffect>> ListAsync(Transaction tx, string? status, string? queueId, PageRequest page, CancellationToken ct) =>
        Page<ActionEffect>.Cut(await tx.QueryAsync<ActionEffect>(Sql.List, [status, queueId, page.Before, page.Fetch], ct), page, row => row.Id);

    private static class Sql
    {
        internal const string Find =
            """
            SELECT e.* FROM actions.effects e
            JOIN actions.action_queue q ON q.tenant_id = e.tenant_id AND q.id = e.action_queue_id
            WHERE e.id = $1 AND conversations.is_visible(q.tenant_id, q.conversation_id)
            """;

        internal const string OfRequest = "SELECT * FROM actions.effects WHERE action_queue_id = $1 AND purpose = 'call' ORDER BY step";

        internal const string Escalation = "SELECT * FROM actions.effects WHERE action_queue_id = $1 AND purpose = 'escalation'";

        internal const string Begin =
            """
            INSERT INTO actions.effects AS e (tenant_id, id, action_queue_id, execution_id, idempotency_key, intent, status, attempts, first_attempt_at, last_attempt_at, step, purpose)
            VALUES ($1, $2, $3, $4, $5, $6, 'calling', 1, $7, $7, $8, $9)
            ON CONFLICT ON CONSTRAINT effect_once_per_request DO UPDATE
            SET status = 'calling', execution_id = excluded.execution_id, intent = excluded.intent, attempts = e.attempts + 1,
                last_attempt_at = excluded.last_attempt_at, outcome = NULL, error = NULL, settled_at = NULL
            """;

        internal const string Continue =
            """
            INSERT INTO actions.effects (tenant_id, id, action_queue_id, step, idempotency_key, intent, status, attempts, probes, outcome, error,
                first_attempt_at, last_attempt_at, settled_at)
            SELECT e.tenant_id, f.into_id, $3, e.step, e.idempotency_key, e.intent, CASE WHEN e.settled_at IS NULL THEN 'unknown' ELSE e.status END,
                   e.attempts, e.probes, e.outcome, e.error, e.first_attempt_at, e.last_attempt_at, e.settled_at
            FROM unnest($1::uuid[], $2::uuid[]) AS f (from_id, into_id) JOIN actions.effects e ON e.id = f.from_id
            WHERE $4::jsonb IS NULL OR e.intent->'item' = $4::jsonb->e.step
            """;

        internal const string NotHappened = "UPDATE actions.effects SET status = 'not_happened', settled_at = $2 WHERE id = $1 AND settled_at IS NULL";

        internal const string Settle =
            """
            UPDATE actions.effects SET status = $2, outcome = $3, error = $4, settled_at = $5, probes = probes + $6
            WHERE action_queue_id = $1 AND step = $7 AND purpose = $8 AND settled_at IS NULL
            """;

        internal const string Keep = "UPDATE actions.effects SET outcome = $3 WHERE action_queue_id = $1 AND purpose = 'call' AND step = $2";

        internal const string SettleByHand =
            "UPDATE actions.effects SET status = $2, error = coalesce($3, error), settled_at = $4 WHERE id = $1 AND settled_at IS NULL";

        internal const string Leave = "UPDATE actions.effects SET status = 'unknown' WHERE action_queue_id = $1 AND purpose = 'call' AND status = 'calling'";

        internal const string List =
            """
            SELECT e.*, q.queue_id FROM actions.effects e
            JOIN actions.action_queue q ON q.tenant_id = e.tenant_id AND q.id = e.action_queue_id
            WHERE ($1::text IS NULL OR e.status = $1) AND ($2::text IS NULL OR q.queue_id = $2) AND ($3::uuid IS NULL OR e.id < $3)
              AND conversations.is_visible(q.tenant_id, q.conversation_id)
            ORDER BY e.id DESC LIMIT $4
            """;
    }
}
