using AgentPlatform.Postgres;

namespace AgentPlatform.Agents;

/// <summary>One number an agent, raised by every change of its rules and templates: what a host has read at a version is true while that lasts.</summary>
internal sealed class Guidance
{
    /// <summary>Null while the agent has never had any.</summary>
    internal Task<long?> VersionAsync(Transaction tx, Guid agentId, CancellationToken ct) => tx.FindAsync<long?>(Sql.Version, [agentId], ct);

    /// <summary>With the next round trip. From then to the commit no other change of the agent's rules and templates goes on.</summary>
    internal void Raise(Transaction tx, Guid agentId) => tx.Post(Sql.Raise, agentId);

    private static class Sql
    {
        internal const string Version = "SELECT version FROM agents.guidance WHERE tenant_id = kernel.current_tenant_id() AND agent_id = $1";

        internal const string Raise =
            """
            INSERT INTO agents.guidance (tenant_id, agent_id) VALUES (kernel.current_tenant_id(), $1)
            ON CONFLICT (tenant_id, agent_id) DO UPDATE SET version = guidance.version + 1
            """;
    }
}
