using AgentPlatform.LocalHost;
using AgentPlatform.LocalHost.Durable;

namespace AgentPlatform.Tests.LocalHost.Durable;

/// <summary>What clients do with instances.</summary>
public sealed class LifecycleTests : IAsyncLifetime
{
    private DurableApp _app = null!;

    private PostgresDurableClient Client => _app.Client;

    public async Task InitializeAsync() => _app = await DurableApp.StartAsync();

    public async Task DisposeAsync()
    {
        _app.Bench.Gate.TrySetResult();
        await _app.DisposeAsync();
    }

    [Fact]
    public async Task An_id_in_use_is_refused_and_an_ended_one_starts_anew()
    {
        await _app.StartAsync("Approve", TimeSpan.FromDays(1), "one");
        var refused = await Assert.ThrowsAsync<InvalidOperationException>(() => _app.StartAsync("Greet", new[] { "Ada" }, "one"));
        await Client.RaiseEventAsync("one", "Approval", "yes");
        await _app.EndAsync("one");
        var anew = await _app.RunAsync<string[]>("Greet", new[] { "Ada" }, "one");

        Assert.Contains("'one'", refused.Message);
        Assert.Equal(["Hello, Ada!"], anew!);
        Assert.Equal("Greet", (await Client.GetInstanceAsync("one"))!.Name);
    }

    [Fact]
    public async Task The_caller_may_say_which_statuses_refuse_an_id()
    {
        await _app.RunAsync<string[]>("Greet", new[] { "Ada" }, "once");
        var once = new StartOrchestrationOptions("once").WithDedupeStatuses(OrchestrationRuntimeStatus.Completed);
        await Assert.ThrowsAsync<InvalidOperationException>(() => Client.ScheduleNewOrchestrationInstanceAsync("Greet", new[] { "Bob" }, once));

        await _app.StartAsync("Approve", TimeSpan.FromDays(1), "replaced");
        var always = new StartOrchestrationOptions("replaced").WithDedupeStatuses();
        await Client.ScheduleNewOrchestrationInstanceAsync("Greet", new[] { "Bob" }, always);
        Assert.Equal(["Hello, Bob!"], (await _app.EndAsync("replaced")).ReadOutputAs<string[]>()!);
    }

    [Fact]
    public async Task Of_many_starts_of_one_id_one_succeeds()
    {
        var starts = await Task.WhenAll(Enumerable.Range(0, 16).Select(async _ =>
        {
            try
            {
                await _app.StartAsync("Approve", TimeSpan.FromDays(1), "raced");
                return 1;
            }
            catch (InvalidOperationException)
            {
                return 0;
            }
        }));

        Assert.Equal(1, starts.Sum());
    }

    [Fact]
    public async Task A_suspended_instance_takes_nothing_in_until_it_is_resumed()
    {
        var id = await _app.StartAsync("Collect", 2);
        await Client.WaitForInstanceStartAsync(id);
        await Client.SuspendInstanceAsync(id, "lunch");
        await _app.SeeAsync(id, i => i.RuntimeStatus == OrchestrationRuntimeStatus.Suspended);
        await Client.RaiseEventAsync(id, "Number", 1);
        await Client.RaiseEventAsync(id, "Number", 2);
        await Eventually.SeeAsync(() => _app.App.Database.ScalarAsync<long>("SELECT count(*) FROM durable.messages WHERE parked"), n => n == 2);
        var suspended = (await Client.GetInstanceAsync(id))!;
        await Client.ResumeInstanceAsync(id);
        var ended = await _app.EndAsync(id);

        Assert.Equal(OrchestrationRuntimeStatus.Suspended, suspended.RuntimeStatus);
        Assert.Equal([1, 2], ended.ReadOutputAs<int[]>()!);
    }

    [Fact]
    public async Task A_terminated_instance_keeps_its_output_and_its_late_results_are_dropped()
    {
        var id = await _app.StartAsync("FirstOf");
        await _app.EndAsync(id);
        var waiting = await _app.StartAsync("CollectLate");
        await Eventually.SeeAsync(() => Task.FromResult(_app.Bench.Count(waiting)), n => n == 1);
        await Client.TerminateInstanceAsync(waiting, "enough");
        var ended = await _app.EndAsync(waiting);
        _app.Bench.Gate.SetResult();
        await Eventually.SeeAsync(() => _app.App.Database.ScalarAsync<long>("SELECT count(*) FROM durable.activities"), n => n == 0);

        Assert.Equal(OrchestrationRuntimeStatus.Terminated, ended.RuntimeStatus);
        Assert.Equal("enough", ended.ReadOutputAs<string>());
        Assert.Equal(0, await _app.App.Database.ScalarAsync<long>("SELECT count(*) FROM durable.messages"));
        Assert.Equal(OrchestrationRuntimeStatus.Terminated, (await Client.GetInstanceAsync(waiting))!.RuntimeStatus);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Terminating_ends_sub_orchestrations_only_when_asked(bool recursive)
    {
        var parent = await _app.StartAsync("ParentOfWaiting", "the-child");
        await Eventually.SeeAsync(() => Client.GetInstanceAsync("the-child"), c => c is { RuntimeStatus: OrchestrationRuntimeStatus.Running });
        await Client.TerminateInstanceAsync(parent, new TerminateInstanceOptions(Recursive: recursive));
        await _app.EndAsync(parent);

        var expected = recursive ? OrchestrationRuntimeStatus.Terminated : OrchestrationRuntimeStatus.Running;
        Assert.Equal(expected, (await _app.SeeAsync("the-child", c => c.RuntimeStatus == expected)).RuntimeStatus);
    }

    [Fact]
    public async Task A_parent_learns_that_its_sub_orchestration_was_terminated()
    {
        var parent = await _app.StartAsync("ParentOfWaiting", "ended-child");
        await Eventually.SeeAsync(() => Client.GetInstanceAsync("ended-child"), c => c is not null);
        await Client.TerminateInstanceAsync("ended-child");
        Assert.Contains("terminated", (await _app.EndAsync(parent)).ReadOutputAs<string>());
    }

    [Fact]
    public async Task The_histories_of_what_has_ended_are_purged_and_what_runs_stays()
    {
        await _app.RunAsync<string[]>("Greet", new[] { "Ada" }, "ended");
        await _app.StartAsync("Approve", TimeSpan.FromDays(1), "running");
        await AgentPlatform.Functions.WorkflowFunctions.PurgeAsync(Client, TimeProvider.System.GetUtcNow().AddMinutes(-1), default);
        Assert.NotNull(await Client.GetInstanceAsync("ended"));
        await AgentPlatform.Functions.WorkflowFunctions.PurgeAsync(Client, TimeProvider.System.GetUtcNow().AddMinutes(1), default);
        Assert.Null(await Client.GetInstanceAsync("ended"));
        Assert.NotNull(await Client.GetInstanceAsync("running"));
    }

    [Fact]
    public async Task What_does_not_exist_or_has_ended_takes_no_commands()
    {
        await _app.RunAsync<string[]>("Greet", new[] { "Ada" }, "over");
        foreach (var id in new[] { "over", "never was" })
        {
            await Client.RaiseEventAsync(id, "Word", "x");
            await Client.TerminateInstanceAsync(id);
            await Client.SuspendInstanceAsync(id);
            await Client.ResumeInstanceAsync(id);
        }

        Assert.Equal(0, await _app.App.Database.ScalarAsync<long>("SELECT count(*) FROM durable.messages"));
        Assert.Equal(OrchestrationRuntimeStatus.Completed, (await Client.GetInstanceAsync("over"))!.RuntimeStatus);
        Assert.Null(await Client.GetInstanceAsync("never was"));
        await Assert.ThrowsAsync<InvalidOperationException>(() => Client.WaitForInstanceCompletionAsync("never was"));
    }

    [Fact]
    public async Task A_purge_removes_all_of_an_ended_instance_and_nothing_of_another()
    {
        await _app.RunAsync<string>("Parent", "child-of-purged", "purged");
        await _app.StartAsync("Approve", TimeSpan.FromDays(1), "running");

        Assert.Equal(0, (await Client.PurgeInstanceAsync("running")).PurgedInstanceCount);
        Assert.Equal(0, (await Client.PurgeInstanceAsync("never was")).PurgedInstanceCount);
        Assert.Equal(2, (await Client.PurgeInstanceAsync("purged", new PurgeInstanceOptions(Recursive: true))).PurgedInstanceCount);
        Assert.Equal(0, await _app.App.Database.ScalarAsync<long>("SELECT count(*) FROM durable.history WHERE instance_id <> 'running'"));
        Assert.NotNull(await Client.GetInstanceAsync("running"));
    }

    [Fact]
    public async Task A_purge_by_filter_takes_ended_instances_of_its_time_and_status()
    {
        await _app.RunAsync<string[]>("Greet", new[] { "Ada" }, "good");
        await _app.EndAsync(await _app.StartAsync("ThrowItself", id: "bad"));
        var later = TimeProvider.System.GetUtcNow().AddHours(1);

        Assert.Equal(0, (await Client.PurgeAllInstancesAsync(new PurgeInstancesFilter(CreatedFrom: later))).PurgedInstanceCount);
        Assert.Equal(1, (await Client.PurgeAllInstancesAsync(new PurgeInstancesFilter(CreatedTo: later, Statuses: [OrchestrationRuntimeStatus.Failed]))).PurgedInstanceCount);
        Assert.Null(await Client.GetInstanceAsync("bad"));
        Assert.Equal(1, (await Client.PurgeAllInstancesAsync(new PurgeInstancesFilter())).PurgedInstanceCount);
    }

    [Fact]
    public async Task A_restart_uses_the_same_input_under_the_same_or_a_new_id()
    {
        await _app.RunAsync<string[]>("Greet", new[] { "Ada" }, "again");
        Assert.Equal("again", await Client.RestartAsync("again"));
        Assert.Equal(["Hello, Ada!"], (await _app.EndAsync("again")).ReadOutputAs<string[]>()!);
        var other = await Client.RestartAsync("again", restartWithNewInstanceId: true);
        Assert.NotEqual("again", other);
        Assert.Equal(["Hello, Ada!"], (await _app.EndAsync(other)).ReadOutputAs<string[]>()!);

        await _app.StartAsync("Approve", TimeSpan.FromDays(1), "still running");
        await Assert.ThrowsAsync<InvalidOperationException>(() => Client.RestartAsync("still running"));
        await Assert.ThrowsAsync<ArgumentException>(() => Client.RestartAsync("never was"));
    }

    [Fact]
    public async Task A_rewind_runs_what_failed_again_and_nothing_else()
    {
        var id = await _app.StartAsync("FailBoth", "rw");
        var failed = await _app.EndAsync(id);
        await Client.RewindInstanceAsync(id, "the shelf is full again");
        var ended = await _app.EndAsync(id);

        Assert.Equal(OrchestrationRuntimeStatus.Failed, failed.RuntimeStatus);
        Assert.True(ended.RuntimeStatus == OrchestrationRuntimeStatus.Completed, $"{ended} {ended.FailureDetails}");
        Assert.Equal(1 + 2 + 2 + 1, ended.ReadOutputAs<int>());
        Assert.Equal((1, 1), (_app.Bench.Count("rw-before"), _app.Bench.Count("rw-c")));
        await Assert.ThrowsAsync<InvalidOperationException>(() => Client.RewindInstanceAsync(id, "not failed"));
        await Assert.ThrowsAsync<ArgumentException>(() => Client.RewindInstanceAsync("never was", "x"));
    }

    [Fact]
    public async Task A_query_filters_by_status_time_and_prefix_and_continues()
    {
        for (var n = 0; n < 5; n++)
        {
            await _app.RunAsync<string[]>("Greet", new[] { $"{n}" }, $"q-{n}");
        }

        await _app.StartAsync("Approve", TimeSpan.FromDays(1), "q-running");
        await _app.RunAsync<string[]>("Greet", new[] { "x" }, "other");
        await Client.WaitForInstanceStartAsync("q-running");
        var query = new OrchestrationQuery(InstanceIdPrefix: "q-", Statuses: [OrchestrationRuntimeStatus.Completed], PageSize: 2, FetchInputsAndOutputs: true);

        var pages = new List<Page<OrchestrationMetadata>>();
        await foreach (var page in Client.GetAllInstancesAsync(query).AsPages())
        {
            pages.Add(page);
        }

        Assert.Equal([2, 2, 1], pages.Select(p => p.Values.Count));
        Assert.Equal(["q-0", "q-1", "q-2", "q-3", "q-4"], pages.SelectMany(p => p.Values).Select(i => i.InstanceId));
        Assert.Equal(["Hello, 0!"], pages[0].Values[0].ReadOutputAs<string[]>()!);
        Assert.Equal(["q-2", "q-3", "q-4"], await IdsAsync(query with { ContinuationToken = pages[0].ContinuationToken }));
        Assert.Equal(["q-running"], await IdsAsync(new OrchestrationQuery(Statuses: [OrchestrationRuntimeStatus.Running])));
        Assert.Empty(await IdsAsync(new OrchestrationQuery(CreatedFrom: TimeProvider.System.GetUtcNow().AddHours(1))));
        await Assert.ThrowsAsync<ArgumentException>(() => IdsAsync(new OrchestrationQuery(ContinuationToken: "nonsense")));
    }

    [Fact]
    public async Task Inputs_outputs_and_tags_are_read_when_asked_for()
    {
        var options = new StartOrchestrationOptions("tagged") { Tags = new Dictionary<string, string> { ["team"] = "red" } };
        await Client.ScheduleNewOrchestrationInstanceAsync("Greet", new[] { "Ada" }, options);
        var full = await _app.EndAsync("tagged");
        var bare = (await Client.GetInstanceAsync("tagged"))!;

        Assert.Equal(["Ada"], full.ReadInputAs<string[]>()!);
        Assert.Equal("red", full.Tags["team"]);
        Assert.Null(bare.SerializedOutput);
        Assert.Throws<InvalidOperationException>(() => bare.ReadOutputAs<string[]>());
        Assert.True(bare is { IsCompleted: true, IsRunning: false });
    }

    private async Task<List<string>> IdsAsync(OrchestrationQuery query)
    {
        var ids = new List<string>();
        await foreach (var instance in Client.GetAllInstancesAsync(query))
        {
            ids.Add(instance.InstanceId);
        }

        return ids;
    }
}
