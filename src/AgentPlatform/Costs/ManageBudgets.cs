using AgentPlatform.Api;
using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Tenancy;

namespace AgentPlatform.Costs;

/// <summary>
/// A budget as it shall be. US dollars; null: no limit for that period. Alerts begin at <see cref="AlertThreshold"/> percent (80).
/// <see cref="AutoStopOnLimit"/> (true): what would go past a limit is refused; false: it goes on, with alerts.
/// </summary>
public sealed record BudgetInput(decimal? DailyBudget, decimal? WeeklyBudget, decimal? MonthlyBudget, int? AlertThreshold = null, bool? IsActive = null, bool? AutoStopOnLimit = null);

/// <summary>What operators do to budgets: set them, look at them, lift them.</summary>
internal sealed class ManageBudgets(Database database, AgentDirectory agents, BudgetAlerts alerts, EventStore events, TimeProvider clock)
{
    private const decimal Most = 1_000_000;

    /// <summary>Of the tenant when <paramref name="agentId"/> is null. What was spent before stays spent.</summary>
    internal async Task<Result<Budget>> SetAsync(Actor actor, Guid? agentId, BudgetInput input, IfMatch ifMatch, CancellationToken ct)
    {
        if (Check(input) is { } invalid)
        {
            return invalid;
        }

        await using var tx = database.Begin(actor);
        if (agentId is { } agent && await agents.FindAsync(tx, agent, ct) is null)
        {
            return Problem.NotFound("agent");
        }

        // Who names a version means one that is there.
        if (ifMatch.Tags is { Count: > 0 } && (await tx.FindAsync<DateTimeOffset?>(Sql.LockOf, [agentId], ct) is { } known ? ifMatch.Check(known) : Problem.PreconditionFailed()) is { } stale)
        {
            return stale;
        }

        var (day, week, month) = BudgetPeriods.At(clock.GetUtcNow());
        var id = await tx.SingleAsync<Guid>(
            Sql.Set,
            [clock.NewId(), agentId, input.DailyBudget, input.WeeklyBudget, input.MonthlyBudget, input.AlertThreshold ?? 80, input.IsActive ?? true, input.AutoStopOnLimit ?? true, day, week, month],
            ct);
        events.Append(tx, new NewEvent("budget.set", "budget", id, new { agent_id = agentId, input.DailyBudget, input.WeeklyBudget, input.MonthlyBudget }));
        // A limit that is set below what is spent already is reached with that.
        var set = (await FindAsync(tx, id, ct))!;
        await alerts.RaiseAsync(tx, set, [.. set.Reached()], ct);
        var budget = await FindAsync(tx, id, ct);
        await tx.CommitAsync(ct);
        return budget!;
    }

    internal async Task<Result<Budget>> FindAsync(Actor actor, Guid id, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        return (await FindAsync(tx, id, ct)).OrNotFound("budget");
    }

    internal async Task<Result<Guid>> LiftAsync(Actor actor, Guid id, IfMatch ifMatch, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        if (await tx.FindAsync<DateTimeOffset?>(Sql.Lock, [id], ct) is not { } known)
        {
            return Problem.NotFound("budget");
        }

        if (ifMatch.Check(known) is { } stale)
        {
            return stale;
        }

        tx.Post(Sql.Lift, id);
        events.Append(tx, new NewEvent("budget.lifted", "budget", id, new { }));
        await tx.CommitAsync(ct);
        return id;
    }

    internal async Task<Page<Budget>> ListAsync(Transaction tx, PageRequest page, CancellationToken ct)
    {
        var (day, week, month) = BudgetPeriods.At(clock.GetUtcNow());
        return Page<Budget>.Cut(await tx.QueryAsync<Budget>(Sql.List, [page.Before, page.Fetch, day, week, month, null], ct), page, b => b.Id);
    }

    internal static async Task<Page<StoredReservation>> ReservationsAsync(Transaction tx, string? status, PageRequest page, CancellationToken ct) =>
        Page<StoredReservation>.Cut(await tx.QueryAsync<StoredReservation>(Sql.Reservations, [status, page.Before, page.Fetch], ct), page, r => r.Id);

    private async Task<Budget?> FindAsync(Transaction tx, Guid id, CancellationToken ct)
    {
        var (day, week, month) = BudgetPeriods.At(clock.GetUtcNow());
        return await tx.FindAsync<Budget>(Sql.List, [null, 1, day, week, month, id], ct);
    }

    private static Problem? Check(BudgetInput input) => new Validation()
        .Check("daily_budget", Fits(input.DailyBudget), Range)
        .Check("weekly_budget", Fits(input.WeeklyBudget), Range)
        .Check("monthly_budget", Fits(input.MonthlyBudget), Range)
        .Check("alert_threshold", input.AlertThreshold is null or (>= 1 and <= 100), "Must be 1 to 100 percent.")
        .Problem;

    private const string Range = "Must be 0.01 to 1000000 dollars, to the cent.";

    private static bool Fits(decimal? dollars) => dollars is null || (dollars is >= 0.01m and <= Most && decimal.Round(dollars.Value, 2) == dollars);

    private static class Sql
    {
        internal const string Set =
            """
            INSERT INTO costs.cost_budgets (tenant_id, id, agent_id, daily_budget, weekly_budget, monthly_budget, alert_threshold, is_active, auto_stop_on_limit,
                                            daily_period_start, weekly_period_start, monthly_period_start)
            VALUES (kernel.current_tenant_id(), $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
            ON CONFLICT ON CONSTRAINT one_budget_each DO UPDATE
            SET daily_budget = excluded.daily_budget, weekly_budget = excluded.weekly_budget, monthly_budget = excluded.monthly_budget,
                alert_threshold = excluded.alert_threshold, is_active = excluded.is_active, auto_stop_on_limit = excluded.auto_stop_on_limit
            RETURNING id
            """;

        // A period that is over has no spend any more; the row learns of it with the next settlement.
        internal const string List =
            """
            SELECT id, agent_id, daily_budget, weekly_budget, monthly_budget, alert_threshold,
                   CASE WHEN daily_period_start = $3 THEN current_daily_spend ELSE 0 END AS current_daily_spend,
                   CASE WHEN weekly_period_start = $4 THEN current_weekly_spend ELSE 0 END AS current_weekly_spend,
                   CASE WHEN monthly_period_start = $5 THEN current_monthly_spend ELSE 0 END AS current_monthly_spend,
                   budget_reserved, is_active, auto_stop_on_limit, last_alert_sent,
                   CASE WHEN daily_period_start = $3 THEN alerts_sent_today ELSE 0 END AS alerts_sent_today,
                   $3::date AS daily_period_start, $4::date AS weekly_period_start, $5::date AS monthly_period_start, created_at, updated_at
            FROM costs.cost_budgets
            WHERE tenant_id = kernel.current_tenant_id() AND ($1::uuid IS NULL OR id < $1) AND ($6::uuid IS NULL OR id = $6)
            ORDER BY id DESC LIMIT $2
            """;

        internal const string Lock = "SELECT updated_at FROM costs.cost_budgets WHERE tenant_id = kernel.current_tenant_id() AND id = $1 FOR UPDATE";

        internal const string LockOf =
            "SELECT updated_at FROM costs.cost_budgets WHERE tenant_id = kernel.current_tenant_id() AND agent_id IS NOT DISTINCT FROM $1::uuid FOR UPDATE";

        internal const string Lift = "DELETE FROM costs.cost_budgets WHERE tenant_id = kernel.current_tenant_id() AND id = $1";

        internal const string Reservations =
            """
            SELECT id, agent_id, purpose, amount, status, actual, expires_at, created_at, updated_at
            FROM costs.budget_reservations
            WHERE tenant_id = kernel.current_tenant_id() AND ($1::text IS NULL OR status = $1) AND ($2::uuid IS NULL OR id < $2)
            ORDER BY id DESC LIMIT $3
            """;
    }
}
