using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Workflows.Sops;

/// <summary>The executions of SOPs. Whoever moves one holds its lock.</summary>
internal sealed class SopExecutionStore
{
    internal Task<SopExecution?> FindAsync(Transaction tx, Guid id, CancellationToken ct) => tx.FindAsync<SopExecution>(Sql.Find, [id], ct);

    internal Task<SopExecution> OfKeyAsync(Transaction tx, string startKey, CancellationToken ct) => tx.SingleAsync<SopExecution>(Sql.OfKey, [startKey], ct);

    internal Task<SopExecution?> LockAsync(Transaction tx, Guid id, CancellationToken ct) => tx.FindAsync<SopExecution>(Sql.Lock, [id], ct);

    /// <summary>The execution whose step waits for the action, locked.</summary>
    internal Task<SopExecution?> LockOfActionAsync(Transaction tx, Guid actionQueueId, CancellationToken ct) => tx.FindAsync<SopExecution>(Sql.LockOfAction, [actionQueueId], ct);

    internal async Task<Page<SopExecution>> ListAsync(Transaction tx, SopExecutionFilter filter, PageRequest page, CancellationToken ct) => Page<SopExecution>.Cut(
        await tx.QueryAsync<SopExecution>(Sql.List, [filter.SopId, filter.Status, filter.ExecutorType, filter.ConversationId, page.Before, page.Fetch], ct), page, execution => execution.Id);

    internal Task<SopStatistics> StatisticsAsync(Transaction tx, Guid sopId, CancellationToken ct) => tx.SingleAsync<SopStatistics>(Sql.Statistics, [sopId], ct);

    /// <summary>Null when the key has started one before.</summary>
    internal Task<SopExecution?> InsertAsync(Transaction tx, SopExecution execution, string startKey, CancellationToken ct) => tx.FindAsync<SopExecution>(Sql.Insert,
    [
        tx.TenantId, execution.Id, execution.SopId, execution.Version, execution.UserId, execution.ExecutorType, execution.ConversationId, startKey, execution.Context,
        execution.StartedAt, execution.ApprovalDueAt,
    ], ct);

    internal Task<SopExecution> SaveAsync(Transaction tx, SopExecution execution, CancellationToken ct) => tx.SingleAsync<SopExecution>(Sql.Save,
    [
        execution.Id, execution.Status, execution.StatusReason, execution.DecidedBy, execution.DecidedAt, execution.AgentSessionId, execution.CurrentStepIndex, execution.StepRound,
        execution.StepStartedAt, execution.StepDueAt, execution.ActionQueueId, execution.StepResults, Json.Param(execution.Result), execution.StartedAt, execution.CompletedAt,
        execution.Feedback, execution.Rating, execution.Issues,
    ], ct);

    private static class Sql
    {
        internal const string Find = "SELECT * FROM workflows.sop_executions WHERE id = $1";

        internal const string OfKey = "SELECT * FROM workflows.sop_executions WHERE start_key = $1";

        internal const string Lock = "SELECT * FROM workflows.sop_executions WHERE id = $1 FOR NO KEY UPDATE";

        internal const string LockOfAction = "SELECT * FROM workflows.sop_executions WHERE action_queue_id = $1 FOR NO KEY UPDATE";

        internal const string List =
            """
            SELECT * FROM workflows.sop_executions
            WHERE ($1::uuid IS NULL OR sop_id = $1)
              AND ($2::text IS NULL OR status = $2)
              AND ($3::text IS NULL OR executor_type = $3)
              AND ($4::uuid IS NULL OR conversation_id = $4)
              AND ($5::uuid IS NULL OR id < $5)
            ORDER BY id DESC LIMIT $6
            """;

        internal const string Statistics =
            """
            SELECT count(rating)::integer AS ratings, round(avg(rating), 1) AS average_rating, coalesce(sum(jsonb_array_length(issues)), 0)::integer AS issues,
                   (percentile_cont(0.5) WITHIN GROUP (ORDER BY duration_ms) FILTER (WHERE status = 'completed'))::bigint AS median_duration_ms
            FROM workflows.sop_executions WHERE sop_id = $1
            """;

        internal const string Insert =
            """
            INSERT INTO workflows.sop_executions (tenant_id, id, sop_id, version, user_id, executor_type, conversation_id, start_key, status, context, started_at, created_at, updated_at,
                approval_due_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'awaiting_approval', $9, $10, $10, $10, $11)
            ON CONFLICT ON CONSTRAINT sop_execution_start_once DO NOTHING
            RETURNING *
            """;

        internal const string Save =
            """
            UPDATE workflows.sop_executions
            SET status = $2, status_reason = $3, decided_by = $4, decided_at = $5, agent_session_id = $6, current_step_index = $7, step_round = $8, step_started_at = $9,
                step_due_at = $10, action_queue_id = $11, step_results = $12, result = $13, started_at = $14, completed_at = $15, feedback = $16, rating = $17, issues = $18
            WHERE id = $1
            RETURNING *
            """;
    }
}

/// <summary>Which executions to list; null does not narrow.</summary>
internal sealed record SopExecutionFilter(Guid? SopId, string? Status, string? ExecutorType, Guid? ConversationId);
