using AgentPlatform.LocalHost;

namespace AgentPlatform.Tests.LocalHost.Durable;

/// <summary>What comes late, together, or to an instance that does not take it in. Every case runs with orchestrators in memory and by replay.</summary>
public abstract class RaceTests(bool sessions) : IAsyncLifetime
{
    private const string Parked = "SELECT count(*) FROM durable.messages WHERE parked";
    private const string Messages = "SELECT count(*) FROM durable.messages";
    private DurableApp _app = null!;

    public async Task InitializeAsync() => _app = await DurableApp.StartAsync(sessions);

    public async Task DisposeAsync()
    {
        _app.Bench.Gate.TrySetResult();
        await _app.DisposeAsync();
    }

    [Theory]
    [InlineData(true, "yes")]
    [InlineData(false, "too late")]
    public async Task Of_an_event_and_a_timer_that_are_taken_in_together_the_earlier_wins(bool eventFirst, string expected)
    {
        var id = await SuspendedAsync("Approve", TimeSpan.FromSeconds(8));
        await SeeParkedAsync(eventFirst ? 0 : 1);
        await _app.Client.RaiseEventAsync(id, "Approval", "yes");
        await SeeParkedAsync(2);
        await _app.Client.ResumeInstanceAsync(id);

        Assert.Equal(expected, (await _app.EndAsync(id)).ReadOutputAs<string>());
    }

    [Fact]
    public async Task Activities_that_end_while_an_instance_is_suspended_are_taken_in_when_it_is_resumed()
    {
        var id = await _app.StartAsync("BeforeAndAfter", "s");
        await Eventually.SeeAsync(() => Task.FromResult(_app.Bench.Count("s-wait")), n => n == 1);
        await _app.Client.SuspendInstanceAsync(id);
        await _app.SeeAsync(id, i => i.RuntimeStatus == OrchestrationRuntimeStatus.Suspended);
        _app.Bench.Gate.SetResult();
        await SeeParkedAsync(1);
        var afterBefore = _app.Bench.Count("s-after");
        await _app.Client.ResumeInstanceAsync(id);

        Assert.Equal("1 1 1", (await _app.EndAsync(id)).ReadOutputAs<string>());
        Assert.Equal((0, 1), (afterBefore, _app.Bench.Count("s-after")));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(60)]
    public async Task Answers_and_events_of_one_moment_are_taken_in_each_once(int count)
    {
        var id = await _app.StartAsync("Mixed", count);
        await Task.WhenAll(Enumerable.Range(1, count).Select(n => _app.Client.RaiseEventAsync(id, "Number", n)));

        Assert.Equal([count * (count - 1), count * (count + 1) / 2, count], (await _app.EndAsync(id)).ReadOutputAs<int[]>()!);
        Assert.Equal(0, await CountAsync(Messages));
        Assert.Equal(0, await CountAsync("SELECT count(*) FROM durable.activities"));
    }

    [Fact]
    public async Task What_an_earlier_execution_left_behind_does_not_reach_the_next()
    {
        var id = await _app.StartAsync("LeaveBehind", false);
        await Eventually.SeeAsync(() => Task.FromResult(_app.Bench.Count(id)), n => n == 1);
        _app.Bench.Gate.SetResult();
        await Eventually.SeeAsync(() => CountAsync("SELECT count(*) FROM durable.activities"), n => n == 0);
        await _app.Client.RaiseEventAsync(id, "Go", "on");

        Assert.Equal("mine on", (await _app.EndAsync(id)).ReadOutputAs<string>());
        Assert.Equal(0, await CountAsync("SELECT count(*) FROM durable.history WHERE kind = 'TimerFired'"));
    }

    [Fact]
    public async Task A_loser_that_fails_when_nobody_looks_fails_nothing()
    {
        var id = await _app.StartAsync("LoserFails");
        await Eventually.SeeAsync(() => CountAsync("SELECT count(*) FROM durable.history WHERE kind = 'TaskCompleted'"), n => n >= 1);
        _app.Bench.Gate.SetResult();
        await Eventually.SeeAsync(() => CountAsync("SELECT count(*) FROM durable.history WHERE kind = 'SubOrchestrationFailed'"), n => n == 1);
        await _app.Client.RaiseEventAsync(id, "Go", "on");

        Assert.Equal("True Hello, winner!", (await _app.EndAsync(id)).ReadOutputAs<string>());
    }

    [Fact]
    public async Task An_instance_that_waits_for_its_next_attempt_is_terminated_at_once()
    {
        var id = await _app.StartAsync("RetryTomorrow", "tomorrow");
        await Eventually.SeeAsync(() => CountAsync("SELECT count(*) FROM durable.messages WHERE kind = 'TimerFired'"), n => n == 1);
        await _app.Client.TerminateInstanceAsync(id, "enough");

        Assert.Equal("enough", (await _app.EndAsync(id)).ReadOutputAs<string>());
        Assert.Equal(1, _app.Bench.Count("tomorrow"));
        Assert.Equal(0, await CountAsync(Messages));
    }

    [Fact]
    public async Task A_suspended_instance_can_be_terminated_and_then_purged()
    {
        var id = await SuspendedAsync("Approve", TimeSpan.FromDays(1));
        Assert.Equal(0, (await _app.Client.PurgeInstanceAsync(id)).PurgedInstanceCount);
        await _app.Client.TerminateInstanceAsync(id);

        Assert.Equal(OrchestrationRuntimeStatus.Terminated, (await _app.EndAsync(id)).RuntimeStatus);
        Assert.Equal(1, (await _app.Client.PurgeInstanceAsync(id)).PurgedInstanceCount);
        Assert.Equal(0, await CountAsync("SELECT count(*) FROM durable.history"));
    }

    [Fact]
    public async Task Suspending_twice_is_suspending_once()
    {
        var id = await SuspendedAsync("Approve", TimeSpan.FromDays(1));
        await _app.Client.SuspendInstanceAsync(id);
        await Eventually.SeeAsync(() => CountAsync("SELECT count(*) FROM durable.messages WHERE kind = 'ExecutionSuspended'"), n => n == 0);
        await _app.Client.ResumeInstanceAsync(id);
        await _app.SeeAsync(id, i => i.RuntimeStatus == OrchestrationRuntimeStatus.Running);
        await _app.Client.RaiseEventAsync(id, "Approval", "yes");

        Assert.Equal("yes", (await _app.EndAsync(id)).ReadOutputAs<string>());
        Assert.Equal(1, await CountAsync("SELECT count(*) FROM durable.history WHERE kind = 'ExecutionSuspended'"));
    }

    [Fact]
    public async Task A_message_that_reaches_an_instance_as_it_ends_is_dropped()
    {
        await _app.RunAsync<string[]>("Greet", new[] { "Ada" }, "ended");
        await CountAsync(
            "WITH late AS (INSERT INTO durable.messages (instance_id, kind, name, due_at) VALUES ('ended', 'EventRaised', 'Late', now()) RETURNING 1) SELECT count(*) FROM late");
        await Eventually.SeeAsync(() => CountAsync(Messages), n => n == 0);

        Assert.Equal(OrchestrationRuntimeStatus.Completed, (await _app.Client.GetInstanceAsync("ended"))!.RuntimeStatus);
    }

    [Fact]
    public async Task A_failed_sub_orchestration_is_rewound_with_its_parent()
    {
        var id = await _app.StartAsync("RetryChild", new Retries("rewound", 1, 1));
        Assert.Equal(OrchestrationRuntimeStatus.Failed, (await _app.EndAsync(id)).RuntimeStatus);
        await _app.Client.RewindInstanceAsync(id, "mended");

        Assert.Equal(2, (await _app.EndAsync(id)).ReadOutputAs<int>());
        Assert.Equal(OrchestrationRuntimeStatus.Completed, (await _app.Client.GetInstanceAsync($"{id}-child"))!.RuntimeStatus);
    }

    [Theory]
    [InlineData("Greet", OrchestrationRuntimeStatus.Completed)]
    [InlineData("ThrowItself", OrchestrationRuntimeStatus.Failed)]
    [InlineData("Approve", OrchestrationRuntimeStatus.Terminated)]
    public async Task Whatever_way_an_instance_ended_it_can_be_restarted(string name, OrchestrationRuntimeStatus ending)
    {
        object? input = name switch { "Greet" => new[] { "Ada" }, "Approve" => TimeSpan.FromDays(1), _ => null };
        var id = await _app.StartAsync(name, input, "restarted");
        await EndAsync();
        var before = await CountAsync("SELECT count(*) FROM durable.history");
        await _app.Client.RestartAsync(id);
        await EndAsync();

        Assert.Equal(before, await CountAsync("SELECT count(*) FROM durable.history"));

        async Task EndAsync()
        {
            if (ending == OrchestrationRuntimeStatus.Terminated)
            {
                await _app.SeeAsync(id, i => i.RuntimeStatus == OrchestrationRuntimeStatus.Running);
                await _app.Client.TerminateInstanceAsync(id);
            }

            Assert.Equal(ending, (await _app.EndAsync(id)).RuntimeStatus);
        }
    }

    [Fact]
    public async Task A_custom_status_is_cleared_by_null_and_an_event_may_have_no_payload()
    {
        var id = await _app.StartAsync("ClearStatus");
        await _app.SeeAsync(id, i => i.SerializedCustomStatus == "\"set\"");
        await _app.Client.RaiseEventAsync(id, "Go");
        await _app.SeeAsync(id, i => i.SerializedCustomStatus is null);
        await _app.Client.RaiseEventAsync(id, "Go");

        Assert.Null((await _app.EndAsync(id)).ReadOutputAs<string>());
    }

    [Fact]
    public async Task A_start_that_the_database_refuses_takes_no_other_with_it()
    {
        var starts = Enumerable.Range(0, 20).Select(n => _app.StartAsync("Greet", new[] { "Ada" }, n == 7 ? "no\0id" : $"with-{n}")).ToList();
        await Assert.ThrowsAsync<Npgsql.PostgresException>(() => starts[7]);
        foreach (var start in starts.Where((_, n) => n != 7))
        {
            Assert.Equal(["Hello, Ada!"], (await _app.EndAsync(await start)).ReadOutputAs<string[]>()!);
        }
    }

    private async Task<string> SuspendedAsync(string name, object input)
    {
        var id = await _app.StartAsync(name, input);
        await _app.Client.WaitForInstanceStartAsync(id);
        await _app.Client.SuspendInstanceAsync(id);
        await _app.SeeAsync(id, i => i.RuntimeStatus == OrchestrationRuntimeStatus.Suspended);
        return id;
    }

    private Task SeeParkedAsync(int count) => Eventually.SeeAsync(() => CountAsync(Parked), n => n == count);

    private Task<long> CountAsync(string sql) => _app.App.Database.ScalarAsync<long>(sql);
}

public sealed class RaceWithSessionsTests() : RaceTests(sessions: true);

public sealed class RaceByReplayTests() : RaceTests(sessions: false);
