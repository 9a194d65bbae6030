using AgentPlatform.LocalHost;

namespace AgentPlatform.Tests.LocalHost.Durable;

/// <summary>Time that the test moves: long timers, late starts, hosts that die.</summary>
public sealed class ClockTests : IAsyncLifetime
{
    private readonly List<DurableApp> _hosts = [];
    private readonly FakeClock _clock = FakeClock.AtNoon();
    private readonly Bench _bench = new();

    [Fact]
    public async Task A_timer_of_two_months_survives_a_restart_and_fires_in_its_time()
    {
        var first = await DurableApp.StartAsync(clock: _clock, bench: _bench);
        await using var database = first.App;
        var id = await first.StartAsync("Tick", TimeSpan.FromDays(60));
        await first.Client.WaitForInstanceStartAsync(id);
        await first.App.StopAsync();

        await using var second = await DurableApp.StartAsync(database: first.App.Database, clock: _clock, bench: _bench);
        _clock.Advance(TimeSpan.FromDays(59));
        await PassAsync(() => Task.FromResult(false), 5);
        Assert.Equal(OrchestrationRuntimeStatus.Running, (await second.Client.GetInstanceAsync(id))!.RuntimeStatus);
        _clock.Advance(TimeSpan.FromDays(1));
        await PassAsync(async () => (await second.Client.GetInstanceAsync(id))!.IsCompleted);

        Assert.True((await second.Client.GetInstanceAsync(id, true))!.ReadOutputAs<double>() >= TimeSpan.FromDays(60).TotalMilliseconds);
    }

    [Fact]
    public async Task A_start_at_a_later_time_is_pending_until_then_and_keeps_its_events()
    {
        await using var app = await DurableApp.StartAsync(clock: _clock, bench: _bench);
        await app.Client.ScheduleNewOrchestrationInstanceAsync(
            "Approve", TimeSpan.FromMinutes(1), new StartOrchestrationOptions("later", _clock.GetUtcNow().AddHours(1)));
        await app.Client.RaiseEventAsync("later", "Approval", "early");
        await Eventually.SeeAsync(() => app.App.Database.ScalarAsync<long>("SELECT count(*) FROM durable.messages WHERE parked"), n => n == 1);
        var before = (await app.Client.GetInstanceAsync("later"))!;
        _clock.Advance(TimeSpan.FromHours(1));
        await PassAsync(async () => (await app.Client.GetInstanceAsync("later"))!.IsCompleted);

        Assert.Equal(OrchestrationRuntimeStatus.Pending, before.RuntimeStatus);
        Assert.Equal("early", (await app.Client.GetInstanceAsync("later", true))!.ReadOutputAs<string>());
    }

    [Fact]
    public async Task What_a_killed_host_had_begun_is_done_by_another_and_what_it_had_finished_is_not()
    {
        var first = await DurableApp.StartAsync(clock: _clock, bench: _bench);
        await using var database = first.App;
        var id = await first.StartAsync("BeforeAndAfter", "k");
        await Eventually.SeeAsync(() => Task.FromResult(_bench.Count("k-wait")), n => n == 1);
        await first.KillAsync();

        await using var second = await DurableApp.StartAsync(database: first.App.Database, clock: _clock, bench: _bench);
        await PassAsync(() => Task.FromResult(_bench.Count("k-wait") > 1), 5);
        Assert.Equal(1, _bench.Count("k-wait"));
        _bench.Gate.SetResult();
        // The dead host's lease has to run out.
        _clock.Advance(TimeSpan.FromMinutes(1));
        await PassAsync(async () => (await second.Client.GetInstanceAsync(id))!.IsCompleted);

        Assert.Equal("1 2 1", (await second.Client.GetInstanceAsync(id, true))!.ReadOutputAs<string>());
        Assert.Equal((1, 2, 1), (_bench.Count("k-before"), _bench.Count("k-wait"), _bench.Count("k-after")));
    }

    [Fact]
    public async Task Hosts_that_are_killed_one_after_the_other_leave_every_instance_to_end_right()
    {
        var host = await DurableApp.StartAsync(clock: _clock, bench: _bench);
        await using var database = host.App;
        var ids = await Task.WhenAll(Enumerable.Range(0, 40).Select(n => host.StartAsync("SixSteps", id: $"chaos-{n}")));
        for (var n = 0; n < 5; n++)
        {
            await PassAsync(() => Task.FromResult(false), 2);
            await host.KillAsync();
            _clock.Advance(TimeSpan.FromMinutes(1));
            host = await DurableApp.StartAsync(sessions: n % 2 == 0, database: database.Database, clock: _clock, bench: _bench);
            _hosts.Add(host);
        }

        const string Unended = "SELECT count(*) FROM durable.instances WHERE completed_at IS NULL";
        await PassAsync(async () => await database.Database.ScalarAsync<long>(Unended) == 0, 200);

        foreach (var id in ids)
        {
            Assert.Equal($"Hello, {id}! noted below branch breaks", (await host.Client.GetInstanceAsync(id, true))!.ReadOutputAs<string>());
            Assert.True(_bench.Count(id) >= 1);
        }

        const string Repeated =
            """
            SELECT count(*) FROM (
                SELECT FROM durable.history WHERE kind IN ('TaskCompleted', 'TaskFailed', 'TimerFired', 'SubOrchestrationCompleted', 'TaskScheduled', 'EventSent')
                GROUP BY instance_id, task_id, kind HAVING count(*) > 1) r
            """;
        Assert.Equal(0, await database.Database.ScalarAsync<long>(Repeated));
        Assert.Equal(80, await database.Database.ScalarAsync<long>("SELECT count(*) FROM durable.instances"));
        Assert.Equal(0, await database.Database.ScalarAsync<long>("SELECT count(*) FROM durable.activities"));
    }

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        foreach (var host in _hosts)
        {
            await host.DisposeAsync();
        }
    }

    // Lets the hosts see the time they are at, a second at a time.
    private async Task PassAsync(Func<Task<bool>> isEnough, int seconds = 60)
    {
        for (var n = 0; n < seconds && !await isEnough(); n++)
        {
            _clock.Advance(TimeSpan.FromSeconds(1));
            await Eventually.PauseAsync();
            await Eventually.PauseAsync();
        }
    }
}
