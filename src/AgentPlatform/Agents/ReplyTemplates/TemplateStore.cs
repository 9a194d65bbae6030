using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Agents.ReplyTemplates;

/// <summary>Reads the templates of agents; deleted ones are gone.</summary>
internal sealed class TemplateStore
{
    internal Task<IReadOnlyList<ReplyTemplate>> OfAgentAsync(Transaction tx, Guid agentId, CancellationToken ct) => tx.QueryAsync<ReplyTemplate>(Sql.OfAgent, [agentId], ct);

    internal Task<ReplyTemplate?> FindAsync(Transaction tx, Guid id, CancellationToken ct) => tx.FindAsync<ReplyTemplate>(Sql.Find, [id], ct);

    internal Task<ReplyTemplate?> LockAsync(Transaction tx, Guid id, CancellationToken ct) => tx.FindAsync<ReplyTemplate>(Sql.Lock, [id], ct);

    internal async Task<Page<ReplyTemplate>> ListAsync(Transaction tx, Guid agentId, PageRequest page, CancellationToken ct) =>
        Page<ReplyTemplate>.Cut(await tx.QueryAsync<ReplyTemplate>(Sql.List, [agentId, page.Before, page.Fetch], ct), page, template => template.Id);

    private static class Sql
    {
        internal const string OfAgent =
            """
            SELECT id, agent_id, name, content, mode, scope, scope_id, created_at, updated_at
            FROM agents.templates WHERE tenant_id = kernel.current_tenant_id() AND agent_id = $1 AND deleted_at IS NULL ORDER BY id DESC
            """;

        internal const string List =
            """
            SELECT id, agent_id, name, content, mode, scope, scope_id, created_at, updated_at
            FROM agents.templates
            WHERE tenant_id = kernel.current_tenant_id() AND agent_id = $1 AND deleted_at IS NULL AND ($2::uuid IS NULL OR id < $2) ORDER BY id DESC LIMIT $3
            """;

        internal const string Find =
            """
            SELECT id, agent_id, name, content, mode, scope, scope_id, created_at, updated_at
            FROM agents.templates WHERE tenant_id = kernel.current_tenant_id() AND id = $1 AND deleted_at IS NULL
            """;

        internal const string Lock =
            """
            SELECT id, agent_id, name, content, mode, scope, scope_id, created_at, updated_at
            FROM agents.templates WHERE tenant_id = kernel.current_tenant_id() AND id = $1 AND deleted_at IS NULL FOR UPDATE
            """;
    }
}
