using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Work;

namespace AgentPlatform.Costs;

/// <summary>
/// An alert as the API shows it: a share of a budget was reached in a period that began on <see cref="PeriodStart"/>. MembersTold: how many of the
/// tenant's owners and admins were written to; null until that was seen to.
/// </summary>
public sealed record BudgetAlert(
    Guid Id, Guid BudgetId, Guid? AgentId, string Period, DateOnly PeriodStart, int Percent, decimal Budget, decimal Spent, int? MembersTold, DateTimeOffset CreatedAt);

/// <summary>What those are to be told who look after a tenant's money. AgentId: whose budget it is; null: the tenant's. Stops: whether calls are refused at the limit.</summary>
public sealed record BudgetNotice(Guid AlertId, Guid? AgentId, string Period, int Percent, decimal Budget, decimal Spent, bool Stops);

/// <summary>
/// Tells once for each period that a share of a budget was reached: an event, and work for whoever can write to people. The row of the alert is the
/// flag: whatever reaches the share again in that period finds it.
/// </summary>
public sealed class BudgetAlerts(WorkQueue work, EventStore events, TimeProvider clock)
{
    /// <summary>Left for whoever can write to people.</summary>
    public const string NoticeKind = "costs.budget_notice";

    /// <summary>So many members were written to.</summary>
    public void Told(Transaction tx, Guid alertId, int members) => tx.Post(Sql.Told, alertId, members);

    internal async Task RaiseAsync(Transaction tx, Budget budget, IReadOnlyList<Crossing> reached, CancellationToken ct)
    {
        if (reached.Count == 0)
        {
            return;
        }

        var now = clock.GetUtcNow();
        var raised = await tx.QueryAsync<Raised>(
            Sql.Raise,
            [
                budget.Id, reached.Select(_ => clock.NewId()).ToArray(), reached.Select(r => r.Period).ToArray(), reached.Select(r => r.PeriodStart).ToArray(),
                reached.Select(r => r.Percent).ToArray(), reached.Select(r => r.Budget).ToArray(), reached.Select(r => r.Spent).ToArray(), now, BudgetPeriods.At(now).Day,
            ],
            ct);
        foreach (var alert in raised)
        {
            Tell(tx, budget, alert);
        }
    }

    internal static async Task<Page<BudgetAlert>> ListAsync(Transaction tx, Guid? budgetId, PageRequest page, CancellationToken ct) =>
        Page<BudgetAlert>.Cut(await tx.QueryAsync<BudgetAlert>(Sql.List, [budgetId, page.Before, page.Fetch], ct), page, a => a.Id);

    private void Tell(Transaction tx, Budget budget, Raised alert)
    {
        events.Append(tx, new NewEvent(alert.Percent == 100 ? "budget.limit_reached" : "budget.threshold_reached", "budget", budget.Id, new
        {
            alert_id = alert.Id,
            agent_id = budget.AgentId,
            period = alert.Period,
            percent = alert.Percent,
            budget = alert.Budget,
            spent = alert.Spent,
        })
        { CreatedBy = "costs" });
        work.Enqueue(tx, new NewWork(
            NoticeKind, alert.Id.ToString("n"), new BudgetNotice(alert.Id, budget.AgentId, alert.Period, alert.Percent, alert.Budget, alert.Spent, budget.AutoStopOnLimit)));
    }

    private sealed record Raised(Guid Id, string Period, int Percent, decimal Budget, decimal Spent);

    private static class Sql
    {
        // The count of today begins anew with the day, whoever comes first to a budget on it: the alert, or the settlement before it.
        internal const string Raise =
            """
            WITH raised AS (
                INSERT INTO costs.budget_alerts (tenant_id, id, budget_id, period, period_start, percent, budget, spent, created_at)
                SELECT kernel.current_tenant_id(), r.id, $1, r.period, r.period_start, r.percent, r.budget, r.spent, $8
                FROM unnest($2::uuid[], $3::text[], $4::date[], $5::integer[], $6::numeric[], $7::numeric[]) AS r (id, period, period_start, percent, budget, spent)
                ON CONFLICT ON CONSTRAINT one_alert_a_crossing DO NOTHING
                RETURNING id, period, percent, budget, spent
            ), counted AS (
                UPDATE costs.cost_budgets
                SET last_alert_sent = $8, alerts_sent_today = CASE WHEN daily_period_start = $9 THEN alerts_sent_today ELSE 0 END + (SELECT count(*) FROM raised),
                    current_daily_spend = CASE WHEN daily_period_start = $9 THEN current_daily_spend ELSE 0 END, daily_period_start = $9
                WHERE tenant_id = kernel.current_tenant_id() AND id = $1 AND EXISTS (SELECT FROM raised)
            )
            SELECT id, period, percent, budget, spent FROM raised ORDER BY id
            """;

        internal const string Told = "UPDATE costs.budget_alerts SET members_told = $2 WHERE tenant_id = kernel.current_tenant_id() AND id = $1";

        internal const string List =
            """
            SELECT a.id, a.budget_id, b.agent_id, a.period, a.period_start, a.percent, a.budget, a.spent, a.members_told, a.created_at
            FROM costs.budget_alerts a JOIN costs.cost_budgets b ON b.tenant_id = a.tenant_id AND b.id = a.budget_id
            WHERE a.tenant_id = kernel.current_tenant_id() AND ($1::uuid IS NULL OR a.budget_id = $1) AND ($2::uuid IS NULL OR a.id < $2)
            ORDER BY a.id DESC LIMIT $3
            """;
    }
}
