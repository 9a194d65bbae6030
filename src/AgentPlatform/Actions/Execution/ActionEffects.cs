using System.Text.Json;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

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

/// <summary>Pure: what a call's answer says about its effect, and what may follow.</summary>
internal static class EffectRules
{
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

    /// <summary>The same call twice does what it does once.</summary>
    internal static bool IsRepeatable(ActionDefinition action) => action.ApiIdempotent || action.ApiMethod is "GET" or "PUT" or "DELETE";

    /// <summary>A call whose outcome is unknown can be resolved without a person: by asking, or by calling again.</summary>
    internal static bool CanResolve(ActionDefinition action) => EffectProbe.Of(action) is not null || IsRepeatable(action);
}

/// <summary>Writes and reads <c>actions.effects</c>, one row per request that calls an endpoint.</summary>
internal sealed class ActionEffects(TimeProvider clock)
{
    internal Task<ActionEffect?> FindAsync(Transaction tx, Guid actionQueueId, CancellationToken ct) =>
        tx.FindAsync<ActionEffect>(Sql.Find, [actionQueueId], ct);

    /// <summary>In the transaction that writes the attempt, before the call. A later attempt keeps the first one's key.</summary>
    internal void Begin(Transaction tx, QueuedAction item, ActionDefinition action, string executionId) =>
        tx.Post(Sql.Begin, tx.TenantId, clock.NewId(), item.Id, executionId, item.IdempotencyKey,
            Json.Param(new { method = action.ApiMethod, endpoint = action.ApiEndpoint, @params = item.ParamsCollected }), clock.GetUtcNow());

    /// <summary>A replay of a call with an open outcome is the same effect: the same key, and what is asked before a retry is asked before it.</summary>
    internal void Continue(Transaction tx, ActionEffect open, QueuedAction replay) => tx.Post(Sql.Continue, open.Id, clock.NewId(), replay.Id);

    /// <summary>A person has asked the provider.</summary>
    internal void NotHappened(Transaction tx, ActionEffect open) => tx.Post(Sql.NotHappened, open.Id, clock.GetUtcNow());

    internal void Settle(Transaction tx, Guid actionQueueId, ActionResult result)
    {
        var status = result.Effect;
        tx.Post(Sql.Settle, actionQueueId, status, result.ResponseStatus is { } code ? Json.Param(new { response_status = code }) : DBNull.Value,
            result.Failure?.Message, status == "unknown" ? null : clock.GetUtcNow(), result.Probed ? 1 : 0);
    }

    /// <summary>Nobody will look at it again by itself.</summary>
    internal void Leave(Transaction tx, Guid actionQueueId) => tx.Post(Sql.Leave, actionQueueId);

    internal async Task<Page<ActionEffect>> ListAsync(Transaction tx, string? status, string? queueId, PageRequest page, CancellationToken ct) =>
        Page<ActionEffect>.Cut(await tx.QueryAsync<ActionEffect>(Sql.List, [status, queueId, page.Before, page.Fetch], ct), page, row => row.Id);

    private static class Sql
    {
        internal const string Find = "SELECT * FROM actions.effects WHERE action_queue_id = $1";

        internal const string Begin =
            """
            INSERT INTO actions.effects AS e (tenant_id, id, action_queue_id, execution_id, idempotency_key, intent, status, attempts, first_attempt_at, last_attempt_at)
            VALUES ($1, $2, $3, $4, $5, $6, 'calling', 1, $7, $7)
            ON CONFLICT ON CONSTRAINT effect_once_per_request DO UPDATE
            SET status = 'calling', execution_id = excluded.execution_id, intent = excluded.intent, attempts = e.attempts + 1,
                last_attempt_at = excluded.last_attempt_at, outcome = NULL, error = NULL, settled_at = NULL
            """;

        internal const string Continue =
            """
            INSERT INTO actions.effects (tenant_id, id, action_queue_id, idempotency_key, intent, status, attempts, probes, error, first_attempt_at, last_attempt_at)
            SELECT tenant_id, $2, $3, idempotency_key, intent, 'unknown', attempts, probes, error, first_attempt_at, last_attempt_at
            FROM actions.effects WHERE id = $1
            """;

        internal const string NotHappened = "UPDATE actions.effects SET status = 'not_happened', settled_at = $2 WHERE id = $1 AND settled_at IS NULL";

        internal const string Settle =
            """
            UPDATE actions.effects SET status = $2, outcome = $3, error = $4, settled_at = $5, probes = probes + $6
            WHERE action_queue_id = $1 AND settled_at IS NULL
            """;

        internal const string Leave = "UPDATE actions.effects SET status = 'unknown' WHERE action_queue_id = $1 AND status = 'calling'";

        internal const string List =
            """
            SELECT e.*, q.queue_id FROM actions.effects e
            JOIN actions.action_queue q ON q.tenant_id = e.tenant_id AND q.id = e.action_queue_id
            WHERE ($1::text IS NULL OR e.status = $1) AND ($2::text IS NULL OR q.queue_id = $2) AND ($3::uuid IS NULL OR e.id < $3)
            ORDER BY e.id DESC LIMIT $4
            """;
    }
}
