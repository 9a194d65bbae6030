using AgentPlatform.Kernel;
using AgentPlatform.Operations;
using AgentPlatform.Postgres;

namespace AgentPlatform.Actions;

/// <summary>Attempts at actions in the log of what agents did.</summary>
internal sealed class ExecutionsInLog : IActionsLogSource
{
    public string ActionType => "function_execution";

    public Task<IReadOnlyList<ActionsLogEntry>> ReadAsync(Transaction tx, ActionsLogFilter filter, PageRequest page, CancellationToken ct) =>
        tx.QueryAsync<ActionsLogEntry>(Sql.Entries, [filter.ContextId, filter.AgentId, filter.Failed, page.Before, page.Fetch], ct);

    private static class Sql
    {
        internal const string Entries =
            """
            SELECT id, 'function_execution' AS action_type, action_id AS name, status, agent_id, NULL::text AS agent_type, NULL::uuid AS agent_instance_id, contact_id,
                   conversation_id AS context_id, 'conversation' AS context_type, NULL::text AS model_used, NULL::integer AS input_tokens, NULL::integer AS output_tokens,
                   NULL::numeric AS cost_usd, duration_ms AS latency_ms, params_used AS input_data, coalesce(result, api_response_body) AS output_data, error, created_at
            FROM actions.action_execution_log
            WHERE tenant_id = kernel.current_tenant_id() AND ($1::uuid IS NULL OR conversation_id = $1) AND ($2::uuid IS NULL OR agent_id = $2)
              AND ($3::boolean IS NULL OR (error IS NOT NULL) = $3) AND ($4::uuid IS NULL OR id < $4) AND conversations.is_visible(tenant_id, conversation_id)
            ORDER BY id DESC LIMIT $5
            """;
    }
}
