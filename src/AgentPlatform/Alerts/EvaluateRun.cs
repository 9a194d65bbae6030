using AgentPlatform.Postgres;
using AgentPlatform.Schedules.Automations;
using AgentPlatform.Work;

namespace AgentPlatform.Alerts;

/// <summary>
/// A run has ended: its task's own notice, and every rule over the task that looks for such an end, in the transaction that completes the work. The work is
/// enqueued once a run, so each rule sees it once.
/// </summary>
internal sealed class EvaluateRun(Database database, RunHistory history, RaiseAlert raise) : IWorkHandler
{
    public async Task<WorkOutcome> HandleAsync(WorkItem item, CancellationToken ct)
    {
        var run = item.Read<RunEnded>();
        await using var tx = database.Begin(Actor.System(item.TenantId));
        await raise.NoticeAsync(tx, run, ct);
        foreach (var rule in await tx.QueryAsync<AlertRule>(Sql.Rules, [run.TaskId, run.Tags.ToArray()], ct))
        {
            var share = rule.Window is { } window && run.IsFailure ? await history.ShareAsync(tx, run.TaskId, run.EndedAt - window, run.EndedAt, ct) : null;
            if (rule.Matches(run, share))
            {
                await raise.MatchAsync(tx, rule, run, ct);
            }
        }

        item.Settle(tx, new WorkOutcome.Done());
        await tx.CommitAsync(ct);
        return WorkOutcome.Settled;
    }

    private static class Sql
    {
        // In one order for all: runs that end at once lock the rules they match without waiting for each other in a circle.
        internal const string Rules =
            """
            SELECT * FROM alerts.alert_rules
            WHERE tenant_id = kernel.current_tenant_id() AND is_active AND NOT is_paused
              AND CASE target_type WHEN 'all_tasks' THEN true WHEN 'specific_tasks' THEN $1 = ANY (target_task_ids) ELSE target_tags && $2::text[] END
            ORDER BY id
            """;
    }
}
