using System.Text.Json;
using AgentPlatform.Actions.Execution;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Actions.Aftermath;

/// <summary>An action that was given up: a row of <c>dead_letter_queue</c> as the API shows it.</summary>
public sealed record DeadLetter
{
    public Guid Id { get; init; }
    public string DlqId { get; init; } = "";
    public string OriginalQueueId { get; init; } = "";
    public string ActionId { get; init; } = "";
    public string? ActionName { get; init; }
    public string? ActionCategory { get; init; }
    public Guid SessionId { get; init; }
    public Guid ContactId { get; init; }
    public Guid AgentId { get; init; }
    public Guid ConversationId { get; init; }
    public string? IntentId { get; init; }
    public int? TurnNumber { get; init; }
    public DateTimeOffset MovedToDlqAt { get; init; }
    public DateTimeOffset OriginalAddedAt { get; init; }
    public int TimeInQueueSeconds { get; init; }
    public string? OriginalStatus { get; init; }
    public int RetryCount { get; init; }
    public int MaxRetries { get; init; }

    /// <summary><c>{"type", "message", "code", "execution_id"}</c> of the last attempt.</summary>
    public JsonElement FinalError { get; init; }
    public JsonElement RetryHistory { get; init; }
    public JsonElement ParamsCollected { get; init; }
    public bool RequiresManualIntervention { get; init; }

    /// <summary><c>fix_parameters</c>, <c>fix_configuration</c>, <c>check_provider</c> or <c>investigate</c>.</summary>
    public string? InterventionType { get; init; }
    public bool EscalatedToSupport { get; init; }
    public string? EscalationTicketId { get; init; }
    public DateTimeOffset? EscalatedAt { get; init; }
    public bool Resolved { get; init; }
    public DateTimeOffset? ResolvedAt { get; init; }
    public string? ResolutionNotes { get; init; }

    /// <summary>The request that tries it again; the letter is resolved when that completes.</summary>
    public string? ReplayQueueId { get; init; }
    public DateTimeOffset? ReplayedAt { get; init; }
    public bool UserNotified { get; init; }
    public DateTimeOffset? UserNotificationSentAt { get; init; }
    public string? UserNotificationMessage { get; init; }
    public string IdempotencyKey { get; init; } = "";
    public DateTimeOffset CreatedAt { get; init; }
    public DateTimeOffset UpdatedAt { get; init; }

    /// <summary>What is known of its last error; only where letters are read.</summary>
    public KnownError? KnownError { get; init; }
}

/// <summary>Actions that exhausted their tries, until a person has dealt with them.</summary>
public sealed class DeadLetters(TimeProvider clock)
{
    /// <summary>
    /// In the transaction in which the action fails for good. A resumed request that fails again keeps its letter. What the contact was told
    /// of the action that this one replays, they were told of this one.
    /// </summary>
    internal void Add(Transaction tx, QueuedAction failed, string originalStatus, string? category, ActionFailure failure)
    {
        var id = clock.NewId();
        tx.Post(Sql.Insert, tx.TenantId, id, $"dlq_{id:n}", failed.QueueId, failed.ActionId, failed.ActionName, category, failed.SessionId, failed.ContactId,
            failed.AgentId, failed.ConversationId, failed.IntentId, failed.TurnNumber, clock.GetUtcNow(), failed.AddedAt.ToUniversalTime(), originalStatus,
            failed.RetryCount, failed.MaxRetries,
            Json.Param(new { type = failure.Kind, message = failure.Message, code = failure.Code, execution_id = failed.ExecutionId }),
            failed.RetryErrors, failed.ParamsCollected, ErrorKind.Intervention(failure.Kind), failed.IdempotencyKey, failed.ReplayOf);
    }

    /// <summary>Says that the contact has been told, with these words. False when that was said before.</summary>
    public async Task<bool> NotifiedAsync(Transaction tx, string queueId, string message, CancellationToken ct) =>
        await tx.ExecuteAsync(Sql.Notified, [queueId, clock.GetUtcNow(), message], ct) == 1;

    /// <summary>The request of the letter goes on itself: the letter names it as its own replay.</summary>
    internal void Resumed(Transaction tx, string queueId) => tx.Post(Sql.Resumed, queueId, clock.GetUtcNow());

    internal Task<DeadLetter?> OfRequestAsync(Transaction tx, string queueId, CancellationToken ct) => tx.FindAsync<DeadLetter>(Sql.OfRequest, [queueId], ct);

    /// <summary>A replay, or a resumed request, completed: the letter it answers, and those whose replay ended in that letter, are resolved.</summary>
    internal void Completed(Transaction tx, string queueId) => tx.Post(Sql.Completed, queueId, clock.GetUtcNow());

    internal async Task<Page<DeadLetter>> ListAsync(Transaction tx, bool? resolved, bool? escalated, PageRequest page, CancellationToken ct) =>
        Page<DeadLetter>.Cut(await tx.QueryAsync<DeadLetter>(Sql.List, [resolved, escalated, page.Before, page.Fetch], ct), page, row => row.Id);

    /// <summary>Problem <c>dead_letter_not_found</c>.</summary>
    public async Task<Result<DeadLetter>> FindAsync(Transaction tx, string dlqId, CancellationToken ct) =>
        await tx.FindAsync<DeadLetter>(Sql.ByDlqId, [dlqId], ct) is { } row ? row : Problem.NotFound("dead_letter");

    /// <summary>Once; a second resolution is a conflict, so that the first one's notes stay.</summary>
    internal async Task<Result<DeadLetter>> ResolveAsync(Transaction tx, string dlqId, string notes, CancellationToken ct)
    {
        var resolved = await tx.ExecuteAsync(Sql.Resolve, [dlqId, clock.GetUtcNow(), notes], ct) == 1;
        var row = await FindAsync(tx, dlqId, ct);
        return resolved || !row.IsOk ? row : Problem.Conflict("already_resolved", "The dead letter has been resolved before.");
    }

    internal async Task<Result<DeadLetter>> EscalateAsync(Transaction tx, string dlqId, string ticketId, CancellationToken ct)
    {
        var escalated = await tx.ExecuteAsync(Sql.Escalate, [dlqId, clock.GetUtcNow(), ticketId], ct) == 1;
        var row = await FindAsync(tx, dlqId, ct);
        return escalated || !row.IsOk ? row : Problem.Conflict("not_escalatable", "The dead letter is resolved or already escalated.");
    }

    private static class Sql
    {
        internal const string Insert =
            """
            INSERT INTO actions.dead_letter_queue (tenant_id, id, dlq_id, original_queue_id, action_id, action_name, action_category, session_id,
                contact_id, agent_id, conversation_id, intent_id, turn_number, moved_to_dlq_at, original_added_at, original_status, retry_count,
                max_retries, final_error, retry_history, params_collected, requires_manual_intervention, intervention_type, idempotency_key,
                user_notified, user_notification_sent_at, user_notification_message)
            SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, true, $22, $23,
                   coalesce(first.user_notified, false), first.user_notification_sent_at, first.user_notification_message
            FROM (VALUES (true)) one LEFT JOIN actions.dead_letter_queue first ON first.dlq_id = $24
            ON CONFLICT ON CONSTRAINT dead_letter_queue_once DO UPDATE
            SET moved_to_dlq_at = excluded.moved_to_dlq_at, original_status = excluded.original_status, retry_count = excluded.retry_count,
                final_error = excluded.final_error, retry_history = excluded.retry_history, intervention_type = excluded.intervention_type,
                replay_queue_id = NULL, replayed_at = NULL
            """;

        internal const string Notified =
            """
            UPDATE actions.dead_letter_queue SET user_notified = true, user_notification_sent_at = $2, user_notification_message = $3
            WHERE original_queue_id = $1 AND NOT user_notified
            """;

        internal const string List =
            """
            SELECT * FROM actions.dead_letter_queue
            WHERE ($1::boolean IS NULL OR resolved = $1) AND ($2::boolean IS NULL OR escalated_to_support = $2) AND ($3::uuid IS NULL OR id < $3)
              AND conversations.is_visible(tenant_id, conversation_id)
            ORDER BY id DESC LIMIT $4
            """;

        internal const string Resumed = "UPDATE actions.dead_letter_queue SET replay_queue_id = $1, replayed_at = $2 WHERE original_queue_id = $1";

        internal const string OfRequest = "SELECT * FROM actions.dead_letter_queue WHERE original_queue_id = $1";

        internal const string ByDlqId = "SELECT * FROM actions.dead_letter_queue WHERE dlq_id = $1";

        internal const string Resolve =
            """
            UPDATE actions.dead_letter_queue SET resolved = true, resolved_at = $2, resolution_notes = $3
            WHERE dlq_id = $1 AND NOT resolved
            """;

        internal const string Completed =
            """
            WITH RECURSIVE answered AS (
                SELECT id, original_queue_id FROM actions.dead_letter_queue WHERE replay_queue_id = $1
                UNION
                SELECT d.id, d.original_queue_id FROM actions.dead_letter_queue d JOIN answered a ON d.replay_queue_id = a.original_queue_id
            )
            UPDATE actions.dead_letter_queue d SET resolved = true, resolved_at = $2, 
                resolution_notes = CASE WHEN d.original_queue_id = $1 THEN 'resumed and completed' ELSE 'replayed as ' || $1 END
            FROM answered a
            WHERE d.id = a.id AND NOT d.resolved
            """;

        internal const string Escalate =
            """
            UPDATE actions.dead_letter_queue SET escalated_to_support = true, escalated_at = $2, escalation_ticket_id = $3
            WHERE dlq_id = $1 AND NOT resolved AND NOT escalated_to_support
            """;
    }
}
