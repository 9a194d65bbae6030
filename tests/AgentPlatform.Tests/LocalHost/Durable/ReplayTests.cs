using AgentPlatform.LocalHost;

namespace AgentPlatform.Tests.LocalHost.Durable;

/// <summary>Code that changed under its history, payloads and histories of all sizes, and hosts that share instances.</summary>
public sealed class ReplayTests
{
    [Theory]
    [InlineData(typeof(Renamed), "activity 'Wait'", "activity 'Echo'")]
    [InlineData(typeof(Removed), "activity 'Wait'", "no such step")]
    [InlineData(typeof(Timed), "activity 'Wait'", "timer")]
    [InlineData(typeof(Added), "no such step", "activity 'Echo'")]
    public async Task Code_that_does_not_do_what_it_did_fails_with_the_step_and_both_histories(Type changed, string recorded, string decided)
    {
        var bench = new Bench();
        var first = await DurableApp.StartAsync(bench: bench, functions: [typeof(Activities), typeof(Original)]);
        await using var database = first.App;
        var id = await first.StartAsync("Changing");
        await Eventually.SeeAsync(() => database.Database.ScalarAsync<long>("SELECT count(*) FROM durable.activities"), n => n == 1);
        await first.KillAsync();
        await database.Database.ScalarAsync<object>("WITH a AS (UPDATE durable.activities SET visible_at = now() RETURNING 1) SELECT count(*) FROM a");
        bench.Gate.SetResult();

        await using var second = await DurableApp.StartAsync(database: database.Database, bench: bench, functions: [typeof(Activities), changed]);
        var ended = await second.EndAsync(id);

        Assert.Equal(OrchestrationRuntimeStatus.Failed, ended.RuntimeStatus);
        Assert.EndsWith("NonDeterministicOrchestrationException", ended.FailureDetails!.ErrorType);
        Assert.Contains("'Changing'", ended.FailureDetails.ErrorMessage);
        Assert.Contains(id, ended.FailureDetails.ErrorMessage);
        Assert.Matches($"history, recorded by version [^ ]+, has .*{recorded}", ended.FailureDetails.ErrorMessage);
        Assert.Matches($"does .*{decided}.* History: .*Code: ", ended.FailureDetails.ErrorMessage);
    }

    [Fact]
    public async Task An_instance_that_failed_so_goes_on_when_the_code_is_mended_and_it_is_rewound()
    {
        var bench = new Bench();
        var first = await DurableApp.StartAsync(bench: bench, functions: [typeof(Activities), typeof(Original)]);
        await using var database = first.App;
        var id = await first.StartAsync("Changing");
        await Eventually.SeeAsync(() => Task.FromResult(bench.Count("here")), n => n == 1);
        await first.App.StopAsync(new CancellationToken(canceled: true));
        bench.Gate.SetResult();
        await using (var second = await DurableApp.StartAsync(database: database.Database, bench: bench, functions: [typeof(Activities), typeof(Renamed)]))
        {
            Assert.Equal(OrchestrationRuntimeStatus.Failed, (await second.EndAsync(id)).RuntimeStatus);
        }

        await using var third = await DurableApp.StartAsync(database: database.Database, bench: bench, functions: [typeof(Activities), typeof(Original)]);
        await third.Client.RewindInstanceAsync(id, "mended");
        Assert.Equal(OrchestrationRuntimeStatus.Completed, (await third.EndAsync(id)).RuntimeStatus);
    }

    [Theory]
    [InlineData(100)]
    [InlineData(16 * 1024)]
    [InlineData(256 * 1024)]
    [InlineData(2 * 1024 * 1024)]
    public async Task Payloads_of_any_size_pass_through_and_leave_nothing_behind(int size)
    {
        await using var app = await DurableApp.StartAsync(sessions: false);
        var text = new string('a', size);
        var id = await app.StartAsync("BigEcho", text);
        await app.SeeAsync(id, i => i.SerializedCustomStatus is not null);
        await app.Client.RaiseEventAsync(id, "More", text);
        var ended = await app.EndAsync(id, 180);

        Assert.Equal(text + text, ended.ReadOutputAs<string>());
        Assert.Equal(text, ended.ReadCustomStatusAs<string>());
        Assert.Equal((2 * size) + 2 > 32 * 1024, await app.App.Database.ScalarAsync<long>("SELECT count(*) FROM durable.payloads") > 0);
        await app.Client.PurgeAllInstancesAsync(new PurgeInstancesFilter());
        Assert.Equal(0, await app.App.Database.ScalarAsync<long>("SELECT count(*) FROM durable.payloads"));
    }

    [Theory]
    [InlineData(true, 700)]
    [InlineData(false, 150)]
    public async Task A_long_history_is_no_obstacle(bool sessions, int steps)
    {
        await using var app = await DurableApp.StartAsync(sessions);
        var ended = await app.EndAsync(await app.StartAsync("Sequence", steps), 180);

        Assert.Equal(steps * (steps - 1), ended.ReadOutputAs<int>());
        Assert.True(await app.App.Database.ScalarAsync<long>("SELECT count(*) FROM durable.history") > 3 * steps);
    }

    [Fact]
    public async Task A_wide_fan_out_completes()
    {
        await using var app = await DurableApp.StartAsync();
        Assert.Equal(2000 * 1999, (await app.EndAsync(await app.StartAsync("FanOut", 2000), 180)).ReadOutputAs<int>());
    }

    [Fact]
    public async Task Two_hosts_share_instances_and_do_everything_once()
    {
        var bench = new Bench();
        await using var first = await DurableApp.StartAsync(bench: bench);
        await using var second = await DurableApp.StartAsync(database: first.App.Database, bench: bench);
        var ids = await Task.WhenAll(Enumerable.Range(0, 60).Select(n => (n % 2 == 0 ? first : second).StartAsync("CountDown", 3, $"shared-{n}")));
        foreach (var id in ids)
        {
            Assert.Equal("done", (await first.EndAsync(id)).ReadOutputAs<string>());
        }

        Assert.All(ids, id => Assert.Equal(4, bench.Count(id)));
    }

    [Fact]
    public async Task The_version_of_the_running_code_is_recorded()
    {
        await using var app = await DurableApp.StartAsync();
        await app.RunAsync<string[]>("Greet", new[] { "Ada" }, "versioned");
        Assert.NotEqual("", await app.App.Database.ScalarAsync<string>("SELECT code_version FROM durable.instances"));
        Assert.Equal(1, await app.App.Database.ScalarAsync<long>("SELECT count(DISTINCT name) FROM durable.history WHERE kind = 'TurnStarted'"));
    }

    private static class Original
    {
        [Function("Changing")]
        public static async Task Changing([OrchestrationTrigger] TaskOrchestrationContext context)
        {
            await context.CallActivityAsync("Hello", "you");
            await context.CallActivityAsync<int>("Wait", "here");
        }
    }

    private static class Renamed
    {
        [Function("Changing")]
        public static async Task Changing([OrchestrationTrigger] TaskOrchestrationContext context)
        {
            await context.CallActivityAsync("Hello", "you");
            await context.CallActivityAsync<string>("Echo", "here");
        }
    }

    private static class Removed
    {
        [Function("Changing")]
        public static Task Changing([OrchestrationTrigger] TaskOrchestrationContext context) => context.CallActivityAsync("Hello", "you");
    }

    private static class Timed
    {
        [Function("Changing")]
        public static async Task Changing([OrchestrationTrigger] TaskOrchestrationContext context)
        {
            await context.CallActivityAsync("Hello", "you");
            await context.CreateTimer(TimeSpan.FromDays(1), CancellationToken.None);
        }
    }

    private static class Added
    {
        [Function("Changing")]
        public static async Task Changing([OrchestrationTrigger] TaskOrchestrationContext context)
        {
            var extra = context.CallActivityAsync<string>("Hello", "you");
            await extra;
            await Task.WhenAll(context.CallActivityAsync<int>("Wait", "here"), context.CallActivityAsync<string>("Echo", "more"));
        }
    }
}
