using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Agents.Prompts;

/// <summary>Reads template sets and their versions; deleted sets are gone, their versions are not.</summary>
internal sealed class TemplateSetStore
{
    /// <summary>The wording of the set in use; the built-in one when there is none.</summary>
    internal async Task<PromptWording> InUseAsync(Transaction tx, Guid agentId, CancellationToken ct) =>
        await tx.FindAsync<PromptWording>(Sql.InUse, [agentId], ct) ?? PromptWording.BuiltIn;

    internal Task<TemplateSet?> FindAsync(Transaction tx, Guid id, CancellationToken ct) => tx.FindAsync<TemplateSet>(Sql.Find, [id], ct);

    internal Task<long> CountAsync(Transaction tx, Guid agentId, CancellationToken ct) => tx.SingleAsync<long>(Sql.Count, [agentId], ct);

    internal async Task<Page<TemplateSet>> ListAsync(Transaction tx, Guid agentId, PageRequest page, CancellationToken ct) =>
        Page<TemplateSet>.Cut(await tx.QueryAsync<TemplateSet>(Sql.List, [agentId, page.Before, page.Fetch], ct), page, set => set.Id);

    /// <summary>The latest first.</summary>
    internal Task<IReadOnlyList<TemplateSetVersion>> VersionsAsync(Transaction tx, Guid id, CancellationToken ct) => tx.QueryAsync<TemplateSetVersion>(Sql.Versions, [id], ct);

    internal Task<TemplateSetVersion?> VersionAsync(Transaction tx, Guid id, int version, CancellationToken ct) =>
        tx.FindAsync<TemplateSetVersion>(Sql.Version, [id, version], ct);

    private static class Sql
    {
        internal const string InUse =
            """
            SELECT s.id AS template_set_id, s.name, s.version, v.parts
            FROM agents.template_sets s
            JOIN agents.template_set_versions v ON v.tenant_id = s.tenant_id AND v.template_set_id = s.id AND v.version = s.version
            WHERE s.tenant_id = kernel.current_tenant_id() AND s.agent_id = $1 AND s.in_use
            """;

        internal const string Find =
            """
            SELECT s.id, s.agent_id, s.name, s.description, s.version, v.parts, s.in_use, s.created_at, s.updated_at
            FROM agents.template_sets s
            JOIN agents.template_set_versions v ON v.tenant_id = s.tenant_id AND v.template_set_id = s.id AND v.version = s.version
            WHERE s.tenant_id = kernel.current_tenant_id() AND s.id = $1 AND s.deleted_at IS NULL
            """;

        internal const string List =
            """
            SELECT s.id, s.agent_id, s.name, s.description, s.version, v.parts, s.in_use, s.created_at, s.updated_at
            FROM agents.template_sets s
            JOIN agents.template_set_versions v ON v.tenant_id = s.tenant_id AND v.template_set_id = s.id AND v.version = s.version
            WHERE s.tenant_id = kernel.current_tenant_id() AND s.agent_id = $1 AND s.deleted_at IS NULL AND ($2::uuid IS NULL OR s.id < $2)
            ORDER BY s.id DESC LIMIT $3
            """;

        internal const string Count =
            "SELECT count(*) FROM agents.template_sets WHERE tenant_id = kernel.current_tenant_id() AND agent_id = $1 AND deleted_at IS NULL";

        internal const string Versions =
            """
            SELECT template_set_id, version, parts, created_at FROM agents.template_set_versions
            WHERE tenant_id = kernel.current_tenant_id() AND template_set_id = $1 ORDER BY version DESC LIMIT 200
            """;

        internal const string Version =
            """
            SELECT template_set_id, version, parts, created_at FROM agents.template_set_versions
            WHERE tenant_id = kernel.current_tenant_id() AND template_set_id = $1 AND version = $2
            """;
    }
}
