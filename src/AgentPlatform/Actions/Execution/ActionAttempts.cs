using System.Text.Json;
using AgentPlatform.Postgres;

namespace AgentPlatform.Actions.Execution;

/// <summary>
/// One attempt at a request, as whoever made the request looks at it. <paramref name="Number"/> counts those of the request from 1. Status:
/// <c>executing</c>, <c>completed</c>, <c>failed</c> or <c>timeout</c>; an attempt whose worker went away has failed with <paramref name="ErrorType"/>
/// <c>interrupted</c>. <paramref name="DurationMs"/>: milliseconds, once it is over.
/// </summary>
public sealed record ActionAttempt(
    Guid RequestId, int Number, string ExecutionId, string ActionId, string Status, DateTimeOffset StartedAt, DateTimeOffset? CompletedAt, int? DurationMs,
    JsonElement ParamsUsed, JsonElement? Result, int? ApiResponseStatus, string? ErrorType, string? ErrorMessage);

/// <summary>What was tried for requests.</summary>
public sealed class ActionAttempts
{
    /// <summary>The attempts at requests, by their ids, oldest first.</summary>
    public Task<IReadOnlyList<ActionAttempt>> OfRequestsAsync(Transaction tx, IReadOnlyCollection<Guid> requests, CancellationToken ct) =>
        tx.QueryAsync<ActionAttempt>(Sql.OfRequests, [requests.ToArray()], ct);

    private static class Sql
    {
        internal const string OfRequests =
            """
            SELECT q.id AS request_id, row_number() OVER (PARTITION BY q.id ORDER BY l.id)::integer AS number, l.execution_id, l.action_id, l.status, l.started_at,
                   l.completed_at, l.duration_ms, l.params_used, l.result, l.api_response_status, l.error_type, l.error_message
            FROM actions.action_queue q JOIN actions.action_execution_log l ON l.tenant_id = q.tenant_id AND l.queue_id = q.queue_id
            WHERE q.id = ANY ($1)
            ORDER BY l.id
            """;
    }
}
