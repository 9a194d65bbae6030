using AgentPlatform.Api;
using AgentPlatform.Billing.Catalogue;
using AgentPlatform.Billing.Subscriptions;
using AgentPlatform.Billing.Usage;
using AgentPlatform.Kernel;
using AgentPlatform.Tests.Sandbox;
using Npgsql;

namespace AgentPlatform.Tests.Billing;

public sealed class SubscriptionTests : IAsyncLifetime
{
    private BillingStage _stage = null!;

    public async Task InitializeAsync() => _stage = await BillingStage.StartAsync();

    public async Task DisposeAsync() => await _stage.DisposeAsync();

    [Fact]
    [Behaviour("bb-tier-price-frequency")]
    public async Task A_period_costs_by_its_frequency_in_whole_cents_and_the_setup_fee_is_paid_once()
    {
        var tier = (await _stage.ReadAsync(tx => _stage.Get<Offers>().TierAsync(tx, "starter", default)))!;
        Assert.Equal(
            [new TierPrice("weekly", 26459, 114655), new("monthly", 99700, 99700), new("six_month", 568290, 94715), new("annual", 1076760, 89730)],
            tier.Prices);

        await _stage.SubscribedAsync("starter");
        await _stage.PassAsync(TimeSpan.FromDays(29));

        Assert.Equal([99700 + 5000, 99700], (await _stage.PaymentsAsync()).Reverse().Select(p => p.Amount));
    }

    [Fact]
    [Behaviour("bb-tier-inactive")]
    public async Task A_tier_that_is_withdrawn_is_sold_to_nobody_and_kept_by_who_has_it()
    {
        var subscription = await _stage.SubscribedAsync();
        await ApplyAsync(new TierInput("small", "Small", "USD", 77700, 1, 1, 1, IsActive: false, SortOrder: 2), new TierInput("first", "First", "USD", 1, 1, 1, 1, SortOrder: -1));

        var listed = (await _stage.ReadAsync(tx => _stage.Get<Offers>().TiersAsync(tx, default))).Items.Select(t => t.Slug).ToList();
        Assert.DoesNotContain("small", listed);
        Assert.Equal(["first", "starter", "growth", "indian", "professional", "enterprise"], listed);

        await _stage.PassAsync(TimeSpan.FromDays(29));
        Assert.Equal("active", (await _stage.CurrentAsync())!.Status);
        // Its terms are those it was sold at.
        Assert.Equal([10000, 10000], (await _stage.PaymentsAsync()).Select(p => p.Amount));
        Assert.Equal(3, await _stage.ExecuteManyAsync(3));

        await _stage.Get<ChangeSubscription>().CancelAsync(_stage.Owner, new CancelInput(null, Immediately: true), IfMatch.Any, default);
        Assert.Equal("tier_not_found", (await _stage.OrderAsync("small")).Problem!.Code);
        Assert.Equal(subscription.Id, (await _stage.UsageAsync())[^1].SubscriptionId);
    }

    [Fact]
    [Behaviour("mk-subscription-create")]
    public async Task A_subscription_begins_when_it_is_paid_with_its_plan_amount_currency_and_period()
    {
        var payment = (await _stage.OrderAsync("indian", provider: "phonepe")).Value.Payment!;
        await _stage.WorkAsync();
        Assert.Null(await _stage.CurrentAsync());
        Assert.Equal(("free", "active"), await StandingAsync());

        _stage.PhonePe.Transactions[payment.MerchantTransactionId].Code = "PAYMENT_SUCCESS";
        await _stage.WorkAsync();

        var subscription = (await _stage.CurrentAsync())!;
        Assert.Equal(("indian", 100001, "INR", "monthly", "active"), (subscription.Tier, subscription.PriceCents, subscription.Currency, subscription.PaymentFrequency, subscription.Status));
        Assert.Equal(subscription.CurrentPeriodStart.AddMonths(1), subscription.CurrentPeriodEnd);
        Assert.Equal(("indian", "active"), await StandingAsync());
        Assert.Equal("other_currency", _stage.Get<AgentPlatform.Billing.Payments.Providers.PaymentProviders>().Check("phonepe", "USD")!.Code);
    }

    [Fact]
    [Behaviour("mk-subscription-one-active")]
    public async Task A_workspace_has_one_subscription_however_many_order_at_once()
    {
        var orders = await Task.WhenAll(Enumerable.Range(0, 6).Select(_ => _stage.OrderAsync("small")));
        Assert.Single(orders, o => o.IsOk);
        Assert.All(orders.Where(o => !o.IsOk), o => Assert.Equal("already_subscribed", o.Problem!.Code));

        await _stage.PayAtPageAsync(orders.Single(o => o.IsOk).Value.Payment!.Id);
        Assert.Equal("already_subscribed", (await _stage.OrderAsync("starter", trial: true)).Problem!.Code);
        var refused = await Assert.ThrowsAsync<PostgresException>(() => _stage.Platform.Postgres.ScalarAsync<int>(
            """
            INSERT INTO billing.subscriptions SELECT (jsonb_populate_record(s, jsonb_build_object('id', gen_random_uuid()))).* FROM billing.subscriptions AS s RETURNING 1
            """));
        Assert.Equal("one_current_subscription", refused.ConstraintName);
    }

    [Fact]
    [Behaviour("mk-subscription-renew")]
    public async Task A_period_that_is_paid_is_followed_by_the_next_and_one_that_is_not_is_past_due_until_patience_ends()
    {
        var first = await _stage.SubscribedAsync();
        Assert.Equal(first.CurrentPeriodStart.AddMonths(1), first.CurrentPeriodEnd);

        await _stage.PassAsync(TimeSpan.FromDays(28));
        var second = (await _stage.CurrentAsync())!;
        Assert.Equal((first.CurrentPeriodEnd, first.CurrentPeriodStart.AddMonths(2)), (second.CurrentPeriodStart, second.CurrentPeriodEnd));
        Assert.Equal(31, second.CurrentPeriodEnd.Day);

        _stage.Stripe.Next(new StripeAnswer.Refuse(402));
        await _stage.PassAsync(TimeSpan.FromDays(31));
        Assert.Equal("past_due", (await _stage.CurrentAsync())!.Status);

        await _stage.PassAsync(TimeSpan.FromDays(1));
        Assert.Equal(("active", second.CurrentPeriodEnd), ((await _stage.CurrentAsync())!.Status, (await _stage.CurrentAsync())!.CurrentPeriodStart));

        await DeclineForeverAsync();
        Assert.Null(await _stage.CurrentAsync());
    }

    [Fact]
    [Behaviour("bb-sub-cancel-at-period-end", "mk-subscription-cancel")]
    public async Task What_is_cancelled_serves_to_its_periods_end_and_is_free_then()
    {
        var subscription = await _stage.SubscribedAsync();
        await _stage.Get<ChangeSubscription>().CancelAsync(_stage.Owner, new CancelInput("Too dear."), IfMatch.Any, default);
        await _stage.PassAsync(TimeSpan.FromDays(27));
        Assert.IsType<Allowance.Granted>(await _stage.ExecuteAsync());
        Assert.Equal("active", (await _stage.CurrentAsync())!.Status);

        await _stage.PassAsync(TimeSpan.FromDays(1));

        var over = (await _stage.ReadAsync(tx => _stage.Get<SubscriptionStore>().FindAsync(tx, subscription.Id, default)))!;
        Assert.Equal(("cancelled", "Too dear."), (over.Status, over.CancellationReason));
        Assert.True(over.CancelledAt >= over.CurrentPeriodEnd);
        Assert.Equal(("free", "active"), await StandingAsync());
        Assert.Single(await _stage.PaymentsAsync());
    }

    [Fact]
    public async Task A_cancellation_can_be_taken_back_and_the_version_says_what_was_changed()
    {
        var subscription = await _stage.SubscribedAsync();
        await _stage.ExecuteManyAsync(2);
        // What is used moves no version.
        Assert.Equal(subscription.UpdatedAt, (await _stage.CurrentAsync())!.UpdatedAt);

        await _stage.Get<ChangeSubscription>().CancelAsync(_stage.Owner, new CancelInput(null), IfMatch.Any, default);
        Assert.False((await _stage.Get<ChangeSubscription>().KeepAsync(_stage.Owner, IfMatch.Any, default)).Value.CancelAtPeriodEnd);
        await _stage.PassAsync(TimeSpan.FromDays(28));
        Assert.Equal("active", (await _stage.CurrentAsync())!.Status);
    }

    [Fact]
    [Behaviour("bb-sub-trial")]
    public async Task A_trial_has_a_months_executions_and_turns_active_when_it_is_paid()
    {
        var trial = (await _stage.OrderAsync("small", "annual", trial: true)).Value.Subscription!;
        Assert.Equal(("trial", _stage.Clock.GetUtcNow().Date.AddDays(14)), (trial.Status, trial.TrialEndsAt!.Value.Date));
        // A month's, not a year's, and nothing that is owed.
        Assert.Equal(3, await _stage.ExecuteManyAsync(10));

        await _stage.PassAsync(TimeSpan.FromDays(14));
        var unpaid = Assert.Single(await _stage.PaymentsAsync());
        Assert.Equal(("past_due", "pending", true), ((await _stage.CurrentAsync())!.Status, unpaid.Status, unpaid.PayUrl is not null));

        await _stage.PayAtPageAsync(unpaid.Id);
        var active = (await _stage.CurrentAsync())!;
        Assert.Equal(("active", 108000), (active.Status, (await _stage.PaymentAsync(unpaid.Id)).Amount));
        Assert.Equal(active.CurrentPeriodStart.AddYears(1), active.CurrentPeriodEnd);
        Assert.Equal(36, (await _stage.UsageAsync())[0].ExecutionLimit);
    }

    [Fact]
    public async Task A_trial_is_paid_before_its_end_cancelled_or_over_and_had_once()
    {
        await _stage.OrderAsync("small", trial: true);
        var early = (await _stage.Get<Subscribe>().PayAsync(_stage.Owner, default)).Value.Payment!;
        Assert.Equal("payment_pending", (await _stage.Get<Subscribe>().PayAsync(_stage.Owner, default)).Problem!.Code);
        await _stage.PayAtPageAsync(early.Id);
        Assert.Equal("active", (await _stage.CurrentAsync())!.Status);

        await _stage.Get<ChangeSubscription>().CancelAsync(_stage.Owner, new CancelInput(null, Immediately: true), IfMatch.Any, default);
        Assert.Equal("no_trial", (await _stage.OrderAsync("starter", trial: true)).Problem!.Code);
    }

    [Fact]
    public async Task A_trial_that_nobody_pays_ends()
    {
        await _stage.OrderAsync("small", trial: true);
        for (var day = 0; day < 22; day++)
        {
            await _stage.PassAsync(TimeSpan.FromDays(1));
        }

        Assert.Null(await _stage.CurrentAsync());
        Assert.Equal("unpaid", await _stage.Platform.Postgres.ScalarAsync<string>("SELECT cancellation_reason FROM billing.subscriptions"));
    }

    [Fact]
    [Behaviour("bb-sub-status")]
    public async Task Paused_nothing_runs_and_resumed_it_goes_on_or_the_period_is_asked_for()
    {
        await _stage.SubscribedAsync();
        var change = _stage.Get<ChangeSubscription>();
        await change.PauseAsync(_stage.Owner, IfMatch.Any, default);
        Assert.IsType<Allowance.Refused>(await _stage.ExecuteAsync());
        await _stage.PassAsync(TimeSpan.FromDays(90));
        Assert.Single(await _stage.PaymentsAsync());

        await change.ResumeAsync(_stage.Owner, IfMatch.Any, default);
        await _stage.WorkAsync();

        var resumed = (await _stage.CurrentAsync())!;
        Assert.Equal(("active", 2), (resumed.Status, (await _stage.PaymentsAsync()).Count));
        Assert.True(resumed.CurrentPeriodStart > BillingStage.Start.AddDays(89));
        foreach (var (column, value) in new[] { ("status", "free"), ("payment_frequency", "daily") })
        {
            var refused = await Assert.ThrowsAsync<PostgresException>(() => _stage.Platform.Postgres.ScalarAsync<int>($"UPDATE billing.subscriptions SET {column} = '{value}' RETURNING 1"));
            Assert.Equal(PostgresErrorCodes.CheckViolation, refused.SqlState);
        }
    }

    [Fact]
    public async Task A_subscription_that_is_cancelled_while_its_lock_is_waited_for_is_not_found()
    {
        var subscription = await _stage.SubscribedAsync();
        await using var first = _stage.Platform.Database.Begin(_stage.Owner);
        Assert.NotNull(await _stage.Get<SubscriptionStore>().LockCurrentAsync(first, default));
        var second = _stage.ReadAsync(tx => _stage.Get<SubscriptionStore>().LockCurrentAsync(tx, default));
        await _stage.Platform.Postgres.SomebodyWaitsAsync();

        _stage.Get<SubscriptionStore>().Move(first, subscription.Id, "cancelled", "gone");
        await first.CommitAsync(default);

        Assert.Null(await second);
    }

    [Theory]
    [InlineData("weekly", "2026-02-07", "2026-02-14", "2026-02-21")]
    [InlineData("monthly", "2026-02-28", "2026-03-31", "2026-04-30")]
    [InlineData("six_month", "2026-07-31", "2027-01-31", "2027-07-31")]
    [InlineData("annual", "2027-01-31", "2028-01-31", "2029-01-31")]
    public void Periods_are_counted_from_their_anchor(string frequency, params string[] ends)
    {
        var end = BillingStage.Start;
        foreach (var expected in ends)
        {
            end = Frequencies.NextEnd(BillingStage.Start, end, frequency);
            Assert.Equal(expected, end.ToString("yyyy-MM-dd", System.Globalization.CultureInfo.InvariantCulture));
        }
    }

    private async Task DeclineForeverAsync()
    {
        for (var day = 0; day < 40; day++)
        {
            _stage.Stripe.Next(new StripeAnswer.Refuse(402));
            await _stage.PassAsync(TimeSpan.FromDays(1));
        }
    }

    private async Task<(string Tier, string Status)> StandingAsync() =>
        await _stage.ReadAsync(async tx => await _stage.Get<ReadStanding>().RunAsync(tx, default) is var s ? (s.Tier, s.Status) : default);

    private async Task ApplyAsync(params TierInput[] tiers) => Assert.True((await _stage.Get<ApplyCatalogue>().RunAsync(new(tiers, null, null), default)).IsOk);
}
