using AgentPlatform.Api;
using AgentPlatform.Channels.Manage;
using AgentPlatform.Costs;
using AgentPlatform.Identity;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Tenancy;
using AgentPlatform.Tests.Sandbox;

namespace AgentPlatform.Tests.Costs;

/// <summary>Whoever looks after a tenant's money hears of its budgets, as far as they want to.</summary>
public sealed class BudgetNoticeTests : IAsyncLifetime
{
    private const string Ann = "+14155550111";
    private const string Bob = "+14155550122";

    private readonly FakeSmtp _smtp = new();
    private ChannelStage _stage = null!;
    private Actor _ann = null!, _bob = null!;

    public async Task InitializeAsync()
    {
        _stage = await ChannelStage.StartAsync(settings: ("Channels:Email:Smtp", _smtp.Address));
        await _stage.SmsChannelAsync();
        await _stage.ChannelAsync(new ChannelInput("email", "Support") { ProviderConfig = Json.Of(new { from = "agent@support.example" }) });
        _ann = new(_stage.Tenant.TenantId, _stage.Tenant.OwnerId, "owner");
        var added = await _stage.Platform.Get<ManageMembers>().AddAsync(_ann, new AddMember("bob@acme.example", null, "admin"), default);
        _bob = new(_stage.Tenant.TenantId, added.Value.UserId, "admin");
        await ChangeAsync(_ann, new(null, null, Ann, null, null, null, null, null, null));
        await ChangeAsync(_bob, new(null, null, Bob, null, null, null, null, null, null));
    }

    public async Task DisposeAsync()
    {
        await _stage.DisposeAsync();
        await _smtp.DisposeAsync();
    }

    [Fact]
    [Behaviour("bb-budget-alert", "mk-budget-alert-once")]
    public async Task Each_share_that_is_reached_is_told_once_to_every_owner_and_admin()
    {
        var budget = await LimitAsync(10);
        await SpendAsync(7.99m);
        Assert.Empty(Texts(Ann));

        await SpendAsync(0.01m);
        await SpendAsync(0.50m);
        Assert.Equal(["Budget alert: $8.00 of the daily budget of $10.00 for all agents are spent (80 % reached)."], Texts(Ann));
        Assert.Equal(Texts(Ann), Texts(Bob));
        var alerted = await BudgetAsync(budget);
        Assert.Equal(1, alerted.AlertsSentToday);
        Assert.NotNull(alerted.LastAlertSent);

        await SpendAsync(1.50m);
        Assert.Equal("Budget alert: $10.00 of the daily budget of $10.00 for all agents are spent (100 % reached). Language models are not asked any more until the next period.", Texts(Ann)[1]);

        // The share is reached again from below: the limit was raised in between, and lowered again.
        await LimitAsync(100);
        await LimitAsync(10);
        await SpendAsync(0.01m, stops: false);
        Assert.Equal((2, 2, 2), (Texts(Ann).Count, Texts(Bob).Count, (await BudgetAsync(budget)).AlertsSentToday));
        var alerts = await _stage.Platform.AsAsync(_ann, tx => BudgetAlerts.ListAsync(tx, budget, new PageRequest(10, null), default));
        Assert.Equal([("daily", 100, 10m, 10m, 2), ("daily", 80, 10m, 8m, 2)], alerts.Items.Select(a => (a.Period, a.Percent, a.Budget, a.Spent, a.MembersTold!.Value)));
    }

    [Fact]
    [Behaviour("bb-budget-alert")]
    public async Task Every_period_has_its_own_alert_and_a_limit_below_what_is_spent_is_reached_at_once()
    {
        await SetAsync(new(null, 100, 100));
        await SpendAsync(5);
        Assert.Empty(Texts(Ann));
        await SetAsync(new(null, 6, 4));

        await _stage.SettleAsync();

        Assert.Equal(
            [
                "Budget alert: $5.00 of the monthly budget of $4.00 for all agents are spent (100 % reached). Language models are not asked any more until the next period.",
                "Budget alert: $5.00 of the monthly budget of $4.00 for all agents are spent (80 % reached).",
                "Budget alert: $5.00 of the weekly budget of $6.00 for all agents are spent (80 % reached).",
            ],
            Texts(Ann).Order(StringComparer.Ordinal));
    }

    [Fact]
    [Behaviour("mk-user-constitution")]
    public async Task Nobody_is_told_what_their_settings_exclude()
    {
        await ChangeAsync(_ann, Notify(new { budget_alerts = new[] { "email" }, approvals = false }));
        await ChangeAsync(_bob, Notify(new { budget_alerts = false }));
        var budget = await LimitAsync(1);

        await SpendAsync(0.80m);

        Assert.Empty(_stage.Twilio.Messages);
        var mail = Assert.Single(_smtp.Mails);
        Assert.Equal("Budget alert: 80 % of the daily budget", mail.Header("Subject"));
        Assert.Equal(1, (await _stage.Platform.AsAsync(_ann, tx => BudgetAlerts.ListAsync(tx, budget, new PageRequest(10, null), default))).Items[0].MembersTold);

        await ChangeAsync(_bob, Notify(new { budget_alerts = true }));
        await ChangeAsync(_ann, Notify(new { budget_alerts = Array.Empty<string>() }));
        await SpendAsync(0.20m);
        Assert.Single(Texts(Bob));
        Assert.Single(_smtp.Mails);
    }

    [Fact]
    public async Task Settings_that_nothing_would_read_are_refused()
    {
        Assert.Equal("Knows approvals and budget_alerts.", await WrongAsync(new { newsletters = true }));
        Assert.Equal("Each is true, false, or a list of sms and email.", await WrongAsync(new { approvals = new[] { "pigeon" } }));
        Assert.Equal("Each is true, false, or a list of sms and email.", await WrongAsync(new { approvals = "sms" }));

        async Task<string> WrongAsync(object settings) =>
            (await _stage.Platform.Get<ManageAccount>().ChangeAsync(_ann, Notify(settings), IfMatch.Any, default)).Problem!.Errors!["notification_settings"][0];
    }

    private static ChangeAccount Notify(object settings) => new(null, null, null, null, null, null, null, null, Json.Of(settings));

    private async Task ChangeAsync(Actor actor, ChangeAccount change) => Assert.True((await _stage.Platform.Get<ManageAccount>().ChangeAsync(actor, change, IfMatch.Any, default)).IsOk);

    private List<string> Texts(string phone) => [.. _stage.Twilio.Messages.Where(m => m.To == phone).Select(m => m.Body)];

    private Task<Guid> LimitAsync(decimal daily) => SetAsync(new(daily, null, null));

    private async Task<Guid> SetAsync(BudgetInput input)
    {
        var set = await _stage.Platform.Get<ManageBudgets>().SetAsync(_ann, agentId: null, input, IfMatch.Any, default);
        Assert.True(set.IsOk, Json.Text(set.Problem));
        return set.Value.Id;
    }

    private async Task<Budget> BudgetAsync(Guid id) => (await _stage.Platform.Get<ManageBudgets>().FindAsync(_ann, id, default)).Value;

    private async Task SpendAsync(decimal dollars, bool stops = true)
    {
        var (ledger, id) = (_stage.Platform.Get<BudgetLedger>(), TimeProvider.System.NewId());
        await _stage.Platform.AsAsync(_stage.System, async tx =>
        {
            // A call that was slow holds less than it costs in the end.
            await ledger.HoldAsync(tx, new Reservation(id, _stage.Tenant.AgentId, "reply", stops ? dollars : 0, TimeSpan.FromMinutes(10)), default);
            await ledger.SettleAsync(tx, id, dollars, default);
        });
        await _stage.SettleAsync();
    }
}
