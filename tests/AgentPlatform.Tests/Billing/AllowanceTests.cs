using AgentPlatform.Api;
using AgentPlatform.Billing.Catalogue;
using AgentPlatform.Billing.Payments;
using AgentPlatform.Billing.Subscriptions;
using AgentPlatform.Billing.Usage;
using AgentPlatform.Kernel;
using AgentPlatform.Tenancy;
using AgentPlatform.Tests.Sandbox;

namespace AgentPlatform.Tests.Billing;

public sealed class AllowanceTests : IAsyncLifetime
{
    private BillingStage _stage = null!;

    public async Task InitializeAsync() => _stage = await BillingStage.StartAsync();

    public async Task DisposeAsync() => await _stage.DisposeAsync();

    [Fact]
    [Behaviour("bb-tier-seed")]
    public async Task Four_tiers_are_there_from_the_first_migration()
    {
        await using var platform = await TestPlatform.StartAsync();
        var tenant = await platform.NewTenantAsync();
        var tiers = (await platform.AsAsync(tenant, tx => platform.Get<Offers>().TiersAsync(tx, default))).Items;

        Assert.Equal(
            [("Starter", 99700, 5, 200), ("Growth", 169700, 10, 500), ("Professional", 319700, 25, 1250), ("Enterprise", 499700, 50, 3000)],
            tiers.Select(t => (t.Name, t.MonthlyPriceCents, t.MaxAgents, t.MonthlyExecutionLimit)));
    }

    [Fact]
    [Behaviour("bb-limit-executions")]
    public async Task Of_many_atOnce_only_so_many_start_as_are_left()
    {
        await StarterOfAsync(executions: 5);
        await _stage.ExecuteManyAsync(2);

        var atOnce = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => _stage.ExecuteAsync()));

        Assert.Equal(3, atOnce.Count(a => a is Allowance.Granted));
        Assert.All(atOnce.Where(a => a is not Allowance.Granted), a => Assert.Equal("All executions of the period are used.", Assert.IsType<Allowance.Refused>(a).Reason));
        Assert.Equal(5, (await _stage.UsageAsync())[0].ExecutionsUsed);

        await BuyAsync("two");
        atOnce = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => _stage.ExecuteAsync()));
        Assert.Equal(2, atOnce.Count(a => a is Allowance.Granted));
    }

    [Fact]
    public async Task Trying_again_is_the_same_execution_and_a_workspace_without_a_subscription_has_no_limit()
    {
        Assert.Equal(20, await _stage.ExecuteManyAsync(20));
        await _stage.SubscribedAsync();
        var id = TimeProvider.System.NewId();
        for (var again = 0; again < 5; again++)
        {
            Assert.IsType<Allowance.Granted>(await _stage.ExecuteAsync(id));
        }

        Assert.Equal(1, (await _stage.UsageAsync())[0].ExecutionsUsed);
    }

    [Fact]
    public async Task Where_a_subscription_is_required_nothing_runs_without_one()
    {
        await using var strict = await BillingStage.StartAsync(("Billing:SubscriptionRequired", "true"));
        Assert.IsType<Allowance.Refused>(await strict.ExecuteAsync());
        Assert.Equal("subscription_required", (await strict.Get<ManageAgents>().CreateAsync(strict.Owner, new AgentInput("A", null, null, null, null), default)).Problem!.Code);
        await strict.SubscribedAsync();
        Assert.IsType<Allowance.Granted>(await strict.ExecuteAsync());
    }

    [Fact]
    [Behaviour("bb-limit-concurrent-agents")]
    public async Task No_more_agents_are_at_work_and_none_is_created_past_what_was_bought()
    {
        await _stage.SubscribedAsync();
        Assert.IsType<Allowance.Wait>(await _stage.ExecuteAsync(busy: 1));
        Assert.IsType<Allowance.Granted>(await _stage.ExecuteAsync(busy: 0));

        var created = await Task.WhenAll(Enumerable.Range(0, 5).Select(CreateAgentAsync));
        Assert.Single(created, c => c.IsOk);
        Assert.All(created.Where(c => !c.IsOk), c => Assert.Equal("agent_limit", c.Problem!.Code));
        Assert.Equal((1, 1), ((await _stage.UsageAsync())[0].AgentsSpawned, (await _stage.UsageAsync())[0].PeakConcurrentAgents));
    }

    [Fact]
    [Behaviour("bb-limit-duration")]
    public async Task What_runs_for_too_long_is_not_taken_up_again()
    {
        await _stage.SubscribedAsync();
        var id = TimeProvider.System.NewId();
        await _stage.ExecuteAsync(id);
        _stage.Clock.Advance(TimeSpan.FromMinutes(59));
        Assert.IsType<Allowance.Granted>(await _stage.ExecuteAsync(id));
        _stage.Clock.Advance(TimeSpan.FromMinutes(2));
        Assert.Contains("longer than 60 minutes", Assert.IsType<Allowance.Refused>(await _stage.ExecuteAsync(id)).Reason, StringComparison.Ordinal);
    }

    [Fact]
    [Behaviour("bb-addon-slots")]
    public async Task Add_ons_are_slots_for_agents_within_their_limits_and_take_them_along()
    {
        var orders = _stage.Get<OrderAddOn>();
        await _stage.SubscribedAsync("starter");
        Assert.Equal("tier_too_low", (await orders.RunAsync(_stage.Owner, new AddOnOrder("slots"), default)).Problem!.Code);
        await _stage.Get<ChangeSubscription>().CancelAsync(_stage.Owner, new CancelInput(null, Immediately: true), IfMatch.Any, default);

        await _stage.SubscribedAsync();
        Assert.Equal("add_on_limit", (await orders.RunAsync(_stage.Owner, new AddOnOrder("slots", 3), default)).Problem!.Code);
        var payment = (await orders.RunAsync(_stage.Owner, new AddOnOrder("slots", 2), default)).Value;
        Assert.Equal("add_on_limit", (await orders.RunAsync(_stage.Owner, new AddOnOrder("slots"), default)).Problem!.Code);
        Assert.Equal(2, await AgentLimitAsync());
        await _stage.WorkAsync();
        Assert.Equal((4000, "success"), (payment.Amount, (await _stage.PaymentAsync(payment.Id)).Status));
        Assert.Equal(2 + (2 * 3), await AgentLimitAsync());
        Assert.Equal(7, await CreateAllAsync(9));

        await _stage.PassAsync(TimeSpan.FromDays(28));
        Assert.Equal(10000 + 4000, (await _stage.PaymentsAsync())[0].Amount);

        var bought = (await _stage.ReadAsync(tx => _stage.Get<AddOnStore>().ListAsync(tx, "active", new PageRequest(10, null), default))).Items.Single();
        Assert.Equal("cancelled", (await orders.CancelAsync(_stage.Owner, bought.Id, IfMatch.Any, default)).Value.Status);
        Assert.Equal(2, await AgentLimitAsync());
        Assert.Equal("agent_limit", (await CreateAgentAsync(99)).Problem!.Code);
    }

    [Fact]
    [Behaviour("bb-pack-purchase")]
    public async Task A_pack_needs_its_tier_and_is_sold_so_often_a_month()
    {
        Assert.Equal("subscription_required", (await OrderAsync("ten")).Problem!.Code);
        await _stage.SubscribedAsync("starter");
        Assert.Equal("tier_too_low", (await OrderAsync("ten")).Problem!.Code);
        await _stage.Get<ChangeSubscription>().CancelAsync(_stage.Owner, new CancelInput(null, Immediately: true), IfMatch.Any, default);

        await _stage.SubscribedAsync();
        await BuyAsync("ten");
        var pack = Assert.Single(await _stage.PacksAsync());
        Assert.Equal(("active", 10, 10, 900), (pack.Status, pack.ExecutionsIncluded, pack.ExecutionsRemaining, pack.PricePaidCents));
        Assert.Equal(pack.PurchasedAt.AddDays(40), pack.ExpiresAt);
        Assert.True((await OrderAsync("ten")).IsOk);
        Assert.Equal("pack_limit", (await OrderAsync("ten")).Problem!.Code);
        await _stage.WorkAsync();

        _stage.Clock.Advance(TimeSpan.FromDays(31));
        await _stage.WorkAsync();
        Assert.True((await OrderAsync("ten")).IsOk);
    }

    [Fact]
    [Behaviour("bb-pack-consume-order")]
    public async Task Included_executions_go_first_then_the_pack_that_expires_first_and_an_endless_one_has_no_end()
    {
        await _stage.SubscribedAsync();
        await BuyAsync("ten");
        await BuyAsync("two");
        Assert.Equal(3, await _stage.ExecuteManyAsync(3));
        Assert.Equal([2, 10], await LeftAsync());
        Assert.Equal(3, await _stage.ExecuteManyAsync(3));
        Assert.Equal([0, 9], await LeftAsync());

        await BuyAsync("endless");
        Assert.Equal(30, await _stage.ExecuteManyAsync(30));
        Assert.Equal([null, 0, 9], await LeftAsync());
        var used = (await _stage.UsageAsync())[0];
        Assert.Equal((36, 33, 12), (used.ExecutionsUsed, used.AdditionalExecutionsUsed, used.AdditionalExecutionsPurchased));
    }

    [Fact]
    [Behaviour("bb-pack-status")]
    public async Task A_pack_is_depleted_at_none_and_expired_at_its_time()
    {
        await StarterOfAsync(executions: 1);
        await BuyAsync("two");
        await BuyAsync("period");
        await _stage.ExecuteManyAsync(3);
        Assert.Equal(["active", "depleted"], (await _stage.PacksAsync()).Select(p => p.Status));
        Assert.Equal((await _stage.CurrentAsync())!.CurrentPeriodEnd, (await _stage.PacksAsync())[0].ExpiresAt);

        _stage.Clock.Advance((await _stage.CurrentAsync())!.CurrentPeriodEnd - _stage.Clock.GetUtcNow() - TimeSpan.FromMinutes(30));
        Assert.Equal("period_ends", (await OrderAsync("period")).Problem!.Code);
        Assert.IsType<Allowance.Granted>(await _stage.ExecuteAsync());
        _stage.Clock.Advance(TimeSpan.FromMinutes(31));
        Assert.IsType<Allowance.Refused>(await _stage.ExecuteAsync());
        await _stage.WorkAsync();
        Assert.Equal(["expired", "depleted"], (await _stage.PacksAsync()).Select(p => p.Status));
    }

    [Fact]
    [Behaviour("bb-usage-record")]
    public async Task What_a_period_used_is_kept_with_its_tier_its_limits_and_what_was_charged()
    {
        var subscription = await _stage.SubscribedAsync();
        await BuyAsync("two");
        Assert.Equal(7, await _stage.ExecuteManyAsync(12));
        await Task.WhenAll(CreateAgentAsync(1));
        // A new price is for those who buy then.
        Assert.True((await _stage.Get<ApplyCatalogue>().RunAsync(new([new("small", "Small", "USD", 10000, 9, 9, 99, SortOrder: 2, OverageCents: 5000, OverageCapCents: 5000)], null, null), default)).IsOk);

        await _stage.PassAsync(TimeSpan.FromDays(28));

        var record = (await _stage.UsageAsync())[1];
        Assert.Equal((subscription.TierId, 3, 2, 7, 1), (record.TierId, record.ExecutionLimit, record.AgentLimit, record.ExecutionsUsed, record.PeakConcurrentAgents));
        Assert.Equal((2, 2, 2, 100), (record.AdditionalExecutionsPurchased, record.AdditionalExecutionsUsed, record.OverageExecutions, record.OverageChargedCents));
        Assert.Equal((subscription.CurrentPeriodStart, subscription.CurrentPeriodEnd, true), (record.PeriodStart, record.PeriodEnd, record.ClosedAt is not null));
        Assert.Equal(10000 + 100, (await _stage.PaymentsAsync())[0].Amount);
    }

    [Fact]
    [Behaviour("bb-sub-period-rollover")]
    public async Task A_new_period_counts_from_nothing()
    {
        await _stage.SubscribedAsync();
        Assert.Equal(5, await _stage.ExecuteManyAsync(9));
        await CreateAgentAsync(1);
        await _stage.PassAsync(TimeSpan.FromDays(28));

        var (now, before) = ((await _stage.UsageAsync())[0], (await _stage.UsageAsync())[1]);
        Assert.Equal((0, 0, 0, false), (now.ExecutionsUsed, now.AgentsSpawned, now.OverageExecutions, now.ClosedAt is not null));
        Assert.Equal((5, 1, true), (before.ExecutionsUsed, before.AgentsSpawned, before.ClosedAt is not null));
        Assert.Equal(5, await _stage.ExecuteManyAsync(9));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task What_is_owed_is_asked_for_when_the_subscription_ends_and_is_never_more_than_the_cap(bool immediately)
    {
        await _stage.SubscribedAsync();
        Assert.Equal(5, await _stage.ExecuteManyAsync(20));
        await _stage.Get<ChangeSubscription>().CancelAsync(_stage.Owner, new CancelInput(null, immediately), IfMatch.Any, default);
        await _stage.PassAsync(immediately ? TimeSpan.Zero : TimeSpan.FromDays(28));

        Assert.Null(await _stage.CurrentAsync());
        var owed = (await _stage.PaymentsAsync())[0];
        Assert.Equal(("overage", 100, "success"), (owed.Purpose, owed.Amount, owed.Status));
        Assert.Equal(100, (await _stage.UsageAsync())[0].OverageChargedCents);
    }

    [Fact]
    public async Task What_is_owed_is_asked_for_of_who_stops_paying_too()
    {
        await _stage.SubscribedAsync();
        await _stage.ExecuteManyAsync(5);
        for (var day = 0; day < 37; day++)
        {
            _stage.Stripe.Next(new StripeAnswer.Refuse(402));
            await _stage.PassAsync(TimeSpan.FromDays(1));
        }

        Assert.Null(await _stage.CurrentAsync());
        Assert.Equal("overage", (await _stage.PaymentsAsync())[0].Purpose);
    }

    private async Task StarterOfAsync(int executions)
    {
        Assert.True((await _stage.Get<ApplyCatalogue>().RunAsync(new([new("few", "Few", "USD", 1000, 5, 5, executions, SortOrder: 2)], null, null), default)).IsOk);
        await _stage.SubscribedAsync("few");
    }

    private Task<Result<Payment>> OrderAsync(string pack) => _stage.Get<OrderPack>().RunAsync(_stage.Owner, new PackOrder(pack), default);

    private async Task BuyAsync(string pack)
    {
        var order = await OrderAsync(pack);
        await _stage.WorkAsync();
        Assert.Equal("success", (await _stage.PaymentAsync(order.Value.Id)).Status);
    }

    private async Task<IEnumerable<int?>> LeftAsync() => (await _stage.PacksAsync()).OrderBy(p => p.ExpiresAt).Select(p => p.ExecutionsRemaining);

    private Task<Result<Agent>> CreateAgentAsync(int number) => _stage.Get<ManageAgents>().CreateAsync(_stage.Owner, new AgentInput($"Agent {number}", null, null, null, null), default);

    private async Task<int> CreateAllAsync(int agents)
    {
        var created = 0;
        for (var i = 0; i < agents; i++)
        {
            created += (await CreateAgentAsync(i)).IsOk ? 1 : 0;
        }

        return created;
    }

    private async Task<int?> AgentLimitAsync() => (await _stage.ReadAsync(tx => _stage.Get<ReadStanding>().RunAsync(tx, default))).AgentLimit;
}
