using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Costs;

/// <summary>Tokens of one call. Those read from the provider's cache, or written to it, are not among the input tokens.</summary>
public sealed record TokenCounts(int Input, int Output, int CacheCreation = 0, int CacheRead = 0)
{
    public int Total => Input + Output + CacheCreation + CacheRead;
}

/// <summary>US dollars, to six decimals each, so that the total is their sum.</summary>
public sealed record TokenCosts(decimal Input, decimal Output, decimal Cache)
{
    public decimal Total => Input + Output + Cache;
}

/// <summary>A call that was paid for. Prompt type: what it was for. Response time in milliseconds.</summary>
public sealed record TokenUsage(
    Guid Id, Guid AgentId, Guid? ContactId, Guid? ConversationId, string? RequestId, string Provider, string Model, string PromptType,
    TokenCounts Tokens, TokenCosts Costs, IReadOnlyList<string> ToolsUsed, int ResponseTime, string? StopReason);

/// <summary>A row of <c>api_token_usage</c> as the API shows it.</summary>
public sealed record StoredUsage(
    Guid Id, Guid AgentId, Guid? ContactId, Guid? ConversationId, string? RequestId, string Provider, string Model, string PromptType,
    int InputTokens, int OutputTokens, int CacheCreationTokens, int CacheReadTokens, int TotalTokens,
    decimal InputCost, decimal OutputCost, decimal CacheCost, decimal TotalCost, System.Text.Json.JsonElement ToolsUsed, int ResponseTime, string? StopReason, DateTimeOffset CreatedAt);

/// <summary>What was spent under one name: a day, an agent, a contact or a model, by the question.</summary>
public sealed record CostLine(string Name, long Calls, long InputTokens, long OutputTokens, long CacheTokens, decimal TotalCost);

/// <summary>Every call that was paid for, written once and never changed.</summary>
public sealed class UsageLedger(TimeProvider clock)
{
    public void Record(Transaction tx, TokenUsage usage) => tx.Post(
        Sql.Record, usage.Id, usage.AgentId, usage.ContactId, usage.ConversationId, usage.RequestId, usage.Provider, usage.Model, usage.PromptType,
        usage.Tokens.Input, usage.Tokens.Output, usage.Tokens.CacheCreation, usage.Tokens.CacheRead, usage.Tokens.Total,
        usage.Costs.Input, usage.Costs.Output, usage.Costs.Cache, usage.Costs.Total, Json.Param(usage.ToolsUsed), usage.ResponseTime, usage.StopReason, clock.GetUtcNow());

    internal static async Task<Page<StoredUsage>> ListAsync(Transaction tx, Guid? agentId, Guid? conversationId, PageRequest page, CancellationToken ct) =>
        Page<StoredUsage>.Cut(await tx.QueryAsync<StoredUsage>(Sql.List, [agentId, conversationId, page.Before, page.Fetch], ct), page, u => u.Id);

    /// <summary>From the beginning of one day (UTC) to the beginning of another; at most so many lines whose names come after one.</summary>
    internal static Task<IReadOnlyList<CostLine>> ReportAsync(Transaction tx, string by, DateOnly from, DateOnly to, string? after, int most, CancellationToken ct) =>
        tx.QueryAsync<CostLine>(Sql.Report, [by, from, to, after, most], ct);

    private static class Sql
    {
        internal const string Record =
            """
            INSERT INTO costs.api_token_usage
                (tenant_id, id, agent_id, contact_id, conversation_id, request_id, provider, model, prompt_type, input_tokens, output_tokens,
                 cache_creation_tokens, cache_read_tokens, total_tokens, input_cost, output_cost, cache_cost, total_cost, tools_used, response_time, stop_reason, created_at)
            VALUES (kernel.current_tenant_id(), $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)
            """;

        internal const string List =
            """
            SELECT id, agent_id, contact_id, conversation_id, request_id, provider, model, prompt_type, input_tokens, output_tokens, cache_creation_tokens,
                   cache_read_tokens, total_tokens, input_cost, output_cost, cache_cost, total_cost, tools_used, response_time, stop_reason, created_at
            FROM costs.api_token_usage
            WHERE tenant_id = kernel.current_tenant_id() AND ($1::uuid IS NULL OR agent_id = $1) AND ($2::uuid IS NULL OR conversation_id = $2)
              AND ($3::uuid IS NULL OR id < $3)
            ORDER BY id DESC LIMIT $4
            """;

        internal const string Report =
            """
            SELECT name, calls, input_tokens, output_tokens, cache_tokens, total_cost FROM (
            SELECT coalesce(CASE $1 WHEN 'day' THEN to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') WHEN 'agent' THEN agent_id::text
                                    WHEN 'contact' THEN contact_id::text WHEN 'provider' THEN provider ELSE model END, '') AS name,
                   count(*) AS calls, sum(input_tokens)::bigint AS input_tokens, sum(output_tokens)::bigint AS output_tokens,
                   sum(cache_creation_tokens + cache_read_tokens)::bigint AS cache_tokens, sum(total_cost) AS total_cost
            FROM costs.api_token_usage
            WHERE tenant_id = kernel.current_tenant_id()
              AND created_at >= $2::date::timestamp AT TIME ZONE 'UTC' AND created_at < $3::date::timestamp AT TIME ZONE 'UTC'
            GROUP BY 1) AS lines
            WHERE $4::text IS NULL OR name > $4 ORDER BY name LIMIT $5
            """;
    }
}
