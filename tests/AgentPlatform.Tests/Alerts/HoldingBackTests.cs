using AgentPlatform.Alerts;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Schedules.Automations;
using static AgentPlatform.Tests.Alerts.AlertStage;

namespace AgentPlatform.Tests.Alerts;

/// <summary>What a rule sends no more of than it should, and what becomes of the rest.</summary>
public sealed class HoldingBackTests : IAsyncLifetime
{
    private AlertStage _stage = null!;
    private Guid _task;

    public async Task InitializeAsync()
    {
        _stage = await AlertStage.StartAsync();
        _task = await _stage.TaskAsync();
    }

    public async Task DisposeAsync() => await _stage.DisposeAsync();

    [Fact]
    [Behaviour("bb-alert-cooldown")]
    public async Task Within_the_cooldown_there_is_no_other_alert_and_what_is_suppressed_is_counted()
    {
        var rule = await _stage.RuleAsync(new { aggregation_enabled = false });
        await _stage.RunAsync(_task);
        var first = (await _stage.RuleOfAsync(rule)).GetProperty("last_alert_sent_at").GetDateTimeOffset();

        _stage.Clock.Advance(first.AddMinutes(5).AddSeconds(-1) - _stage.Clock.GetUtcNow());
        await _stage.FailAsync(_task, 2);
        var held = await _stage.RuleOfAsync(rule);
        Assert.Equal((2, first), (held.GetProperty("suppressed_count").GetInt32(), held.GetProperty("last_alert_sent_at").GetDateTimeOffset()));
        Assert.Single(await _stage.AlertsAsync());

        _stage.Clock.Advance(TimeSpan.FromSeconds(1));
        await _stage.RunAsync(_task);
        Assert.Equal(["sent", "sent"], (await _stage.AlertsAsync()).Select(a => Text(a, "status")));
        Assert.Equal(2, (await _stage.RuleOfAsync(rule)).GetProperty("suppressed_count").GetInt32());
    }

    [Fact]
    [Behaviour("bb-alert-cooldown")]
    public async Task Rules_cool_down_each_for_itself_and_five_minutes_is_the_default()
    {
        var (rule, other) = (await _stage.RuleAsync(), await _stage.RuleAsync(new { cooldown_minutes = 60 }));
        Assert.Equal(5, (await _stage.RuleOfAsync(rule)).GetProperty("cooldown_minutes").GetInt32());
        await _stage.RunAsync(_task);

        _stage.Clock.Advance(TimeSpan.FromMinutes(6));
        await _stage.RunAsync(_task);

        Assert.Equal((2, 2), ((await _stage.ListAsync($"alerts?rule_id={rule}&status=sent")).Length, (await _stage.ListAsync($"alerts?rule_id={other}")).Length));
        Assert.Single(await _stage.ListAsync($"alerts?rule_id={other}&status=folding"));
    }

    [Fact]
    [Behaviour("bb-alert-cooldown")]
    public async Task Of_runs_that_end_at_once_one_sends()
    {
        var rule = await _stage.RuleAsync(new { aggregation_enabled = false });
        var stored = await _stage.Platform.AsAsync(_stage.System, tx => ManageRules.FindAsync(tx, rule, default));
        var raise = _stage.Platform.Get<RaiseAlert>();
        await using var first = _stage.Platform.Database.Begin(_stage.System);
        await raise.MatchAsync(first, stored!, Ended(), default);

        var second = _stage.Platform.AsAsync(_stage.System, tx => raise.MatchAsync(tx, stored!, Ended(), default));
        await Eventually.SeeAsync(
            () => _stage.CountAsync("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"), waiting => waiting > 0);
        await first.CommitAsync(default);
        await second;

        Assert.Single(await _stage.AlertsAsync());
        Assert.Equal(1, (await _stage.RuleOfAsync(rule)).GetProperty("suppressed_count").GetInt32());
    }

    [Fact]
    [Behaviour("bb-alert-aggregation")]
    public async Task What_matches_during_the_cooldown_is_one_alert_that_is_told_when_it_ends()
    {
        await _stage.RuleAsync();
        await _stage.RunAsync(_task, error: "first");
        await _stage.RunAsync(_task, error: "second");
        await _stage.RunAsync(_task, error: "third");
        var folding = Assert.Single(await _stage.ListAsync("alerts?status=folding"));
        Assert.Equal(2, folding.GetProperty("match_count").GetInt32());
        Assert.Single(await _stage.ListAsync("notifications"));

        await _stage.PassAsync(TimeSpan.FromMinutes(4), "alerts.tell_folded");
        Assert.Single(await _stage.ListAsync("notifications"));
        await _stage.PassAsync(TimeSpan.FromMinutes(1), "alerts.tell_folded");

        var told = (await _stage.AlertsAsync())[0];
        Assert.Equal((Id(folding), "sent", "Night watch: 2 runs"), (Id(told), Text(told, "status"), Text(told, "title")));
        Assert.Equal(["second", "third"], Text(told, "message").Split('\n').Select(line => line.Split(": ")[^1]));
        Assert.Equal(2, (await _stage.ListAsync("notifications")).Length);

        // That was an alert as any other: the next cooldown has begun.
        await _stage.RunAsync(_task);
        Assert.Equal(["folding", "sent", "sent"], (await _stage.AlertsAsync()).Select(a => Text(a, "status")));
    }

    [Fact]
    [Behaviour("bb-alert-aggregation")]
    public async Task A_match_after_the_cooldown_takes_along_what_was_folded_and_nothing_is_told_twice()
    {
        await _stage.RuleAsync();
        await _stage.FailAsync(_task, 2);

        _stage.Clock.Advance(TimeSpan.FromMinutes(5));
        await _stage.RunAsync(_task);
        Assert.Equal([2, 1], (await _stage.ListAsync("alerts?status=sent")).Select(a => a.GetProperty("match_count").GetInt32()));
        await _stage.PassAsync(TimeSpan.FromHours(1), "alerts.tell_folded");

        Assert.Equal(2, (await _stage.AlertsAsync()).Length);
        Assert.Equal(2, (await _stage.ListAsync("notifications")).Length);
    }

    [Fact]
    [Behaviour("bb-alert-aggregation")]
    public async Task What_was_folded_waits_while_the_rule_rests_and_is_told_when_it_goes_on()
    {
        var rule = await _stage.RuleAsync();
        await _stage.FailAsync(_task, 2);
        await _stage.PostAsync($"alert-rules/{rule}/pause", new { }, 200);
        await _stage.PassAsync(TimeSpan.FromMinutes(5), "alerts.tell_folded");
        Assert.Single(await _stage.ListAsync("alerts?status=folding"));

        await _stage.PostAsync($"alert-rules/{rule}/resume", new { }, 200);
        await _stage.DrainAsync();

        Assert.Empty(await _stage.ListAsync("alerts?status=folding"));
        Assert.Equal(2, (await _stage.ListAsync("notifications")).Length);
    }

    [Fact]
    [Behaviour("bb-alert-aggregation")]
    public async Task However_much_is_folded_it_is_counted_whole_and_told_in_a_few_lines()
    {
        await _stage.RuleAsync();
        await _stage.FailAsync(_task, 13);

        await _stage.PassAsync(TimeSpan.FromMinutes(5), "alerts.tell_folded");

        var told = (await _stage.AlertsAsync())[0];
        Assert.Equal(12, told.GetProperty("match_count").GetInt32());
        Assert.Equal((11, "… and 2 more."), (Text(told, "message").Split('\n').Length, Text(told, "message").Split('\n')[^1]));
        Assert.Equal(12, told.GetProperty("details").GetProperty("runs").GetArrayLength());
    }

    [Fact]
    [Behaviour("bb-alert-hourly-cap")]
    public async Task In_an_hour_there_are_no_more_alerts_than_the_cap_and_the_count_restarts_with_the_next()
    {
        var rule = await _stage.RuleAsync(new { cooldown_minutes = 0, max_alerts_per_hour = 2, aggregation_enabled = false });
        await _stage.FailAsync(_task, 3);
        var capped = await _stage.RuleOfAsync(rule);
        Assert.Equal((2, 2, 1), ((await _stage.AlertsAsync()).Length, capped.GetProperty("alerts_this_hour").GetInt32(), capped.GetProperty("suppressed_count").GetInt32()));
        var reset = capped.GetProperty("hourly_reset_at").GetDateTimeOffset();

        _stage.Clock.Advance(reset.AddSeconds(-1) - _stage.Clock.GetUtcNow());
        await _stage.RunAsync(_task);
        Assert.Equal(2, (await _stage.AlertsAsync()).Length);

        _stage.Clock.Advance(TimeSpan.FromSeconds(1));
        await _stage.RunAsync(_task);
        var next = await _stage.RuleOfAsync(rule);
        Assert.Equal((3, 1), ((await _stage.AlertsAsync()).Length, next.GetProperty("alerts_this_hour").GetInt32()));
        Assert.True(next.GetProperty("hourly_reset_at").GetDateTimeOffset() >= reset.AddHours(1));
    }

    [Fact]
    [Behaviour("bb-alert-hourly-cap")]
    public async Task Twelve_an_hour_is_the_default_and_what_is_beyond_is_folded_until_the_hour_is_over()
    {
        await _stage.RuleAsync(new { cooldown_minutes = 0 });
        await _stage.FailAsync(_task, 15);
        Assert.Equal(12, (await _stage.ListAsync("alerts?status=sent")).Length);
        Assert.Equal(3, Assert.Single(await _stage.ListAsync("alerts?status=folding")).GetProperty("match_count").GetInt32());

        await _stage.PassAsync(TimeSpan.FromHours(1), "alerts.tell_folded");

        Assert.Equal(13, (await _stage.ListAsync("alerts?status=sent")).Length);
    }

    private RunEnded Ended() => new(TimeProvider.System.NewId(), _task, "Nightly report", _stage.Api.Tenant.OwnerId, "failed", 1, 10, "boom", 1, _stage.Clock.GetUtcNow());
}
