using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Tenancy.Instances;

/// <summary>Finds what runs of the transaction's tenant's agents.</summary>
public sealed class InstanceDirectory(TimeProvider clock)
{
    /// <summary>The agent's active instances, of all roles.</summary>
    public Task<IReadOnlyList<AgentInstance>> ActiveAsync(Transaction tx, Guid agentId, CancellationToken ct) => tx.QueryAsync<AgentInstance>(Sql.Active, [agentId], ct);

    /// <summary>The role's first instance, deployed now unless another host was faster. The agent is as it was configured.</summary>
    public Task<AgentInstance> DeployAsync(Transaction tx, Guid agentId, string agentType, CancellationToken ct)
    {
        tx.Post(Sql.Deploy, clock.NewId(), agentId, agentType, AgentInstance.Primary);
        return tx.SingleAsync<AgentInstance>(Sql.First, [agentId, agentType], ct);
    }

    /// <summary>It takes a turn. Written once a minute, and never waited for.</summary>
    public void Touch(Transaction tx, Guid id, DateTimeOffset at) => tx.Post(Sql.Touch, id, at.ToUniversalTime());

    /// <summary>Terminated ones too.</summary>
    public Task<IReadOnlyList<AgentInstance>> LatestAsync(Transaction tx, Guid agentId, int most, CancellationToken ct) => tx.QueryAsync<AgentInstance>(Sql.List, [agentId, null, most], ct);

    /// <summary>Terminated ones too, newest first.</summary>
    internal async Task<Page<AgentInstance>> ListAsync(Transaction tx, Guid agentId, PageRequest page, CancellationToken ct) =>
        Page<AgentInstance>.Cut(await tx.QueryAsync<AgentInstance>(Sql.List, [agentId, page.Before, page.Fetch], ct), page, instance => instance.Id);

    internal Task<AgentInstance?> FindAsync(Transaction tx, Guid id, CancellationToken ct) => tx.FindAsync<AgentInstance>(Sql.Find, [id], ct);

    internal Task<AgentInstance?> LockAsync(Transaction tx, Guid id, CancellationToken ct) => tx.FindAsync<AgentInstance>(Sql.Lock, [id], ct);

    private static class Sql
    {
        internal const string Active =
            """
            SELECT id, agent_id, agent_type, name, weight, config_json, template_set_id, prompt_version, status, last_active_at, created_at, updated_at, terminated_at
            FROM tenancy.agent_instances WHERE tenant_id = kernel.current_tenant_id() AND agent_id = $1 AND status = 'active' ORDER BY id
            """;

        internal const string Deploy =
            """
            INSERT INTO tenancy.agent_instances (tenant_id, id, agent_id, agent_type, name) VALUES (kernel.current_tenant_id(), $1, $2, $3, $4)
            ON CONFLICT (tenant_id, agent_id, agent_type, name) WHERE status = 'active' DO NOTHING
            """;

        internal const string First =
            """
            SELECT id, agent_id, agent_type, name, weight, config_json, template_set_id, prompt_version, status, last_active_at, created_at, updated_at, terminated_at
            FROM tenancy.agent_instances
            WHERE tenant_id = kernel.current_tenant_id() AND agent_id = $1 AND agent_type = $2 AND status = 'active' ORDER BY id LIMIT 1
            """;

        // All turns of an agent would queue up behind this row.
        internal const string Touch =
            """
            UPDATE tenancy.agent_instances SET last_active_at = $2::timestamptz
            WHERE tenant_id = kernel.current_tenant_id() AND id = (
                SELECT id FROM tenancy.agent_instances
                WHERE tenant_id = kernel.current_tenant_id() AND id = $1 AND (last_active_at IS NULL OR last_active_at < $2::timestamptz - interval '1 minute')
                FOR UPDATE SKIP LOCKED)
            """;

        internal const string List =
            """
            SELECT id, agent_id, agent_type, name, weight, config_json, template_set_id, prompt_version, status, last_active_at, created_at, updated_at, terminated_at
            FROM tenancy.agent_instances
            WHERE tenant_id = kernel.current_tenant_id() AND agent_id = $1 AND ($2::uuid IS NULL OR id < $2) ORDER BY id DESC LIMIT $3
            """;

        internal const string Find =
            """
            SELECT id, agent_id, agent_type, name, weight, config_json, template_set_id, prompt_version, status, last_active_at, created_at, updated_at, terminated_at
            FROM tenancy.agent_instances WHERE tenant_id = kernel.current_tenant_id() AND id = $1
            """;

        internal const string Lock =
            """
            SELECT id, agent_id, agent_type, name, weight, config_json, template_set_id, prompt_version, status, last_active_at, created_at, updated_at, terminated_at
            FROM tenancy.agent_instances WHERE tenant_id = kernel.current_tenant_id() AND id = $1 FOR UPDATE
            """;
    }
}
