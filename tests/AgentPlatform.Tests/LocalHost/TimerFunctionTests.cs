using AgentPlatform.LocalHost;
using AgentPlatform.LocalHost.Hosting;
using AgentPlatform.LocalHost.Timers;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace AgentPlatform.Tests.LocalHost;

public sealed class TimerFunctionTests
{
    private readonly FakeClock _clock = FakeClock.AtNoon();
    private readonly Inbox _inbox = new();

    [Fact]
    public async Task A_timer_runs_at_each_occurrence_and_records_it()
    {
        await using var app = await StartAsync(typeof(Hourly));

        var first = await OccurAsync(Noon.AddHours(1));
        var second = await OccurAsync(Noon.AddHours(2));
        await _clock.SleeperAsync(Noon.AddHours(3));

        Assert.False(first.IsPastDue);
        Assert.Equal((default, Noon.AddHours(2)), (first.ScheduleStatus!.Last, Utc(first.ScheduleStatus.Next)));
        Assert.Equal((Noon.AddHours(1), Noon.AddHours(3)), (Utc(second.ScheduleStatus!.Last), Utc(second.ScheduleStatus.Next)));
        Assert.Equal(2, _inbox.Count);
    }

    [Fact]
    public async Task An_occurrence_missed_while_no_host_ran_is_made_up_for_once()
    {
        await using var app = await StartAsync(typeof(Hourly));
        await OccurAsync(Noon.AddHours(1));
        await _clock.SleeperAsync(Noon.AddHours(2));
        await app.StopAsync();
        _clock.AdvanceTo(Noon.AddHours(4.5));

        await using var again = await StartAsync(app.Database, typeof(Hourly));
        var late = (TimerInfo)await _inbox.NextAsync();
        await _clock.SleeperAsync(Noon.AddHours(5));
        var onTime = await OccurAsync(Noon.AddHours(5));

        Assert.True(late.IsPastDue);
        Assert.Equal(Noon.AddHours(1), Utc(late.ScheduleStatus!.Last));
        Assert.False(onTime.IsPastDue);
        Assert.Equal(Noon.AddHours(4.5), Utc(onTime.ScheduleStatus!.Last));
        Assert.Equal(3, _inbox.Count);
    }

    [Fact]
    public async Task A_restart_between_occurrences_runs_nothing()
    {
        await using var app = await StartAsync(typeof(Hourly));
        await OccurAsync(Noon.AddHours(1));
        await _clock.SleeperAsync(Noon.AddHours(2));
        await app.StopAsync();
        _clock.AdvanceTo(Noon.AddHours(1.5));

        await using var again = await StartAsync(app.Database, typeof(Hourly));
        await _clock.SleeperAsync(Noon.AddHours(2));

        Assert.Equal(1, _inbox.Count);
    }

    [Theory]
    [InlineData(typeof(Unmonitored))]
    [InlineData(typeof(EverySecond))]
    public async Task Without_a_monitor_nothing_is_past_due_and_there_is_no_status(Type functions)
    {
        await using var app = await StartAsync(functions);
        var first = await OccurAsync(functions == typeof(Unmonitored) ? Noon.AddHours(1) : Noon.AddSeconds(1));
        await app.StopAsync();
        _clock.AdvanceTo(Noon.AddHours(7).AddMilliseconds(500));

        await using var again = await StartAsync(app.Database, functions);
        var second = await OccurAsync(functions == typeof(Unmonitored) ? Noon.AddHours(8) : Noon.AddHours(7).AddSeconds(1));

        Assert.Null(first.ScheduleStatus);
        Assert.False(second.IsPastDue);
        Assert.Equal(2, _inbox.Count);
    }

    [Fact]
    public async Task RunOnStartup_runs_at_start_and_then_on_schedule()
    {
        await using var app = await StartAsync(typeof(AtStart));

        var atStart = (TimerInfo)await _inbox.NextAsync();
        await OccurAsync(Noon.AddHours(1));

        Assert.False(atStart.IsPastDue);
        Assert.Equal(2, _inbox.Count);
    }

    [Fact]
    public async Task A_schedule_may_be_a_setting_and_a_changed_one_starts_anew()
    {
        await using var app = await StartAsync(Setup(null, typeof(FromSetting)) with { Settings = [("Jobs:Nightly", "00:20:00")] });
        await OccurAsync(Noon.AddMinutes(20));
        await _clock.SleeperAsync(Noon.AddMinutes(40));
        await app.StopAsync();

        await using var again = await StartAsync(Setup(app.Database, typeof(FromSetting)) with { Settings = [("Jobs:Nightly", "0 0 14 * * *")] });
        await OccurAsync(Noon.AddHours(2));

        Assert.Equal("0 0 14 * * *", await app.Database.ScalarAsync<string>("SELECT schedule FROM localhost.timers"));
    }

    [Fact]
    public async Task A_missing_setting_stops_the_host_with_its_name()
    {
        var (builder, _) = LocalHostApp.Prepare(Setup(null, typeof(FromSetting)), "Host=127.0.0.1;Port=1");
        await using var app = builder.Build(new Terminal(TextWriter.Null, TextWriter.Null, _ => { }));
        var listeners = app.Services.GetServices<IHostedService>().OfType<TimerListeners>().Single();

        var e = await Assert.ThrowsAsync<SettingException>(() => listeners.StartAsync(default));

        Assert.Equal("Function FromSetting: the setting Jobs__Nightly is missing.", e.Message);
    }

    [Fact]
    public async Task A_failed_run_waits_for_the_next_occurrence()
    {
        _inbox.Fails = true;
        await using var app = await StartAsync(typeof(Hourly));

        await OccurAsync(Noon.AddHours(1));
        await OccurAsync(Noon.AddHours(2));

        Assert.Equal(2, _inbox.Count);
    }

    [Fact]
    public async Task A_run_longer_than_the_schedule_is_never_overlapped()
    {
        var gate = new TaskCompletionSource();
        _inbox.Gate = gate.Task;
        await using var app = await StartAsync(typeof(EverySecond));
        await _clock.SleeperAsync(Noon.AddSeconds(1));
        _clock.AdvanceTo(Noon.AddSeconds(1));
        await _inbox.NextAsync();

        _clock.AdvanceTo(Noon.AddSeconds(3.5));
        Assert.Equal(1, _inbox.Count);
        gate.SetResult();
        await OccurAsync(Noon.AddSeconds(4));

        Assert.Equal(1, _inbox.MostRunning);
        Assert.Equal(2, _inbox.Count);
    }

    [Fact]
    public async Task Of_two_hosts_one_runs_each_occurrence()
    {
        await using var one = await StartAsync(typeof(EveryTenSeconds));
        await using var two = await StartAsync(one.Database, typeof(EveryTenSeconds));

        for (var i = 1; i <= 6; i++)
        {
            await _clock.SleeperAsync(Noon.AddSeconds(10 * i));
            await LeaseAsync(one.Database, Noon.AddSeconds((10 * i) - 5));
            await LeaseAsync(one.Database, Noon.AddSeconds(10 * i));
            await _inbox.NextAsync();
        }

        await _clock.SleeperAsync(Noon.AddSeconds(70));
        Assert.Equal(6, _inbox.Count);
        Assert.Equal(1, await one.Database.ScalarAsync<int>("SELECT count(DISTINCT owner)::integer FROM localhost.timers"));
    }

    [Fact]
    public async Task A_host_that_stops_hands_its_timers_over()
    {
        await using var one = await StartAsync(typeof(Hourly));
        await _clock.SleeperAsync(Noon.AddHours(1));
        await using var two = await StartAsync(one.Database, typeof(Hourly));
        var before = await OwnerAsync(one.Database);

        await one.StopAsync();
        var after = await Eventually.SeeAsync(
            () =>
            {
                _clock.Advance(TimeSpan.FromSeconds(1));
                return OwnerAsync(one.Database);
            },
            seen => seen is not "" && seen != before);

        Assert.NotEqual(before, after);
        await OccurAsync(Noon.AddHours(1));
        Assert.Equal(1, _inbox.Count);
    }

    [Fact]
    public async Task A_lease_that_a_dead_host_holds_is_taken_when_it_has_run_out()
    {
        await using var one = await StartAsync(typeof(Hourly));
        await _clock.SleeperAsync(Noon.AddHours(1));
        await one.StopAsync();
        Assert.Equal(1, await one.Database.ScalarAsync<int>(
            "UPDATE localhost.timers SET owner = gen_random_uuid(), lease_until = '2026-03-02 12:00:15Z' RETURNING 1"));
        var dead = await OwnerAsync(one.Database);

        await using var two = await StartAsync(one.Database, typeof(Hourly));
        _clock.Advance(TimeSpan.FromSeconds(15));
        Assert.Equal(dead, await OwnerAsync(one.Database));
        await Eventually.SeeAsync(
            async () =>
            {
                _clock.Advance(TimeSpan.FromSeconds(5));
                return await OwnerAsync(one.Database);
            },
            seen => seen != dead);

        Assert.NotEqual(dead, await OwnerAsync(one.Database));
    }

    private static DateTimeOffset Noon => new(2026, 3, 2, 12, 0, 0, TimeSpan.Zero);

    private static DateTimeOffset Utc(DateTime moment) => new(moment, TimeSpan.Zero);

    private static Task<string> OwnerAsync(TestDatabase database) => database.ScalarAsync<string>("SELECT coalesce(owner::text, '') FROM localhost.timers");

    private async Task<TimerInfo> OccurAsync(DateTimeOffset moment)
    {
        await _clock.SleeperAsync(moment);
        _clock.AdvanceTo(moment);
        return (TimerInfo)await _inbox.NextAsync();
    }

    // As a clock that runs would: the holder renews every five seconds and so never lets its lease run out.
    private async Task LeaseAsync(TestDatabase database, DateTimeOffset moment)
    {
        _clock.AdvanceTo(moment);
        var until = moment + TimerStore.Lease;
        var seen = await Eventually.SeeAsync(
            async () => new DateTimeOffset(await database.ScalarAsync<DateTime>("SELECT lease_until FROM localhost.timers")), lease => lease >= until);
        Assert.True(seen >= until);
    }

    private Task<LocalHostApp> StartAsync(params Type[] functions) => StartAsync(Setup(null, functions));

    private Task<LocalHostApp> StartAsync(TestDatabase database, params Type[] functions) => StartAsync(Setup(database, functions));

    private static Task<LocalHostApp> StartAsync(LocalHostApp.Setup setup) => LocalHostApp.StartAsync(setup);

    private LocalHostApp.Setup Setup(TestDatabase? database, params Type[] functions) => new(functions)
    {
        Clock = _clock,
        Database = database,
        Configure = builder => builder.Services.AddSingleton(_inbox),
    };

    public sealed class Hourly(Inbox inbox)
    {
        [Function("Hourly")]
        public Task RunAsync([TimerTrigger("0 0 * * * *")] TimerInfo timer) => inbox.TakeAsync(timer);
    }

    public sealed class Unmonitored(Inbox inbox)
    {
        [Function("Unmonitored")]
        public Task RunAsync([TimerTrigger("0 0 * * * *", UseMonitor = false)] TimerInfo timer) => inbox.TakeAsync(timer);
    }

    public sealed class EverySecond(Inbox inbox)
    {
        [Function("EverySecond")]
        public Task RunAsync([TimerTrigger("* * * * * *")] TimerInfo timer) => inbox.TakeAsync(timer);
    }

    public sealed class EveryTenSeconds(Inbox inbox)
    {
        [Function("EveryTenSeconds")]
        public Task RunAsync([TimerTrigger("*/10 * * * * *")] TimerInfo timer) => inbox.TakeAsync(timer);
    }

    public sealed class AtStart(Inbox inbox)
    {
        [Function("AtStart")]
        public Task RunAsync([TimerTrigger("0 0 * * * *", RunOnStartup = true)] TimerInfo timer) => inbox.TakeAsync(timer);
    }

    public sealed class FromSetting(Inbox inbox)
    {
        [Function("FromSetting")]
        public Task RunAsync([TimerTrigger("%Jobs__Nightly%")] TimerInfo timer) => inbox.TakeAsync(timer);
    }
}
