using System.Text.Json;
using AgentPlatform.Actions.Aftermath;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Actions.Execution;

/// <summary>One attempt of an action: a row of <c>action_execution_log</c> as the API shows it. Settled once, then fixed.</summary>
public sealed record ActionExecution
{
    public Guid Id { get; init; }
    public string ExecutionId { get; init; } = "";
    public string ActionId { get; init; } = "";
    public string? ActionName { get; init; }
    public Guid SessionId { get; init; }
    public Guid ContactId { get; init; }
    public Guid AgentId { get; init; }
    public Guid ConversationId { get; init; }
    public string? IntentId { get; init; }
    public string? QueueId { get; init; }
    public string? WorkflowInstanceId { get; init; }
    public DateTimeOffset StartedAt { get; init; }
    public DateTimeOffset? CompletedAt { get; init; }
    public int? DurationMs { get; init; }
    public int? TimeoutSeconds { get; init; }
    public bool TimedOut { get; init; }

    /// <summary><c>executing</c>, <c>completed</c>, <c>failed</c> or <c>timeout</c>.</summary>
    public string Status { get; init; } = "";
    public int RetryAttempt { get; init; }
    public bool FinalRetry { get; init; }
    public JsonElement ParamsUsed { get; init; }
    public bool ParamsValidated { get; init; }
    public JsonElement ValidationErrors { get; init; }
    public JsonElement? Result { get; init; }
    public int? ApiResponseStatus { get; init; }
    public JsonElement? ApiResponseBody { get; init; }
    public string? Error { get; init; }
    public string? ErrorType { get; init; }
    public string? ErrorMessage { get; init; }
    public string? ErrorCode { get; init; }
    public string? StackTrace { get; init; }
    public bool RollbackPerformed { get; init; }
    public string? RollbackActionId { get; init; }
    public string? RollbackExecutionId { get; init; }
    public bool RequiresAcknowledgement { get; init; }
    public bool Acknowledged { get; init; }
    public DateTimeOffset? AcknowledgedAt { get; init; }
    public bool AcknowledgementTimeout { get; init; }

    /// <summary>Until when it waits to be acknowledged; null when it does not.</summary>
    public DateTimeOffset? AcknowledgeBy { get; init; }
    public string IdempotencyKey { get; init; } = "";
    public bool DuplicateExecution { get; init; }
    public string? OriginalExecutionId { get; init; }
    public string? TraceId { get; init; }
    public string? RequestId { get; init; }
    public DateTimeOffset CreatedAt { get; init; }

    /// <summary>What is known of its error; only where executions are listed.</summary>
    public KnownError? KnownError { get; init; }
}

/// <summary>Writes and reads the attempts: <c>executing</c> before an effect, settled after it.</summary>
internal sealed class ExecutionLog(TimeProvider clock)
{
    /// <summary>Records that an attempt begins, and returns its id. An earlier attempt that never came back is closed as interrupted.</summary>
    internal string Begin(Transaction tx, QueuedAction item, ActionDefinition action, string? duplicateOf)
    {
        var id = clock.NewId();
        var executionId = $"exec_{id:n}";
        var final = item.RetryCount + 1 >= item.MaxRetries;
        CloseInterrupted(tx, item.QueueId);
        tx.Post(Sql.Begin, tx.TenantId, id, executionId, item.ActionId, item.ActionName, item.SessionId, item.ContactId, item.AgentId,
            item.ConversationId, item.IntentId, item.QueueId, item.WorkflowInstanceId, clock.GetUtcNow(), action.TimeoutSeconds, item.RetryCount, final,
            item.ParamsCollected, action.RollbackPossible ? action.RollbackActionId : null, action.RequiresUserAcknowledgement, item.IdempotencyKey,
            duplicateOf is not null, duplicateOf, item.TraceId, item.RequestId);
        return executionId;
    }

    internal Task<bool> IsOpenAsync(Transaction tx, string executionId, CancellationToken ct) => tx.SingleAsync<bool>(Sql.IsOpen, [executionId], ct);

    internal void CloseInterrupted(Transaction tx, string queueId) => tx.Post(Sql.CloseInterrupted, queueId, clock.GetUtcNow());

    internal void Complete(Transaction tx, string executionId, ActionResult result, DateTimeOffset? acknowledgeBy) =>
        tx.Post(Sql.Complete, executionId, clock.GetUtcNow(), result.Value, result.ResponseStatus, Json.Param(result.ResponseBody), acknowledgeBy);

    /// <summary>The execution has been undone by another one.</summary>
    internal void RolledBack(Transaction tx, string executionId, string undoActionId, string undoExecutionId) =>
        tx.Post(Sql.RolledBack, executionId, undoActionId, undoExecutionId);

    internal void Fail(Transaction tx, string executionId, ActionFailure failure) =>
        tx.Post(Sql.Fail, executionId, clock.GetUtcNow(), failure.Kind == ErrorKind.Timeout ? "timeout" : "failed", failure.ResponseStatus,
            Json.Param(failure.ResponseBody), $"{failure.Kind}: {failure.Message}", failure.Kind, failure.Message, failure.Code, failure.StackTrace);

    /// <summary>The attempt that already did what this key asks for, if there is one.</summary>
    internal Task<ActionExecution?> CompletedAsync(Transaction tx, string idempotencyKey, CancellationToken ct) =>
        tx.FindAsync<ActionExecution>(Sql.Completed, [idempotencyKey], ct);

    internal Task<ActionExecution?> FindAsync(Transaction tx, string executionId, CancellationToken ct) => tx.FindAsync<ActionExecution>(Sql.Find, [executionId], ct);

    internal async Task<Page<ActionExecution>> ListAsync(Transaction tx, ExecutionFilter filter, PageRequest page, CancellationToken ct) =>
        Page<ActionExecution>.Cut(
            await tx.QueryAsync<ActionExecution>(Sql.List, [filter.TraceId, filter.QueueId, filter.IntentId, page.Before, page.Fetch], ct), page, row => row.Id);

    private static class Sql
    {
        internal const string CloseInterrupted =
            """
            UPDATE actions.action_execution_log
            SET status = 'failed', completed_at = $2, error = 'interrupted: the worker went away', error_type = 'interrupted',
                error_message = 'The worker went away before the outcome was known.'
            WHERE queue_id = $1 AND status = 'executing'
            """;

        internal const string Begin =
            """
            INSERT INTO actions.action_execution_log (tenant_id, id, execution_id, action_id, action_name, session_id, contact_id, agent_id,
                conversation_id, intent_id, queue_id, workflow_instance_id, started_at, timeout_seconds, status, retry_attempt, final_retry,
                params_used, rollback_action_id, requires_acknowledgement, idempotency_key, duplicate_execution, original_execution_id, trace_id, request_id)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, 'executing', $15, $16, $17, $18, $19, $20, $21, $22, $23, $24)
            """;

        internal const string IsOpen = "SELECT EXISTS (SELECT FROM actions.action_execution_log WHERE execution_id = $1 AND status = 'executing')";

        internal const string Complete =
            """
            UPDATE actions.action_execution_log
            SET status = 'completed', completed_at = $2, result = $3, api_response_status = $4, api_response_body = $5, acknowledge_by = $6
            WHERE execution_id = $1 AND status = 'executing'
            """;

        internal const string Fail =
            """
            UPDATE actions.action_execution_log
            SET completed_at = $2, status = $3, timed_out = ($3 = 'timeout'), api_response_status = $4, api_response_body = $5,
                error = $6, error_type = $7, error_message = $8, error_code = $9, stack_trace = $10
            WHERE execution_id = $1 AND status = 'executing'
            """;

        internal const string Completed =
            """
            SELECT * FROM actions.action_execution_log
            WHERE idempotency_key = $1 AND status = 'completed' AND NOT duplicate_execution
            ORDER BY id LIMIT 1
            """;

        internal const string Find =
            "SELECT * FROM actions.action_execution_log WHERE execution_id = $1 AND conversations.is_visible(tenant_id, conversation_id)";

        internal const string List =
            """
            SELECT * FROM actions.action_execution_log
            WHERE ($1::text IS NULL OR trace_id = $1) AND ($2::text IS NULL OR queue_id = $2) AND ($3::text IS NULL OR intent_id = $3)
              AND ($4::uuid IS NULL OR id < $4) AND conversations.is_visible(tenant_id, conversation_id)
            ORDER BY id DESC LIMIT $5
            """;

        internal const string RolledBack =
            """
            UPDATE actions.action_execution_log SET rollback_performed = true, rollback_action_id = $2, rollback_execution_id = $3
            WHERE execution_id = $1 AND NOT rollback_performed
            """;
    }
}

internal sealed record ExecutionFilter(string? TraceId, string? QueueId, string? IntentId);
