namespace AgentPlatform.Costs;

/// <summary>
/// What may be spent in a day, a week and a month (UTC, weeks from Monday), in US dollars; null: no limit. The tenant's when
/// <see cref="AgentId"/> is null. <see cref="BudgetReserved"/> is held for calls under way.
/// </summary>
public sealed record Budget(
    Guid Id, Guid? AgentId, decimal? DailyBudget, decimal? WeeklyBudget, decimal? MonthlyBudget, int AlertThreshold,
    decimal CurrentDailySpend, decimal CurrentWeeklySpend, decimal CurrentMonthlySpend, decimal BudgetReserved, bool IsActive, bool AutoStopOnLimit,
    DateTimeOffset? LastAlertSent, int AlertsSentToday, DateOnly DailyPeriodStart, DateOnly WeeklyPeriodStart, DateOnly MonthlyPeriodStart,
    DateTimeOffset CreatedAt, DateTimeOffset UpdatedAt)
{
    /// <summary>The shares of the budget that are reached: the threshold and the whole, of each period that has a limit.</summary>
    internal IEnumerable<Crossing> Reached()
    {
        var periods = new[]
        {
            ("daily", DailyPeriodStart, DailyBudget, CurrentDailySpend), ("weekly", WeeklyPeriodStart, WeeklyBudget, CurrentWeeklySpend),
            ("monthly", MonthlyPeriodStart, MonthlyBudget, CurrentMonthlySpend),
        };
        foreach (var (period, start, budget, spent) in periods)
        {
            foreach (var percent in new[] { AlertThreshold, 100 }.Distinct())
            {
                if (IsActive && budget is { } limit && spent >= limit * percent / 100)
                {
                    yield return new(period, start, percent, limit, spent);
                }
            }
        }
    }

    /// <summary>Those of them that the last <paramref name="cost"/> has reached, and that nothing had before.</summary>
    internal IEnumerable<Crossing> Crossed(decimal cost) => Reached().Where(share => share.Spent - cost < share.Budget * share.Percent / 100);
}

/// <summary>A period's spend has reached a share of its budget.</summary>
internal sealed record Crossing(string Period, DateOnly PeriodStart, int Percent, decimal Budget, decimal Spent);

/// <summary>The days (UTC) on which the periods of a moment began.</summary>
internal sealed record BudgetPeriods(DateOnly Day, DateOnly Week, DateOnly Month)
{
    internal static BudgetPeriods At(DateTimeOffset now)
    {
        var day = DateOnly.FromDateTime(now.UtcDateTime);
        return new(day, day.AddDays(-(((int)day.DayOfWeek + 6) % 7)), new(day.Year, day.Month, 1));
    }
}

/// <summary>Money for something that is about to happen. Dollars: the most it can cost. ExpiresIn: when it must be over, or its host has died.</summary>
public sealed record Reservation(Guid Id, Guid AgentId, string Purpose, decimal Dollars, TimeSpan ExpiresIn);

/// <summary>Why money was not held: the tenant's budget, or the agent's, would be exceeded. Period: <c>daily</c>, <c>weekly</c> or <c>monthly</c>.</summary>
public sealed record BudgetRefusal(Guid? AgentId, string Period, decimal Budget, decimal Spent, decimal Reserved);

/// <summary>A reservation as the API shows it. Status: <c>open</c>, <c>settled</c>, <c>released</c> or <c>expired</c>.</summary>
public sealed record StoredReservation(
    Guid Id, Guid AgentId, string Purpose, decimal Amount, string Status, decimal? Actual, DateTimeOffset ExpiresAt, DateTimeOffset CreatedAt, DateTimeOffset UpdatedAt);
