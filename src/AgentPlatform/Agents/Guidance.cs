using AgentPlatform.Postgres;

namespace AgentPlatform.Agents;

/// <summary>
/// One number an agent, raised by every change of its registry, tool activations, scenarios, variables, rules, templates, template sets, instances and
/// shadows: what a host has read at a version is true while that lasts.
/// </summary>
internal sealed class Guidance
{
    /// <summary>0 before the first change.</summary>
    internal Task<long> VersionAsync(Transaction tx, Guid agentId, CancellationToken ct) => tx.SingleAsync<long>(Sql.Version, [agentId], ct);

    /// <summary>
    /// With the next round trip. From then to the commit no other change of the agent's guidance goes on: rules and templates, which are checked against
    /// each other, raise it before they are; the other tables raise it by a trigger.
    /// </summary>
    internal void Raise(Transaction tx, Guid agentId) => tx.Post(Sql.Raise, agentId);

    private static class Sql
    {
        internal const string Version =
            "SELECT coalesce((SELECT version FROM agents.guidance WHERE tenant_id = kernel.current_tenant_id() AND agent_id = $1), 0)";

        internal const string Raise =
            """
            INSERT INTO agents.guidance (tenant_id, agent_id) VALUES (kernel.current_tenant_id(), $1)
            ON CONFLICT (tenant_id, agent_id) DO UPDATE SET version = guidance.version + 1
            """;
    }
}

/// <summary>Hears, in the transaction of the change, that sentences an agent is to be spoken to with have changed: entries of scenarios, examples of rules.</summary>
public interface ISentenceListener
{
    void Changed(Transaction tx, Guid agentId);
}
