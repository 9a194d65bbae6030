using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Agents.Plans;

/// <summary>Reads migration plans.</summary>
public sealed class PlanStore
{
    public Task<MigrationPlan?> FindAsync(Transaction tx, Guid id, CancellationToken ct) => tx.FindAsync<MigrationPlan>(Sql.Find, [id], ct);

    internal Task<MigrationPlan?> LockAsync(Transaction tx, Guid id, CancellationToken ct) => tx.FindAsync<MigrationPlan>(Sql.Lock, [id], ct);

    internal async Task<Page<MigrationPlan>> ListAsync(Transaction tx, Guid scenarioId, PageRequest page, CancellationToken ct) =>
        Page<MigrationPlan>.Cut(await tx.QueryAsync<MigrationPlan>(Sql.List, [scenarioId, page.Before, page.Fetch], ct), page, plan => plan.Id);

    private static class Sql
    {
        internal const string Find =
            """
            SELECT id, scenario_id, from_version, to_version, status, transformation_map, anchor_policies, scope_filter, sessions_marked,
                   created_at, updated_at, approved_at, deployed_at, rejected_at
            FROM agents.migration_plans WHERE tenant_id = kernel.current_tenant_id() AND id = $1
            """;

        internal const string Lock =
            """
            SELECT id, scenario_id, from_version, to_version, status, transformation_map, anchor_policies, scope_filter, sessions_marked,
                   created_at, updated_at, approved_at, deployed_at, rejected_at
            FROM agents.migration_plans WHERE tenant_id = kernel.current_tenant_id() AND id = $1 FOR UPDATE
            """;

        internal const string List =
            """
            SELECT id, scenario_id, from_version, to_version, status, transformation_map, anchor_policies, scope_filter, sessions_marked,
                   created_at, updated_at, approved_at, deployed_at, rejected_at
            FROM agents.migration_plans
            WHERE tenant_id = kernel.current_tenant_id() AND scenario_id = $1 AND ($2::uuid IS NULL OR id < $2) ORDER BY id DESC LIMIT $3
            """;
    }
}
