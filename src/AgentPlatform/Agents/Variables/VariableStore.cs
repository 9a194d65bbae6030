using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Agents.Variables;

/// <summary>Reads the variables that agents declare; deleted ones are gone.</summary>
public sealed class VariableStore
{
    public async Task<DeclaredVariables> OfAgentAsync(Transaction tx, Guid agentId, CancellationToken ct) =>
        new(await tx.QueryAsync<Variable>(Sql.OfAgent, [agentId], ct));

    internal Task<Variable?> FindAsync(Transaction tx, Guid id, CancellationToken ct) => tx.FindAsync<Variable>(Sql.Find, [id], ct);

    internal Task<Variable?> LockAsync(Transaction tx, Guid id, CancellationToken ct) => tx.FindAsync<Variable>(Sql.Lock, [id], ct);

    internal async Task<Page<Variable>> ListAsync(Transaction tx, Guid agentId, PageRequest page, CancellationToken ct) =>
        Page<Variable>.Cut(await tx.QueryAsync<Variable>(Sql.List, [agentId, page.Before, page.Fetch], ct), page, variable => variable.Id);

    private static class Sql
    {
        internal const string OfAgent =
            """
            SELECT id, agent_id, name, description, default_value, update_policy, resolver_tool_id, created_at, updated_at
            FROM agents.variables WHERE tenant_id = kernel.current_tenant_id() AND agent_id = $1 AND deleted_at IS NULL
            """;

        internal const string List =
            """
            SELECT id, agent_id, name, description, default_value, update_policy, resolver_tool_id, created_at, updated_at
            FROM agents.variables
            WHERE tenant_id = kernel.current_tenant_id() AND agent_id = $1 AND deleted_at IS NULL AND ($2::uuid IS NULL OR id < $2) ORDER BY id DESC LIMIT $3
            """;

        internal const string Find =
            """
            SELECT id, agent_id, name, description, default_value, update_policy, resolver_tool_id, created_at, updated_at
            FROM agents.variables WHERE tenant_id = kernel.current_tenant_id() AND id = $1 AND deleted_at IS NULL
            """;

        internal const string Lock =
            """
            SELECT id, agent_id, name, description, default_value, update_policy, resolver_tool_id, created_at, updated_at
            FROM agents.variables WHERE tenant_id = kernel.current_tenant_id() AND id = $1 AND deleted_at IS NULL FOR UPDATE
            """;
    }
}
