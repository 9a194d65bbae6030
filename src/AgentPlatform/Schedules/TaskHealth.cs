using AgentPlatform.Operations;
using AgentPlatform.Postgres;

namespace AgentPlatform.Schedules;

/// <summary>How many tasks of agents there are, and how many wait.</summary>
internal sealed class TaskHealth : IHealthSource
{
    public Task<IReadOnlyList<HealthFact>> ReadAsync(Transaction tx, CancellationToken ct) => tx.QueryAsync<HealthFact>(Sql.Facts, [HealthFact.Most], ct);

    private static class Sql
    {
        internal const string Facts =
            """
            SELECT 'agent_tasks' AS name, (SELECT count(*) FROM (SELECT FROM schedules.agent_tasks LIMIT $1) AS t) AS count, NULL::timestamptz AS oldest
            UNION ALL
            SELECT 'agent_tasks_pending', schedules.get_pending_tasks_count(), (SELECT min(scheduled_for) FROM schedules.agent_tasks WHERE status = 'pending')
            """;
    }
}
