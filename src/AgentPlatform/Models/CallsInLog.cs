using AgentPlatform.Kernel;
using AgentPlatform.Operations;
using AgentPlatform.Postgres;

namespace AgentPlatform.Models;

/// <summary>Calls of models in the log of what agents did.</summary>
internal sealed class CallsInLog : IActionsLogSource
{
    public string ActionType => "llm_call";

    public Task<IReadOnlyList<ActionsLogEntry>> ReadAsync(Transaction tx, ActionsLogFilter filter, PageRequest page, CancellationToken ct) =>
        tx.QueryAsync<ActionsLogEntry>(Sql.Entries, [filter.ContextId, filter.AgentId, filter.Failed, page.Before, page.Fetch], ct);

    private static class Sql
    {
        internal const string Entries =
            """
            SELECT id, 'llm_call' AS action_type, action_type AS name, status, agent_id, agent_type, agent_instance_id, contact_id, context_id, context_type, model_used,
                   input_tokens, output_tokens, cost_usd, latency_ms, input_data, output_data, error, created_at
            FROM models.agent_actions_log
            WHERE tenant_id = kernel.current_tenant_id() AND ($1::uuid IS NULL OR context_id = $1) AND ($2::uuid IS NULL OR agent_id = $2)
              AND ($3::boolean IS NULL OR (error IS NOT NULL) = $3) AND ($4::uuid IS NULL OR id < $4)
            ORDER BY id DESC LIMIT $5
            """;
    }
}
