using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Tenancy;

/// <summary>Finds the agents of the transaction's tenant, with their configuration.</summary>
public sealed class AgentDirectory(TimeProvider clock)
{
    /// <summary>The agent, whether enabled or not; null when there is none or it was deleted.</summary>
    public Task<Agent?> FindAsync(Transaction tx, Guid agentId, CancellationToken ct) =>
        tx.FindAsync<Agent>(Sql.Find, [tx.TenantId, agentId], ct);

    /// <summary>
    /// The tenant's oldest enabled agent, or its oldest disabled one when all are switched off: the caller decides what that means.
    /// A tenant without any gets one named "Assistant", so that a message always has a taker.
    /// </summary>
    public async Task<Agent> DefaultAsync(Transaction tx, CancellationToken ct)
    {
        if (await tx.FindAsync<Agent>(Sql.Oldest, [tx.TenantId], ct) is { } agent)
        {
            return agent;
        }

        tx.Post(Sql.Create, tx.TenantId, clock.NewId());
        return await tx.SingleAsync<Agent>(Sql.Oldest, [tx.TenantId], ct);
    }

    /// <summary>The tenant's agents, newest first, but deleted ones.</summary>
    public async Task<Page<Agent>> ListAsync(Transaction tx, PageRequest page, CancellationToken ct) =>
        Page<Agent>.Cut(await tx.QueryAsync<Agent>(Sql.List, [tx.TenantId, page.Before, page.Fetch], ct), page, agent => agent.Id);

    private static class Sql
    {
        internal const string List =
            """
            SELECT a.id, a.name, a.description, a.system_prompt, a.default_model, a.enabled, a.created_at,
                   greatest(a.updated_at, c.updated_at) AS updated_at, coalesce(c.popular_actions, '{}') AS popular_actions,
                   coalesce(c.auto_create_tasks, false) AS auto_create_tasks, coalesce(c.model_use, 'unsure') AS model_use,
                   coalesce(c.fallback_models, '{}') AS fallback_models, coalesce(c.verify_email, false) AS verify_email, coalesce(c.memory, false) AS memory
            FROM tenancy.agents a LEFT JOIN tenancy.instance_configs c ON c.tenant_id = a.tenant_id AND c.agent_id = a.id
            WHERE a.tenant_id = $1 AND a.deleted_at IS NULL AND ($2::uuid IS NULL OR a.id < $2)
            ORDER BY a.id DESC LIMIT $3
            """;

        internal const string Find =
            """
            SELECT a.id, a.name, a.description, a.system_prompt, a.default_model, a.enabled, a.created_at,
                   greatest(a.updated_at, c.updated_at) AS updated_at, coalesce(c.popular_actions, '{}') AS popular_actions,
                   coalesce(c.auto_create_tasks, false) AS auto_create_tasks, coalesce(c.model_use, 'unsure') AS model_use,
                   coalesce(c.fallback_models, '{}') AS fallback_models, coalesce(c.verify_email, false) AS verify_email, coalesce(c.memory, false) AS memory
            FROM tenancy.agents a LEFT JOIN tenancy.instance_configs c ON c.tenant_id = a.tenant_id AND c.agent_id = a.id
            WHERE a.tenant_id = $1 AND a.id = $2 AND a.deleted_at IS NULL
            """;

        internal const string Oldest =
            """
            SELECT a.id, a.name, a.description, a.system_prompt, a.default_model, a.enabled, a.created_at,
                   greatest(a.updated_at, c.updated_at) AS updated_at, coalesce(c.popular_actions, '{}') AS popular_actions,
                   coalesce(c.auto_create_tasks, false) AS auto_create_tasks, coalesce(c.model_use, 'unsure') AS model_use,
                   coalesce(c.fallback_models, '{}') AS fallback_models, coalesce(c.verify_email, false) AS verify_email, coalesce(c.memory, false) AS memory
            FROM tenancy.agents a LEFT JOIN tenancy.instance_configs c ON c.tenant_id = a.tenant_id AND c.agent_id = a.id
            WHERE a.tenant_id = $1 AND a.deleted_at IS NULL
            ORDER BY a.enabled DESC, a.created_at, a.id
            LIMIT 1
            """;

        internal const string Create =
            """
            INSERT INTO tenancy.agents (tenant_id, id, name) VALUES ($1, $2, 'Assistant')
            ON CONFLICT (tenant_id, name) WHERE deleted_at IS NULL DO NOTHING
            """;
    }
}
