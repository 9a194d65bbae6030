using System.Diagnostics;
using System.Text.Json;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Conversations;

/// <summary>One turn, as it was: written once, never changed. The number is the session's <see cref="ConversationSession.NextTurnNumber"/>.</summary>
public sealed record TurnRecord(Guid Id, Guid SessionId, Guid ConversationId, int TurnNumber, string UserMessage)
{
    public string? AssistantResponse { get; init; }

    public JsonElement? ContextExtracted { get; init; }

    /// <summary>A JSON array.</summary>
    public JsonElement? RulesMatched { get; init; }

    public JsonElement? ScenarioState { get; init; }

    /// <summary>A JSON array.</summary>
    public JsonElement? ToolsExecuted { get; init; }

    public JsonElement? TokenUsage { get; init; }

    public int? LatencyMs { get; init; }

    /// <summary>The instance of the agent that took it.</summary>
    public Guid? AgentInstanceId { get; init; }

    /// <summary>Why a person took over.</summary>
    public string? HandoffReason { get; init; }
}

/// <summary>A stored turn record. TraceId: of the W3C trace from the webhook to the provider.</summary>
public sealed record StoredTurn(
    Guid Id, Guid SessionId, Guid ConversationId, int TurnNumber, string UserMessage, string? AssistantResponse, JsonElement? ContextExtracted,
    JsonElement RulesMatched, JsonElement? ScenarioState, JsonElement ToolsExecuted, JsonElement? TokenUsage, int? LatencyMs, string? TraceId, DateTimeOffset CreatedAt, Guid? AgentInstanceId,
    string? HandoffReason);

/// <summary>The turns that an instance of an agent took: in how many conversations, and how many ended with a person.</summary>
public sealed record InstanceTurns(Guid AgentInstanceId, long Conversations, long Turns, long Handoffs);

/// <summary>
/// The turns of a period: how many asked a model, with how many calls and what those cost, and how long turns took in milliseconds: half of them at most
/// the median, one in twenty longer than the 95th percentile. Period: its first day (UTC).
/// </summary>
public sealed record TurnUsage(
    string Period, long Turns, long TurnsWithModel, long Calls, long InputTokens, long OutputTokens, decimal CostUsd, int? AverageLatencyMs, int? MedianLatencyMs,
    int? P95LatencyMs, int? MaxLatencyMs);

/// <summary>The record of turns, append-only.</summary>
public sealed class TurnLog(TimeProvider clock)
{
    /// <summary>
    /// Takes the session's next number and writes the record. A number that is not the next one (two workers, one turn) fails the
    /// transaction at its next round trip with a unique violation.
    /// </summary>
    public void Append(Transaction tx, TurnRecord record) => tx.Post(
        Sql.Append, record.Id, record.SessionId, record.ConversationId, record.TurnNumber, record.UserMessage, record.AssistantResponse,
        Json.Param(record.ContextExtracted), Json.Param(record.RulesMatched ?? Json.Of(Array.Empty<object>())), Json.Param(record.ScenarioState),
        Json.Param(record.ToolsExecuted ?? Json.Of(Array.Empty<object>())), Json.Param(record.TokenUsage), record.LatencyMs, Activity.Current?.TraceId.ToHexString(), clock.GetUtcNow(),
        record.AgentInstanceId, record.HandoffReason);

    /// <summary>The turns of a conversation, newest first.</summary>
    public async Task<Page<StoredTurn>> ListAsync(Transaction tx, Guid conversationId, PageRequest page, CancellationToken ct) =>
        Page<StoredTurn>.Cut(await tx.QueryAsync<StoredTurn>(Sql.List, [conversationId, page.Before, page.Fetch], ct), page, t => t.Id);

    public Task<StoredTurn?> FindAsync(Transaction tx, Guid id, CancellationToken ct) => tx.FindAsync<StoredTurn>(Sql.Find, [id], ct);

    /// <summary>What instances of agents did since a moment; those that did nothing are left out.</summary>
    public Task<IReadOnlyList<InstanceTurns>> OfInstancesAsync(Transaction tx, Guid[] instanceIds, DateTimeOffset since, CancellationToken ct) =>
        tx.QueryAsync<InstanceTurns>(Sql.OfInstances, [instanceIds, since.ToUniversalTime()], ct);

    /// <summary>By <c>day</c>, <c>week</c> or <c>month</c>, from the beginning of one day (UTC) to the beginning of another; periods without turns are left out.</summary>
    internal static Task<IReadOnlyList<TurnUsage>> UsageAsync(Transaction tx, string by, DateOnly from, DateOnly to, Guid? agentInstanceId, CancellationToken ct) =>
        tx.QueryAsync<TurnUsage>(Sql.Usage, [by, from, to, agentInstanceId], ct);

    private static class Sql
    {
        internal const string Usage =
            """
            SELECT to_char(date_trunc($1, created_at AT TIME ZONE 'UTC'), 'YYYY-MM-DD') AS period, count(*) AS turns, count(token_usage) AS turns_with_model,
                   coalesce(sum((token_usage->>'calls')::bigint), 0)::bigint AS calls, coalesce(sum((token_usage->>'input_tokens')::bigint), 0)::bigint AS input_tokens,
                   coalesce(sum((token_usage->>'output_tokens')::bigint), 0)::bigint AS output_tokens, coalesce(sum((token_usage->>'cost_usd')::numeric), 0) AS cost_usd,
                   avg(latency_ms)::int AS average_latency_ms, (percentile_disc(0.5) WITHIN GROUP (ORDER BY latency_ms))::int AS median_latency_ms,
                   (percentile_disc(0.95) WITHIN GROUP (ORDER BY latency_ms))::int AS p95_latency_ms, max(latency_ms) AS max_latency_ms
            FROM conversations.turn_records
            WHERE tenant_id = kernel.current_tenant_id() AND created_at >= $2::date::timestamp AT TIME ZONE 'UTC' AND created_at < $3::date::timestamp AT TIME ZONE 'UTC'
              AND ($4::uuid IS NULL OR agent_instance_id = $4)
            GROUP BY 1 ORDER BY 1
            """;

        internal const string OfInstances =
            """
            SELECT agent_instance_id, count(DISTINCT conversation_id) AS conversations, count(*) AS turns, count(handoff_reason) AS handoffs
            FROM conversations.turn_records
            WHERE tenant_id = kernel.current_tenant_id() AND agent_instance_id = ANY ($1) AND created_at >= $2 GROUP BY agent_instance_id
            """;

        internal const string Append =
            """
            INSERT INTO conversations.turn_records
                (tenant_id, id, session_id, conversation_id, turn_number, user_message, assistant_response, context_extracted, rules_matched, scenario_state,
                 tools_executed, token_usage, latency_ms, trace_id, created_at, agent_instance_id, handoff_reason)
            VALUES (kernel.current_tenant_id(), $1, $2, $3, conversations.take_turn_number(kernel.current_tenant_id(), $2, $4),
                    $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
            """;

        internal const string Find =
            """
            SELECT id, session_id, conversation_id, turn_number, user_message, assistant_response, context_extracted, rules_matched, scenario_state,
                   tools_executed, token_usage, latency_ms, trace_id, created_at, agent_instance_id, handoff_reason
            FROM conversations.turn_records WHERE tenant_id = kernel.current_tenant_id() AND id = $1
            """;

        internal const string List =
            """
            SELECT id, session_id, conversation_id, turn_number, user_message, assistant_response, context_extracted, rules_matched, scenario_state,
                   tools_executed, token_usage, latency_ms, trace_id, created_at, agent_instance_id, handoff_reason
            FROM conversations.turn_records WHERE conversation_id = $1 AND ($2::uuid IS NULL OR id < $2) ORDER BY id DESC LIMIT $3
            """;
    }
}
