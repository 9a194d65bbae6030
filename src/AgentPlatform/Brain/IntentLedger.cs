using System.Text.Json;
using AgentPlatform.Actions;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Brain;

/// <summary>
/// A row of <c>intent_ledger</c> as the API shows it. Status: new, processing, queued, executing, completed, failed, blocked,
/// action_not_found or cancelled; completed, failed, action_not_found and cancelled are final.
/// </summary>
public sealed record LedgerIntent
{
    public Guid Id { get; init; }
    public string IntentId { get; init; } = "";
    public Guid SessionId { get; init; }
    public Guid ContactId { get; init; }
    public Guid AgentId { get; init; }

    /// <summary>The instance of the agent that understood it.</summary>
    public Guid? AgentInstanceId { get; init; }
    public Guid ConversationId { get; init; }
    public string IntentType { get; init; } = "";
    public string? CanonicalIntent { get; init; }
    public string? MatchType { get; init; }
    public decimal Confidence { get; init; }
    public int TurnNumber { get; init; }
    public int SequenceOrder { get; init; }
    public string? Reasoning { get; init; }
    public JsonElement Entities { get; init; }
    public string Status { get; init; } = "";
    public string? BlockedReason { get; init; }

    /// <summary>The action ids that were queued for it.</summary>
    public JsonElement TriggeredActions { get; init; }
    public string? ResponseType { get; init; }
    public string? ResponseText { get; init; }
    public string? Resolution { get; init; }
    public string? Error { get; init; }
    public DateTimeOffset Timestamp { get; init; }
    public DateTimeOffset CreatedAt { get; init; }
    public DateTimeOffset UpdatedAt { get; init; }
}

/// <summary>Where an intent goes next, with what there is to say about it.</summary>
internal sealed record IntentMove(string Status)
{
    internal string? BlockedReason { get; init; }
    internal string? Resolution { get; init; }
    internal string? Error { get; init; }
    internal string? ResponseType { get; init; }
    internal string? ResponseText { get; init; }

    /// <summary>The action that was queued for it.</summary>
    internal string? Triggered { get; init; }

    /// <summary>How a queue item's status shows on its intent; null when it does not move it.</summary>
    internal static string? Following(QueueStatus status) => status switch
    {
        QueueStatus.Pending or QueueStatus.Ready => "queued",
        QueueStatus.Executing => "executing",
        QueueStatus.Completed => "completed",
        QueueStatus.Failed => "failed",
        QueueStatus.Blocked => "blocked",
        QueueStatus.Cancelled => "cancelled",
        _ => null,
    };
}

/// <summary>The immutable log of what was understood, with the one-way life of each intent.</summary>
public sealed class IntentLedger(TimeProvider clock)
{
    private const string Prefix = "int_";

    /// <summary>A new intent's id, as the API knows it.</summary>
    internal string NewId() => $"{Prefix}{clock.NewId():n}";

    /// <summary>Logs an intent that its turn takes up at once, with its end where the turn answers it.</summary>
    internal void Log(Transaction tx, string intentId, IntentPlace place, Intent intent, IntentMove? end = null) =>
        tx.Post(Sql.Insert, tx.TenantId, Guid.ParseExact(intentId[Prefix.Length..], "n"), intentId, place.SessionId, place.ContactId, place.AgentId,
            place.ConversationId, intent.Type, intent.Canonical, intent.MatchType, Math.Round(intent.Confidence, 2), place.TurnNumber, place.SequenceOrder,
            intent.Reasoning, Json.Param(intent.Entities), clock.GetUtcNow(), place.AgentInstanceId, end?.Status ?? "processing", end?.Resolution,
            end?.ResponseType, end?.ResponseText);

    internal void Move(Transaction tx, string intentId, IntentMove move) =>
        tx.Post(Sql.Move, intentId, move.Status, move.BlockedReason, move.Resolution, move.Error, move.ResponseType, move.ResponseText, move.Triggered);

    /// <summary>The session's intents of late, newest first: what its state mirrors.</summary>
    internal Task<IReadOnlyList<LedgerIntent>> OfSessionAsync(Transaction tx, Guid sessionId, int limit, CancellationToken ct) =>
        tx.QueryAsync<LedgerIntent>(Sql.OfSession, [sessionId, limit], ct);

    internal Task<LedgerIntent?> FindAsync(Transaction tx, string intentId, CancellationToken ct) => tx.FindAsync<LedgerIntent>(Sql.ByIntentId, [intentId], ct);

    internal async Task<Page<LedgerIntent>> ListAsync(Transaction tx, IntentFilter filter, PageRequest page, CancellationToken ct) =>
        Page<LedgerIntent>.Cut(
            await tx.QueryAsync<LedgerIntent>(Sql.List, [filter.ConversationId, filter.SessionId, filter.Status, filter.MatchType, page.Before, page.Fetch], ct), page, row => row.Id);

    /// <summary>How many intents were recognised how, since a moment.</summary>
    internal Task<IReadOnlyList<MatchCount>> CountsAsync(Transaction tx, DateTimeOffset since, CancellationToken ct) =>
        tx.QueryAsync<MatchCount>(Sql.Counts, [since.ToUniversalTime()], ct);

    /// <summary>What came of what instances understood since a moment; those without actions are left out.</summary>
    internal Task<IReadOnlyList<InstanceActions>> OfInstancesAsync(Transaction tx, Guid[] instanceIds, DateTimeOffset since, CancellationToken ct) =>
        tx.QueryAsync<InstanceActions>(Sql.OfInstances, [instanceIds, since.ToUniversalTime()], ct);

    internal static class Sql
    {
        internal const string OfInstances =
            """
            SELECT agent_instance_id, count(*) FILTER (WHERE status = 'completed') AS completed, count(*) FILTER (WHERE status = 'failed') AS failed
            FROM brain.intent_ledger
            WHERE tenant_id = kernel.current_tenant_id() AND agent_instance_id = ANY ($1) AND "timestamp" >= $2 AND triggered_actions <> '[]' GROUP BY agent_instance_id
            """;

        internal const string Insert =
            """
            INSERT INTO brain.intent_ledger (tenant_id, id, intent_id, session_id, contact_id, agent_id, conversation_id, intent_type, canonical_intent,
                match_type, confidence, turn_number, sequence_order, reasoning, entities, "timestamp", agent_instance_id, status, resolution, response_type,
                response_text)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)
            """;

        // Saying the same again is no move: only a change has to be a legal way.
        internal const string Move =
            """
            UPDATE brain.intent_ledger
            SET status = $2, blocked_reason = $3, resolution = coalesce($4, resolution), error = coalesce($5, error),
                response_type = coalesce($6, response_type), response_text = coalesce($7, response_text),
                triggered_actions = CASE WHEN $8::text IS NULL OR triggered_actions ? $8 THEN triggered_actions ELSE triggered_actions || to_jsonb($8) END
            WHERE intent_id = $1
            """;

        internal const string OfSession = "SELECT * FROM brain.intent_ledger WHERE session_id = $1 ORDER BY id DESC LIMIT $2";

        // For readers: an intent of a private conversation is seen with it.
        internal const string ByIntentId =
            "SELECT * FROM brain.intent_ledger WHERE intent_id = $1 AND conversations.is_visible(tenant_id, conversation_id)";

        internal const string List =
            """
            SELECT * FROM brain.intent_ledger
            WHERE ($1::uuid IS NULL OR conversation_id = $1) AND ($2::uuid IS NULL OR session_id = $2) AND ($3::text IS NULL OR status = $3)
              AND ($4::text IS NULL OR match_type = $4) AND ($5::uuid IS NULL OR id < $5)
              AND conversations.is_visible(tenant_id, conversation_id)
            ORDER BY id DESC LIMIT $6
            """;

        internal const string Counts =
            """
            SELECT match_type, count(*) AS intents, round(avg(confidence), 2) AS average_confidence
            FROM brain.intent_ledger WHERE match_type IS NOT NULL AND "timestamp" >= $1
            GROUP BY match_type ORDER BY match_type
            """;
    }
}

internal sealed record IntentPlace(Guid SessionId, Guid ContactId, Guid AgentId, Guid ConversationId, int TurnNumber, int SequenceOrder, Guid? AgentInstanceId = null);

/// <summary>The actions that came of what an instance understood.</summary>
internal sealed record InstanceActions(Guid AgentInstanceId, long Completed, long Failed);

internal sealed record IntentFilter(Guid? ConversationId, Guid? SessionId, string? Status, string? MatchType);

/// <summary>One line of the match statistics.</summary>
public sealed record MatchCount(string MatchType, long Intents, decimal AverageConfidence);
