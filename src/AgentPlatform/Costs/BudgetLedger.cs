using AgentPlatform.Postgres;
using AgentPlatform.Work;

namespace AgentPlatform.Costs;

/// <summary>What the work of a reservation's expiry knows.</summary>
internal sealed record ExpiryWork(Guid ReservationId);

/// <summary>
/// Holds the most that something can cost against the tenant's and the agent's budget before it happens, and replaces it by what it did cost.
/// The hold is one statement under the locks of the budgets: calls at the same time cannot go past a budget together.
/// </summary>
public sealed class BudgetLedger(WorkQueue work, BudgetAlerts alerts, TimeProvider clock)
{
    internal const string ExpiryKind = "costs.expire_reservation";

    /// <summary>Null when the money is held.</summary>
    public async Task<BudgetRefusal?> HoldAsync(Transaction tx, Reservation wanted, CancellationToken ct)
    {
        var now = clock.GetUtcNow();
        var (day, week, month) = BudgetPeriods.At(now);
        var refusal = await tx.FindAsync<BudgetRefusal>(
            Sql.Hold, [wanted.Id, wanted.AgentId, wanted.Purpose, wanted.Dollars, now + wanted.ExpiresIn, day, week, month], ct);
        if (refusal is null)
        {
            work.Enqueue(tx, new NewWork(ExpiryKind, wanted.Id.ToString("n"), new ExpiryWork(wanted.Id)) { RunAt = now + wanted.ExpiresIn });
        }

        return refusal;
    }

    /// <summary>What it was held for has happened. A reservation that was freed meanwhile is settled all the same: the money is spent.</summary>
    public async Task SettleAsync(Transaction tx, Guid reservationId, decimal dollars, CancellationToken ct)
    {
        var (day, week, month) = BudgetPeriods.At(clock.GetUtcNow());
        var budgets = await tx.QueryAsync<Budget>(Sql.Settle, [reservationId, dollars, day, week, month], ct);
        foreach (var budget in budgets)
        {
            await alerts.RaiseAsync(tx, budget, [.. budget.Crossed(dollars)], ct);
        }
    }

    /// <summary>What it was held for has not happened, and cost nothing.</summary>
    public void Release(Transaction tx, Guid reservationId) => tx.Post(Sql.Free, reservationId, "released");

    internal void Expire(Transaction tx, Guid reservationId) => tx.Post(Sql.Free, reservationId, "expired");

    private static class Sql
    {
        // The rows are locked before they are looked at: the update alone would judge each budget by itself, and hold against one that
        // allows what the other refuses. A spend of a period that is over counts as nothing.
        internal const string Hold =
            """
            WITH mine AS (
                SELECT b.id, b.agent_id, b.daily_budget, b.weekly_budget, b.monthly_budget, b.auto_stop_on_limit, b.budget_reserved,
                       CASE WHEN b.daily_period_start = $6 THEN b.current_daily_spend ELSE 0 END AS daily,
                       CASE WHEN b.weekly_period_start = $7 THEN b.current_weekly_spend ELSE 0 END AS weekly,
                       CASE WHEN b.monthly_period_start = $8 THEN b.current_monthly_spend ELSE 0 END AS monthly
                FROM costs.cost_budgets AS b
                WHERE b.tenant_id = kernel.current_tenant_id() AND b.is_active AND (b.agent_id IS NULL OR b.agent_id = $2)
                ORDER BY b.id FOR UPDATE
            ), refusing AS (
                SELECT m.agent_id, p.period, p.budget, p.spent, m.budget_reserved AS reserved
                FROM mine AS m
                CROSS JOIN LATERAL (VALUES ('daily', m.daily_budget, m.daily), ('weekly', m.weekly_budget, m.weekly), ('monthly', m.monthly_budget, m.monthly)) AS p (period, budget, spent)
                WHERE m.auto_stop_on_limit AND p.spent + m.budget_reserved + $4 > p.budget
                ORDER BY p.budget LIMIT 1
            ), held AS (
                UPDATE costs.cost_budgets AS b SET budget_reserved = b.budget_reserved + $4
                FROM mine AS m
                WHERE b.tenant_id = kernel.current_tenant_id() AND b.id = m.id AND NOT EXISTS (SELECT FROM refusing)
            ), reserved AS (
                INSERT INTO costs.budget_reservations (tenant_id, id, agent_id, budget_ids, purpose, amount, expires_at)
                SELECT kernel.current_tenant_id(), $1, $2, ARRAY(SELECT id FROM mine), $3, $4, $5 WHERE NOT EXISTS (SELECT FROM refusing)
            )
            SELECT agent_id, period, budget, spent, reserved FROM refusing
            """;

        // Both of these lock the budgets in the order in which a hold does.
        internal const string Settle =
            """
            WITH was AS (
                SELECT id, agent_id, budget_ids, CASE WHEN status = 'open' THEN amount ELSE 0 END AS held
                FROM costs.budget_reservations
                WHERE tenant_id = kernel.current_tenant_id() AND id = $1 AND status <> 'settled'
                FOR UPDATE
            ), done AS (
                UPDATE costs.budget_reservations AS r SET status = 'settled', actual = $2
                FROM was WHERE r.tenant_id = kernel.current_tenant_id() AND r.id = was.id
            ), mine AS (
                SELECT b.id FROM costs.cost_budgets AS b CROSS JOIN was
                WHERE b.tenant_id = kernel.current_tenant_id() AND (b.agent_id IS NULL OR b.agent_id = was.agent_id)
                ORDER BY b.id FOR UPDATE OF b
            )
            UPDATE costs.cost_budgets AS b
            SET budget_reserved = b.budget_reserved - CASE WHEN b.id = ANY (was.budget_ids) THEN was.held ELSE 0 END,
                current_daily_spend = CASE WHEN b.daily_period_start = $3 THEN b.current_daily_spend ELSE 0 END + $2,
                current_weekly_spend = CASE WHEN b.weekly_period_start = $4 THEN b.current_weekly_spend ELSE 0 END + $2,
                current_monthly_spend = CASE WHEN b.monthly_period_start = $5 THEN b.current_monthly_spend ELSE 0 END + $2,
                alerts_sent_today = CASE WHEN b.daily_period_start = $3 THEN b.alerts_sent_today ELSE 0 END,
                daily_period_start = $3, weekly_period_start = $4, monthly_period_start = $5
            FROM was, mine
            WHERE b.tenant_id = kernel.current_tenant_id() AND b.id = mine.id
            RETURNING b.id, b.agent_id, b.daily_budget, b.weekly_budget, b.monthly_budget, b.alert_threshold, b.current_daily_spend, b.current_weekly_spend,
                      b.current_monthly_spend, b.budget_reserved, b.is_active, b.auto_stop_on_limit, b.last_alert_sent, b.alerts_sent_today,
                      b.daily_period_start, b.weekly_period_start, b.monthly_period_start, b.created_at, b.updated_at
            """;

        internal const string Free =
            """
            WITH freed AS (
                UPDATE costs.budget_reservations SET status = $2
                WHERE tenant_id = kernel.current_tenant_id() AND id = $1 AND status = 'open'
                RETURNING budget_ids, amount
            ), mine AS (
                SELECT b.id, freed.amount FROM costs.cost_budgets AS b JOIN freed ON b.id = ANY (freed.budget_ids)
                WHERE b.tenant_id = kernel.current_tenant_id()
                ORDER BY b.id FOR UPDATE OF b
            )
            UPDATE costs.cost_budgets AS b SET budget_reserved = b.budget_reserved - mine.amount
            FROM mine WHERE b.tenant_id = kernel.current_tenant_id() AND b.id = mine.id
            """;
    }
}

/// <summary>Frees what is still held when its time is over: whoever held it has died.</summary>
internal sealed class ExpireReservation(Database database, BudgetLedger budgets) : IWorkHandler
{
    public async Task<WorkOutcome> HandleAsync(WorkItem item, CancellationToken ct)
    {
        await using var tx = database.Begin(Actor.System(item.TenantId));
        budgets.Expire(tx, item.Read<ExpiryWork>().ReservationId);
        item.Settle(tx, new WorkOutcome.Done());
        await tx.CommitAsync(ct);
        return WorkOutcome.Settled;
    }
}
