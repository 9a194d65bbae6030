using System.Text.Json;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Tenancy.Instances;

namespace AgentPlatform.Agents.Prompts;

/// <summary>Reads template sets and their versions; deleted sets are gone, their versions are not.</summary>
internal sealed class TemplateSetStore
{
    /// <summary>What the agent's model is told by: the set in use, else the built-in wording; and what instances use instead of it.</summary>
    internal async Task<AgentPrompts> OfAgentAsync(Transaction tx, Guid agentId, IReadOnlyList<AgentInstance> instances, CancellationToken ct)
    {
        var own = await tx.FindAsync<PromptWording>(Sql.InUse, [agentId], ct) ?? PromptWording.BuiltIn;
        var others = instances.Where(instance => instance.TemplateSetId is not null).ToList();
        var worded = others.Count == 0 ? []
            : await tx.QueryAsync<InstanceWording>(
                Sql.OfInstances, [others.Select(i => i.Id).ToArray(), others.Select(i => i.TemplateSetId!.Value).ToArray(), others.Select(i => i.PromptVersion ?? 0).ToArray()], ct);
        return new(own, worded.ToDictionary(w => w.InstanceId, w => new PromptWording(w.TemplateSetId, w.Name, w.Version, w.Parts)));
    }

    internal Task<TemplateSet?> FindAsync(Transaction tx, Guid id, CancellationToken ct) => tx.FindAsync<TemplateSet>(Sql.Find, [id], ct);

    internal Task<long> CountAsync(Transaction tx, Guid agentId, CancellationToken ct) => tx.SingleAsync<long>(Sql.Count, [agentId], ct);

    internal async Task<Page<TemplateSet>> ListAsync(Transaction tx, Guid agentId, PageRequest page, CancellationToken ct) =>
        Page<TemplateSet>.Cut(await tx.QueryAsync<TemplateSet>(Sql.List, [agentId, page.Before, page.Fetch], ct), page, set => set.Id);

    /// <summary>The latest first.</summary>
    internal Task<IReadOnlyList<TemplateSetVersion>> VersionsAsync(Transaction tx, Guid id, CancellationToken ct) => tx.QueryAsync<TemplateSetVersion>(Sql.Versions, [id], ct);

    internal Task<TemplateSetVersion?> VersionAsync(Transaction tx, Guid id, int version, CancellationToken ct) =>
        tx.FindAsync<TemplateSetVersion>(Sql.Version, [id, version], ct);

    private sealed record InstanceWording(Guid InstanceId, Guid TemplateSetId, string Name, int Version, JsonElement Parts);

    private static class Sql
    {
        // Version 0 stands for the set's latest.
        internal const string OfInstances =
            """
            SELECT i.id AS instance_id, s.id AS template_set_id, s.name, v.version, v.parts
            FROM unnest($1::uuid[], $2::uuid[], $3::int[]) AS i (id, template_set_id, version)
            JOIN agents.template_sets s ON s.tenant_id = kernel.current_tenant_id() AND s.id = i.template_set_id
            JOIN agents.template_set_versions v ON v.tenant_id = s.tenant_id AND v.template_set_id = s.id AND v.version = coalesce(nullif(i.version, 0), s.version)
            """;

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
