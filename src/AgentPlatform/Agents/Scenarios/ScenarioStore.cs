using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Agents.Scenarios;

/// <summary>An earlier version of a scenario, whole.</summary>
public sealed record ArchivedScenario(Guid ScenarioId, int Version, System.Text.Json.JsonElement ScenarioData, DateTimeOffset ArchivedAt);

/// <summary>Reads scenarios, the live versions and the earlier ones.</summary>
public sealed class ScenarioStore
{
    /// <summary>The agent's live scenarios, switched off ones too, newest first.</summary>
    public Task<IReadOnlyList<Scenario>> OfAgentAsync(Transaction tx, Guid agentId, CancellationToken ct) =>
        tx.QueryAsync<Scenario>(Sql.OfAgent, [agentId], ct);

    /// <summary>That very version, wherever it is kept: a talk that began with it goes on with it, also after the scenario was deleted.</summary>
    public Task<Scenario?> FindVersionAsync(Transaction tx, Guid scenarioId, int version, CancellationToken ct) =>
        tx.FindAsync<Scenario>(Sql.Version, [scenarioId, version], ct);

    internal Task<Scenario?> FindAsync(Transaction tx, Guid id, CancellationToken ct) => tx.FindAsync<Scenario>(Sql.Find, [id], ct);

    internal Task<Scenario?> LockAsync(Transaction tx, Guid id, CancellationToken ct) => tx.FindAsync<Scenario>(Sql.Lock, [id], ct);

    internal async Task<Page<Scenario>> ListAsync(Transaction tx, Guid agentId, PageRequest page, CancellationToken ct) =>
        Page<Scenario>.Cut(await tx.QueryAsync<Scenario>(Sql.List, [agentId, page.Before, page.Fetch], ct), page, scenario => scenario.Id);

    /// <summary>The earlier versions, the latest first.</summary>
    internal Task<IReadOnlyList<ArchivedScenario>> ArchivesAsync(Transaction tx, Guid id, CancellationToken ct) =>
        tx.QueryAsync<ArchivedScenario>(Sql.Archives, [id], ct);

    internal Task<ArchivedScenario?> ArchiveAsync(Transaction tx, Guid id, int version, CancellationToken ct) =>
        tx.FindAsync<ArchivedScenario>(Sql.Archived, [id, version], ct);

    private static class Sql
    {
        internal const string OfAgent =
            """
            SELECT id, agent_id, name, description, version, entry_condition, steps, enabled, created_at, updated_at
            FROM agents.scenarios WHERE tenant_id = kernel.current_tenant_id() AND agent_id = $1 AND deleted_at IS NULL ORDER BY id DESC
            """;

        internal const string List =
            """
            SELECT id, agent_id, name, description, version, entry_condition, steps, enabled, created_at, updated_at
            FROM agents.scenarios
            WHERE tenant_id = kernel.current_tenant_id() AND agent_id = $1 AND deleted_at IS NULL AND ($2::uuid IS NULL OR id < $2)
            ORDER BY id DESC LIMIT $3
            """;

        internal const string Find =
            """
            SELECT id, agent_id, name, description, version, entry_condition, steps, enabled, created_at, updated_at
            FROM agents.scenarios WHERE tenant_id = kernel.current_tenant_id() AND id = $1 AND deleted_at IS NULL
            """;

        internal const string Lock =
            """
            SELECT id, agent_id, name, description, version, entry_condition, steps, enabled, created_at, updated_at
            FROM agents.scenarios WHERE tenant_id = kernel.current_tenant_id() AND id = $1 AND deleted_at IS NULL FOR UPDATE
            """;

        internal const string Version =
            """
            SELECT id, agent_id, name, description, version, entry_condition, steps, enabled, created_at, updated_at
            FROM agents.scenarios WHERE tenant_id = kernel.current_tenant_id() AND id = $1 AND version = $2
            UNION ALL
            SELECT s.id, s.agent_id, old.name, old.description, old.version, old.entry_condition, old.steps, old.enabled, s.created_at, a.archived_at
            FROM agents.scenario_archives a
            JOIN agents.scenarios s ON s.tenant_id = a.tenant_id AND s.id = a.scenario_id,
            jsonb_populate_record(NULL::agents.scenarios, a.scenario_data) old
            WHERE a.tenant_id = kernel.current_tenant_id() AND a.scenario_id = $1 AND a.version = $2
            """;

        internal const string Archives =
            """
            SELECT scenario_id, version, scenario_data, archived_at FROM agents.scenario_archives
            WHERE tenant_id = kernel.current_tenant_id() AND scenario_id = $1 ORDER BY version DESC LIMIT 200
            """;

        internal const string Archived =
            """
            SELECT scenario_id, version, scenario_data, archived_at FROM agents.scenario_archives
            WHERE tenant_id = kernel.current_tenant_id() AND scenario_id = $1 AND version = $2
            """;
    }
}
