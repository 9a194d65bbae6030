using AgentPlatform.LocalHost;

namespace AgentPlatform.Tests.LocalHost.Durable;

/// <summary>Instances that a host keeps from one short activity to the next, and what befalls it meanwhile.</summary>
public sealed class HandTests : IAsyncLifetime
{
    private static readonly Type[] Functions = [typeof(Activities), typeof(RetryingOrchestrators), typeof(StruckFunctions)];

    private readonly FakeClock _clock = FakeClock.AtNoon();
    private readonly Bench _bench = new();
    private readonly SemaphoreSlim _killed = new(0);
    private DurableApp _first = null!;

    public async Task InitializeAsync() => _first = await StartAsync(null);

    public async Task DisposeAsync()
    {
        _bench.Gate.TrySetResult();
        await _first.DisposeAsync();
        _killed.Dispose();
    }

    [Fact]
    public async Task Short_activities_leave_no_rows_but_the_history()
    {
        var (activities, messages) = (-1L, -1L);
        _bench.Blow = async _ => (activities, messages) =
            (await CountAsync("SELECT count(*) FROM durable.activities"), await CountAsync("SELECT count(*) FROM durable.messages"));
        // Where the machine is so slow that the activity was put down, once more.
        for (var n = 0; n < 5 && activities != 0; n++)
        {
            await _first.RunAsync<string>("Struck", 3, "kept");
        }

        // The message that it was started with is why somebody would claim it, should this host die.
        Assert.Equal((0, 1), (activities, messages));
        Assert.Equal(0, await CountAsync("SELECT count(*) FROM durable.messages"));
        Assert.Equal(
            "TurnStarted ExecutionStarted TaskScheduled TurnStarted TaskCompleted TaskScheduled", await _first.App.Database.ScalarAsync<string>(
                "SELECT string_agg(kind, ' ' ORDER BY sequence) FROM durable.history WHERE sequence < 6"));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(3)]
    public async Task What_a_killed_host_had_in_hand_begins_again_elsewhere_with_the_same_input(int done)
    {
        _bench.Blow = run => run == 1 ? KillAsync(_first) : Task.CompletedTask;
        var id = await _first.StartAsync("Struck", done);
        await SeeKilledAsync();
        _clock.Advance(TimeSpan.FromMinutes(1));
        await using var second = await StartAsync(_first);
        var key = (await second.EndAsync(id)).ReadOutputAs<string>()!;

        Assert.Equal(2, _bench.Count(key));
        Assert.All(Enumerable.Range(0, done), n => Assert.Equal(1, _bench.Count($"{id}-{n}")));
        Assert.Equal(done + 1, await CountAsync("SELECT count(*) FROM durable.history WHERE kind = 'TaskScheduled'"));
        Assert.Equal(done + 1, await CountAsync("SELECT count(*) FROM durable.history WHERE kind = 'TaskCompleted'"));
        Assert.Equal(0, await CountAsync("SELECT count(*) FROM durable.messages"));
    }

    [Fact]
    public async Task What_a_claimed_instance_had_taken_in_when_its_host_was_killed_is_not_taken_in_again()
    {
        _bench.Blow = run => run == 1 ? KillAsync(_first) : Task.CompletedTask;
        var id = await _first.StartAsync("StruckAfterEvent");
        await _first.SeeAsync(id, i => i.RuntimeStatus == OrchestrationRuntimeStatus.Running);
        await Eventually.SeeAsync(() => CountAsync("SELECT count(*) FROM durable.instances WHERE locked_until IS NULL"), n => n == 1);
        await _first.Client.RaiseEventAsync(id, "Go", "one");
        await SeeKilledAsync();
        // Who takes the instance up finds this one beside the first, and takes it in once it has recovered.
        await _first.Client.RaiseEventAsync(id, "Go", "two");

        _clock.Advance(TimeSpan.FromMinutes(1));
        await using var second = await StartAsync(_first);

        Assert.Equal("one two", (await second.EndAsync(id)).ReadOutputAs<string>());
    }

    [Fact]
    public async Task A_message_that_another_step_has_taken_is_not_taken_in_hand()
    {
        var id = await _first.StartAsync("StruckAfterEvent");
        await Eventually.SeeAsync(() => CountAsync("SELECT count(*) FROM durable.instances WHERE locked_until IS NULL"), n => n == 1);
        var (fence, execution) = (await CountAsync("SELECT fence FROM durable.instances"), await _first.App.Database.ScalarAsync<Guid>("SELECT execution_id FROM durable.instances"));

        // The claim's snapshot still had the message.
        var refused = await Assert.ThrowsAsync<Npgsql.PostgresException>(() => _first.App.Database.ScalarAsync<object>(
            """
            SELECT durable.move(ARRAY[$1::text], ARRAY[$2::bigint], ARRAY[$3::uuid], '{Running}', '{9}', '{true}', '{"{1}"}', '{NULL}', '{NULL}', now(), 'code',
                '{1}', '{}', '{}', '{}', '{}', '{}')::text
            """,
            id, fence, execution));

        Assert.Equal("AP001", refused.SqlState);
        Assert.Contains("taken already", refused.MessageText, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_host_that_lost_its_claim_meanwhile_writes_nothing()
    {
        var lost = 0L;
        _bench.Blow = async run => lost = run > 1 ? lost : await CountAsync(
            """
            WITH lost AS (
                UPDATE durable.instances SET fence = fence + 1, locked_until = NULL
                WHERE completed_at IS NULL AND NOT EXISTS (SELECT FROM durable.activities) RETURNING 1
            )
            SELECT count(*) FROM lost
            """);
        var (id, key) = ("", "");
        // Where the machine is so slow that the activity was put down before, once more.
        for (var n = 0; n < 5 && lost == 0; n++)
        {
            id = await _first.StartAsync("Struck", 1);
            key = (await _first.EndAsync(id)).ReadOutputAs<string>()!;
        }

        Assert.Equal((1, 1, 2), (lost, _bench.Count($"{id}-0"), _bench.Count(key)));
        Assert.Equal(2, await CountAsync($"SELECT count(*) FROM durable.history WHERE instance_id = '{id}' AND kind = 'TaskCompleted'"));
    }

    [Fact]
    public async Task An_activity_that_takes_long_is_put_down_and_its_instance_takes_in_what_reaches_it()
    {
        var id = await _first.StartAsync("BeforeAndAfter", "long");
        await Eventually.SeeAsync(() => Task.FromResult(_bench.Count("long-wait")), n => n == 1);
        await _first.Client.TerminateInstanceAsync(id, "enough");
        var ended = await _first.EndAsync(id);
        _bench.Gate.SetResult();
        await Eventually.SeeAsync(() => CountAsync("SELECT count(*) FROM durable.activities"), n => n == 0);

        Assert.Equal(OrchestrationRuntimeStatus.Terminated, ended.RuntimeStatus);
        Assert.Equal((1, 0), (_bench.Count("long-wait"), _bench.Count("long-after")));
    }

    [Fact]
    public async Task An_activity_that_takes_its_hosts_down_fails_in_the_end()
    {
        var second = new TaskCompletionSource<DurableApp>(TaskCreationOptions.RunContinuationsAsynchronously);
        _bench.Blow = async run =>
        {
            if (run == 2)
            {
                Assert.Equal(1, await CountAsync("WITH often AS (UPDATE durable.activities SET claims = claims + 19 WHERE claims = 1 RETURNING 1) SELECT count(*) FROM often"));
            }

            await KillAsync(run == 1 ? _first : await second.Task);
        };
        var id = await _first.StartAsync("Struck", 0);
        await SeeKilledAsync();
        _clock.Advance(TimeSpan.FromMinutes(1));
        await using var killed = await StartAsync(_first);
        second.SetResult(killed);
        await SeeKilledAsync();
        _clock.Advance(TimeSpan.FromMinutes(1));
        await using var third = await StartAsync(_first);

        Assert.Contains("begun 20 times", (await third.EndAsync(id)).FailureDetails!.ErrorMessage, StringComparison.Ordinal);
        Assert.Equal(2, _bench.Count($"{id}-struck"));
    }

    private async Task KillAsync(DurableApp host)
    {
        await host.KillAsync();
        _killed.Release();
    }

    // Before the clock moves: a host that lives would renew its claims.
    private async Task SeeKilledAsync() => Assert.True(await _killed.WaitAsync(TimeSpan.FromSeconds(60)));

    private Task<DurableApp> StartAsync(DurableApp? after) =>
        DurableApp.StartAsync(database: after?.App.Database, clock: _clock, bench: _bench, functions: Functions);

    private Task<long> CountAsync(string sql) => _first.App.Database.ScalarAsync<long>(sql);

    private sealed class StruckFunctions(Bench bench)
    {
        [Function("Strike")]
        public async Task StrikeAsync([ActivityTrigger] string key, string instanceId)
        {
            bench.Run(key);
            await bench.Blow(bench.Run($"{instanceId}-struck"));
        }

        [Function("Struck")]
        public static async Task<string> Struck([OrchestrationTrigger] TaskOrchestrationContext context, int done)
        {
            for (var n = 0; n < done; n++)
            {
                await context.CallActivityAsync<int>("Count", $"{context.InstanceId}-{n}");
            }

            // Another one whenever the turn is another one.
            var key = context.NewGuid().ToString();
            await context.CallActivityAsync("Strike", key);
            return key;
        }

        [Function("StruckAfterEvent")]
        public static async Task<string> StruckAfterEvent([OrchestrationTrigger] TaskOrchestrationContext context)
        {
            var first = await context.WaitForExternalEvent<string>("Go");
            await context.CallActivityAsync("Strike", first);
            return $"{first} {await context.WaitForExternalEvent<string>("Go")}";
        }
    }
}
