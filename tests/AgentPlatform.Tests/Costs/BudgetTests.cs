using AgentPlatform.Api;
using AgentPlatform.Costs;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Tests.Conversations;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Tests.Costs;

public sealed class BudgetTests : IAsyncLifetime
{
    private static readonly DateTimeOffset Wednesday = new(2026, 3, 4, 10, 0, 0, TimeSpan.Zero);

    private readonly StillClock _clock = new(Wednesday);
    private TestPlatform _platform = null!;
    private Actor _actor = null!;
    private Guid _agent;

    public async Task InitializeAsync()
    {
        _platform = await TestPlatform.StartAsync(services => services.AddSingleton<TimeProvider>(_clock));
        var tenant = await _platform.ProvisionAsync();
        (_actor, _agent) = (Actor.System(tenant.TenantId), tenant.AgentId);
    }

    public async Task DisposeAsync() => await _platform.DisposeAsync();

    [Fact]
    [Behaviour("mk-budget-reserve")]
    public async Task What_is_spent_and_held_and_wanted_must_fit_together()
    {
        var budget = await LimitAsync(new(1.00m, null, null));
        Assert.Null((await HoldAsync(0.30m)).Refusal);
        await SettleAsync((await HoldAsync(0.30m)).Id, 0.30m);

        var refusal = (await HoldAsync(0.41m)).Refusal;

        Assert.Equal(new BudgetRefusal(null, "daily", 1.00m, 0.30m, 0.30m), refusal);
        Assert.Null((await HoldAsync(0.40m)).Refusal);
        Assert.Equal((0.30m, 0.70m), await SpentAndHeldAsync(budget));
    }

    [Fact]
    [Behaviour("mk-budget-concurrent")]
    public async Task Two_hundred_calls_at_once_never_pass_a_dollar()
    {
        var budget = await LimitAsync(new(1.00m, null, null));
        var own = (await _platform.Get<ManageBudgets>().SetAsync(_actor, _agent, new(null, null, 1.50m), IfMatch.Any, default)).Value.Id;

        var held = await Task.WhenAll(Enumerable.Range(0, 200).Select(_ => HoldAsync(0.03m)));
        var passed = held.Where(h => h.Refusal is null).ToList();
        await Task.WhenAll(passed.Select(h => SettleAsync(h.Id, 0.03m)));

        Assert.Equal(33, passed.Count);
        Assert.Equal((0.99m, 0m), await SpentAndHeldAsync(budget));
        Assert.Equal((0.99m, 0m), await SpentAndHeldAsync(own));
    }

    [Fact]
    public async Task A_hold_against_two_budgets_is_a_hold_against_both_or_none()
    {
        var budget = await LimitAsync(new(10.00m, null, null));
        await _platform.Get<ManageBudgets>().SetAsync(_actor, _agent, new(0.10m, null, null), IfMatch.Any, default);

        Assert.Equal(_agent, (await HoldAsync(0.20m)).Refusal!.AgentId);

        Assert.Equal((0m, 0m), await SpentAndHeldAsync(budget));
    }

    [Fact]
    public async Task Money_that_is_not_needed_is_free_again_and_nothing_is_freed_twice()
    {
        var budget = await LimitAsync(new(1.00m, null, null));
        var (released, expired) = ((await HoldAsync(0.25m)).Id, (await HoldAsync(0.50m)).Id);
        await _platform.AsAsync(_actor, tx =>
        {
            _platform.Get<BudgetLedger>().Release(tx, released);
            _platform.Get<BudgetLedger>().Release(tx, released);
            return Task.CompletedTask;
        });
        Assert.Equal((0m, 0.50m), await SpentAndHeldAsync(budget));

        await _platform.Postgres.ScalarAsync<long>("WITH due AS (UPDATE work.items SET run_at = now() WHERE kind = 'costs.expire_reservation' RETURNING 1) SELECT count(*) FROM due");
        await _platform.DrainAsync();
        Assert.Equal((0m, 0m), await SpentAndHeldAsync(budget));

        // The host was not dead, only slow: what it spent is spent.
        await SettleAsync(expired, 0.40m);
        await SettleAsync(expired, 0.40m);
        Assert.Equal((0.40m, 0m), await SpentAndHeldAsync(budget));
    }

    [Fact]
    [Behaviour("bb-budget-accumulate", "bb-budget-reset")]
    public async Task Spends_add_up_by_day_week_and_month_and_begin_anew_with_them()
    {
        var budget = await LimitAsync(new(100, 100, 100));
        await SpendAsync(1.25m);
        await SpendAsync(0.75m);
        Assert.Equal((2.00m, 2.00m, 2.00m), await SpendsAsync(budget));

        _clock.Advance(TimeSpan.FromDays(1));
        Assert.Equal((0m, 2.00m, 2.00m), await SpendsAsync(budget));
        await SpendAsync(3);
        Assert.Equal((3m, 5m, 5m), await SpendsAsync(budget));

        _clock.Advance(TimeSpan.FromDays(4));
        await SpendAsync(4);
        Assert.Equal((4m, 4m, 9m), await SpendsAsync(budget));

        _clock.Advance(TimeSpan.FromDays(22) + TimeSpan.FromHours(14));
        await SpendAsync(5);
        Assert.Equal((5m, 5m, 5m), await SpendsAsync(budget));
    }

    [Fact]
    [Behaviour("bb-budget-auto-stop")]
    public async Task At_its_limit_a_budget_refuses_or_only_tells()
    {
        var budget = await LimitAsync(new(1.00m, null, null));
        await SpendAsync(1.00m);
        Assert.NotNull((await HoldAsync(0.01m)).Refusal);

        await LimitAsync(new(1.00m, null, null, AutoStopOnLimit: false));
        Assert.Null((await HoldAsync(0.50m)).Refusal);
        await SpendAsync(0.50m);

        Assert.Equal(1.50m, (await SpentAndHeldAsync(budget)).Spent);
        Assert.Equal(["budget.threshold_reached", "budget.limit_reached"], await AlertsAsync(budget));
    }

    [Fact]
    [Behaviour("bb-budget-inactive")]
    public async Task A_budget_that_is_off_and_a_period_without_one_have_no_limit()
    {
        var budget = await LimitAsync(new(0.01m, null, null, IsActive: false));
        Assert.Null((await HoldAsync(50)).Refusal);
        await SpendAsync(50);
        Assert.Empty(await AlertsAsync(budget));

        await LimitAsync(new(null, null, 1000));
        Assert.Null((await HoldAsync(50)).Refusal);
        Assert.Equal("monthly", (await HoldAsync(1000)).Refusal!.Period);
    }

    [Fact]
    public async Task A_share_of_a_budget_is_told_of_once_in_a_period()
    {
        var budget = await LimitAsync(new(10, null, null, AlertThreshold: 50));
        await SpendAsync(4.99m);
        Assert.Empty(await AlertsAsync(budget));
        await SpendAsync(0.01m);
        await SpendAsync(1);
        Assert.Equal(["budget.threshold_reached"], await AlertsAsync(budget));
        Assert.Equal((1, DateOnly.FromDateTime(Wednesday.Date)), await AlertedAsync(budget));

        _clock.Advance(TimeSpan.FromDays(1));
        await SpendAsync(6);
        Assert.Equal(["budget.threshold_reached", "budget.threshold_reached"], await AlertsAsync(budget));
        Assert.Equal((1, DateOnly.FromDateTime(Wednesday.Date.AddDays(1))), await AlertedAsync(budget));
    }

    private async Task<Guid> LimitAsync(BudgetInput input)
    {
        var set = await _platform.Get<ManageBudgets>().SetAsync(_actor, agentId: null, input, IfMatch.Any, default);
        Assert.True(set.IsOk, Json.Text(set.Problem));
        return set.Value.Id;
    }

    private async Task<(Guid Id, BudgetRefusal? Refusal)> HoldAsync(decimal dollars)
    {
        var id = _clock.NewId();
        return (id, await _platform.AsAsync(_actor, tx => _platform.Get<BudgetLedger>().HoldAsync(tx, new Reservation(id, _agent, "reply", dollars, TimeSpan.FromMinutes(1)), default)));
    }

    private Task SettleAsync(Guid id, decimal dollars) => _platform.AsAsync(_actor, tx => _platform.Get<BudgetLedger>().SettleAsync(tx, id, dollars, default));

    private async Task SpendAsync(decimal dollars)
    {
        var (id, refusal) = await HoldAsync(dollars);
        Assert.Null(refusal);
        await SettleAsync(id, dollars);
    }

    private async Task<Budget> BudgetAsync(Guid id) => (await _platform.Get<ManageBudgets>().FindAsync(_actor, id, default)).Value;

    private async Task<(decimal Spent, decimal Held)> SpentAndHeldAsync(Guid id) =>
        await BudgetAsync(id) is { } b ? (Math.Max(b.CurrentDailySpend, b.CurrentMonthlySpend), b.BudgetReserved) : default;

    private async Task<(decimal Day, decimal Week, decimal Month)> SpendsAsync(Guid id) =>
        await BudgetAsync(id) is { } b ? (b.CurrentDailySpend, b.CurrentWeeklySpend, b.CurrentMonthlySpend) : default;

    private async Task<(int Today, DateOnly Last)> AlertedAsync(Guid id) => await BudgetAsync(id) is { } b ? (b.AlertsSentToday, DateOnly.FromDateTime(b.LastAlertSent!.Value.UtcDateTime)) : default;

    private Task<IReadOnlyList<string>> AlertsAsync(Guid id) => _platform.AsAsync(_actor, tx =>
        tx.QueryAsync<string>("SELECT event_type FROM events.events WHERE aggregate_id = $1 AND event_type LIKE 'budget.%_reached' ORDER BY version", [id], default));
}
