using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Agents.Rules;

/// <summary>Reads rules with their relations; deleted ones are gone.</summary>
internal sealed class RuleStore
{
    internal Task<IReadOnlyList<Rule>> OfAgentAsync(Transaction tx, Guid agentId, CancellationToken ct) => tx.QueryAsync<Rule>(Sql.OfAgent, [agentId], ct);

    internal Task<Rule?> FindAsync(Transaction tx, Guid id, CancellationToken ct) => tx.FindAsync<Rule>(Sql.Find, [id], ct);

    internal async Task<Page<Rule>> ListAsync(Transaction tx, Guid agentId, PageRequest page, CancellationToken ct) =>
        Page<Rule>.Cut(await tx.QueryAsync<Rule>(Sql.List, [agentId, page.Before, page.Fetch], ct), page, rule => rule.Id);

    private static class Sql
    {
        internal const string OfAgent =
            """
            SELECT id, agent_id, name, description, condition_kind, condition_text, action_type, action_config, scope, scope_id, priority, enabled,
                   ARRAY(SELECT other_rule_id FROM agents.rule_relations o WHERE o.tenant_id = r.tenant_id AND o.rule_id = r.id AND kind = 'requires') AS requires,
                   ARRAY(SELECT other_rule_id FROM agents.rule_relations o WHERE o.tenant_id = r.tenant_id AND o.rule_id = r.id AND kind = 'excludes') AS excludes,
                   ARRAY(SELECT other_rule_id FROM agents.rule_relations o WHERE o.tenant_id = r.tenant_id AND o.rule_id = r.id AND kind = 'overrides') AS overrides,
                   created_at, updated_at, threshold
            FROM agents.rules r WHERE tenant_id = kernel.current_tenant_id() AND agent_id = $1 AND deleted_at IS NULL
            """;

        internal const string List =
            """
            SELECT id, agent_id, name, description, condition_kind, condition_text, action_type, action_config, scope, scope_id, priority, enabled,
                   ARRAY(SELECT other_rule_id FROM agents.rule_relations o WHERE o.tenant_id = r.tenant_id AND o.rule_id = r.id AND kind = 'requires') AS requires,
                   ARRAY(SELECT other_rule_id FROM agents.rule_relations o WHERE o.tenant_id = r.tenant_id AND o.rule_id = r.id AND kind = 'excludes') AS excludes,
                   ARRAY(SELECT other_rule_id FROM agents.rule_relations o WHERE o.tenant_id = r.tenant_id AND o.rule_id = r.id AND kind = 'overrides') AS overrides,
                   created_at, updated_at, threshold
            FROM agents.rules r
            WHERE tenant_id = kernel.current_tenant_id() AND agent_id = $1 AND deleted_at IS NULL AND ($2::uuid IS NULL OR id < $2)
            ORDER BY id DESC LIMIT $3
            """;

        internal const string Find =
            """
            SELECT id, agent_id, name, description, condition_kind, condition_text, action_type, action_config, scope, scope_id, priority, enabled,
                   ARRAY(SELECT other_rule_id FROM agents.rule_relations o WHERE o.tenant_id = r.tenant_id AND o.rule_id = r.id AND kind = 'requires') AS requires,
                   ARRAY(SELECT other_rule_id FROM agents.rule_relations o WHERE o.tenant_id = r.tenant_id AND o.rule_id = r.id AND kind = 'excludes') AS excludes,
                   ARRAY(SELECT other_rule_id FROM agents.rule_relations o WHERE o.tenant_id = r.tenant_id AND o.rule_id = r.id AND kind = 'overrides') AS overrides,
                   created_at, updated_at, threshold
            FROM agents.rules r WHERE tenant_id = kernel.current_tenant_id() AND id = $1 AND deleted_at IS NULL
            """;
    }
}
