using AgentPlatform.Postgres;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Schedules;

/// <summary>
/// Moves tasks that were completed or cancelled longer ago than <see cref="SchedulesOptions.TaskRetentionDays"/> to
/// <c>schedules.archived_agent_tasks</c>. Failed tasks stay: their dead work item can still be redriven.
/// </summary>
public sealed class TaskArchive(Database database, TimeProvider clock, IOptions<SchedulesOptions> options)
{
    private const int BatchSize = 1000;

    /// <summary>Moves in batches, so that no transaction is long. Returns how many tasks moved.</summary>
    public async Task<int> RunAsync(CancellationToken ct)
    {
        var (now, total) = (clock.GetUtcNow(), 0);
        int moved;
        do
        {
            await using var tx = database.BeginWorker();
            moved = await tx.ExecuteAsync(Sql.Archive, [now.AddDays(-options.Value.TaskRetentionDays), now, BatchSize], ct);
            await tx.CommitAsync(ct);
            total += moved;
        }
        while (moved == BatchSize);
        return total;
    }

    private static class Sql
    {
        internal const string Archive =
            """
            WITH old AS (
                SELECT tenant_id, id FROM schedules.agent_tasks
                WHERE status IN ('completed', 'cancelled') AND completed_at < $1
                ORDER BY completed_at LIMIT $3
            ), gone AS (
                DELETE FROM schedules.agent_tasks t USING old WHERE t.tenant_id = old.tenant_id AND t.id = old.id
                RETURNING t.*
            )
            INSERT INTO schedules.archived_agent_tasks
                (tenant_id, id, task_type, agent_type, contact_id, context_id, context_type, scheduled_for, priority, status, retry_count, max_retries,
                 last_attempted_at, context_json, result_json, error_log, created_at, created_by, completed_at, archived_at)
            SELECT tenant_id, id, task_type, agent_type, contact_id, context_id, context_type, scheduled_for, priority, status, retry_count, max_retries,
                   last_attempted_at, context_json, result_json, error_log, created_at, created_by, completed_at, $2
            FROM gone
            """;
    }
}
