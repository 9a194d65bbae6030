using AgentPlatform.LocalHost;

namespace AgentPlatform.Tests.LocalHost.Durable;

/// <summary>What orchestrators may rely on. Every case runs twice: with orchestrators kept in memory, and replayed at each turn.</summary>
public abstract class ConformanceTests(bool sessions) : IAsyncLifetime
{
    private DurableApp _app = null!;

    public async Task InitializeAsync() => _app = await DurableApp.StartAsync(sessions);

    public async Task DisposeAsync()
    {
        _app.Bench.Gate.TrySetResult();
        await _app.DisposeAsync();
    }

    [Fact]
    public async Task Activities_run_one_after_the_other_with_input_and_result()
    {
        Assert.Equal(["Hello, Ada!", "Hello, Bob!", "Hello, Cy!"], (await _app.RunAsync<string[]>("Greet", new[] { "Ada", "Bob", "Cy" }))!);
        Assert.Empty((await _app.RunAsync<string[]>("Greet", Array.Empty<string>()))!);
    }

    [Fact]
    public async Task A_parameter_beside_the_context_reads_the_input() =>
        Assert.Equal(7, await _app.RunAsync<int>("InputByParameter", new[] { new Order("pear", 3), new Order("plum", 4) }));

    [Fact]
    public async Task Names_are_found_whatever_their_case_and_activities_know_their_caller()
    {
        var id = $"various-{sessions}";
        Assert.Equal([$"WhoCalls of {id}", $"in {id} WhichInstance", "True"], (await _app.RunAsync<string[]>("various", id: id))!);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(100)]
    public async Task WhenAll_gathers_parallel_activities(int width) => Assert.Equal(width * (width - 1), await _app.RunAsync<int>("FanOut", width));

    [Fact]
    public async Task WhenAny_goes_on_with_the_first_and_the_rest_may_run_on()
    {
        Assert.Equal("Hello, first!", await _app.RunAsync<string>("FirstOf"));
    }

    [Fact]
    public async Task A_failed_activity_is_thrown_with_its_details() => Assert.Equal(
        "Throw #0: no pears; True True False; the shelf is empty; True; Task 'Throw' (#0) failed with an unhandled exception: no pears",
        await _app.RunAsync<string>("Catch"));

    [Fact]
    public async Task What_an_orchestrator_does_not_catch_fails_it()
    {
        var byActivity = await _app.FailAsync("LetFail", "no plums");
        var byItself = await _app.FailAsync("ThrowItself");

        Assert.True(byActivity.IsCausedBy<TaskFailedException>());
        Assert.Equal("no plums", byActivity.InnerFailure!.ErrorMessage);
        Assert.True(byActivity.InnerFailure.IsCausedBy<OutOfStockException>());
        Assert.Equal("at once", byItself.ErrorMessage);
        Assert.True(byItself.IsCausedBy<OutOfStockException>());
    }

    [Fact]
    public async Task Unknown_names_fail_whoever_uses_them()
    {
        var activity = await _app.FailAsync("CallUnknown");
        var orchestrator = await _app.FailAsync("NobodyKnowsMe");

        Assert.Equal("ActivityTaskNotFound", activity.InnerFailure!.ErrorType);
        Assert.Equal("OrchestratorTaskNotFound", orchestrator.ErrorType);
        Assert.Contains("NobodyKnowsMe", orchestrator.ErrorMessage);
    }

    [Fact]
    public async Task A_timer_fires_after_its_time_and_not_before()
    {
        Assert.True(await _app.RunAsync<double>("Tick", TimeSpan.FromMilliseconds(300)) >= 300);
        Assert.InRange(await _app.RunAsync<double>("Tick", TimeSpan.Zero), 0, 60_000);
        Assert.InRange(await _app.RunAsync<double>("Tick", TimeSpan.FromSeconds(-5)), 0, 60_000);
    }

    [Fact]
    public async Task A_timer_fires_at_a_given_time()
    {
        var until = TimeProvider.System.GetUtcNow().UtcDateTime.AddMilliseconds(300);
        Assert.True(await _app.RunAsync<DateTime>("TickUntil", until) >= until.AddMilliseconds(-1));
    }

    [Fact]
    public async Task A_timer_given_up_is_cancelled_and_forgotten()
    {
        Assert.Equal("Hello, you!", await _app.RunAsync<string>("GiveUpTimer"));
        Assert.Equal(0, await _app.App.Database.ScalarAsync<long>("SELECT count(*) FROM durable.messages"));
    }

    [Fact]
    public async Task An_event_in_time_is_received_and_without_one_the_wait_is_cancelled()
    {
        var id = await _app.StartAsync("Approve", TimeSpan.FromMinutes(10));
        await _app.Client.RaiseEventAsync(id, "APPROVAL", "yes");

        Assert.Equal("yes", (await _app.EndAsync(id)).ReadOutputAs<string>());
        Assert.Equal("too late", await _app.RunAsync<string>("Approve", TimeSpan.FromMilliseconds(50)));
    }

    [Fact]
    public async Task Events_of_one_name_arrive_in_order_each_once()
    {
        var id = await _app.StartAsync("Collect", 5);
        for (var n = 1; n <= 5; n++)
        {
            await _app.Client.RaiseEventAsync(id, "Number", n);
        }

        var ended = await _app.EndAsync(id);
        Assert.Equal([1, 2, 3, 4, 5], ended.ReadOutputAs<int[]>()!);
        Assert.Equal(5, ended.ReadCustomStatusAs<int>());
    }

    [Fact]
    public async Task Early_events_wait_for_the_orchestrator()
    {
        var id = await _app.StartAsync("CollectLate");
        await _app.Client.RaiseEventAsync(id, "News", "one");
        await _app.Client.RaiseEventAsync(id, "nEWS", "two");
        await Eventually.SeeAsync(() => _app.App.Database.ScalarAsync<long>("SELECT count(*) FROM durable.history WHERE kind = 'EventRaised'"), n => n == 2);
        _app.Bench.Gate.SetResult();

        Assert.Equal("one two", (await _app.EndAsync(id)).ReadOutputAs<string>());
    }

    [Fact]
    public async Task A_wait_given_up_leaves_the_event_to_the_next_one()
    {
        var id = await _app.StartAsync("GiveUpWait");
        await _app.Client.WaitForInstanceStartAsync(id);
        await _app.Client.RaiseEventAsync(id, "Word", "kept");

        Assert.Equal("True kept", (await _app.EndAsync(id)).ReadOutputAs<string>());
    }

    [Fact]
    public async Task Orchestrators_send_events_to_each_other_and_to_nobody()
    {
        var id = await _app.StartAsync("Approve", TimeSpan.FromMinutes(10));
        await _app.RunAsync<string>("Tell", "there is no such instance");
        await _app.RunAsync<string>("Tell", id, "the-teller");

        Assert.Equal("from the-teller", (await _app.EndAsync(id)).ReadOutputAs<string>());
    }

    [Fact]
    public async Task A_sub_orchestration_knows_its_parent_and_gives_its_result()
    {
        Assert.Equal("Parent False Hello, in!", await _app.RunAsync<string>("Parent"));
        Assert.Equal("Parent False Hello, in!", await _app.RunAsync<string>("Parent", "chosen-child"));
        Assert.Equal("Child", (await _app.Client.GetInstanceAsync("chosen-child"))!.Name);
    }

    [Fact]
    public async Task A_failed_sub_orchestration_is_thrown_with_its_causes() =>
        Assert.Equal("LetFail: True True", await _app.RunAsync<string>("ParentOfFailing"));

    [Fact]
    public async Task A_sub_orchestration_of_an_id_that_runs_already_fails()
    {
        await _app.StartAsync("Approve", TimeSpan.FromDays(1), "taken");
        Assert.Contains("taken", await _app.RunAsync<string>("ParentOfWaiting", "taken"));
    }

    [Fact]
    public async Task Time_ids_and_logs_are_the_same_at_each_replay()
    {
        Assert.Equal("True True 5 False Utc", await _app.RunAsync<string>("Deterministic", id: "det"));
        var lines = _app.Log.Text.Split('\n');
        Assert.Single(lines, l => l.Contains("det begins"));
        Assert.Single(lines, l => l.Contains("det ends"));
    }

    [Fact]
    public async Task The_context_tells_name_id_and_version()
    {
        var options = new StartOrchestrationOptions("named") { Version = "1.9" };
        await _app.Client.ScheduleNewOrchestrationInstanceAsync("Name", options);
        Assert.Equal("Name named 1.9 True 0 -1", (await _app.EndAsync("named")).ReadOutputAs<string>());
    }

    [Fact]
    public async Task Awaiting_what_is_not_durable_fails_the_orchestrator_with_the_reason() =>
        Assert.Contains("not durable", (await _app.FailAsync("AwaitForeign")).ErrorMessage);

    [Theory]
    [InlineData(0, 3, 1)]
    [InlineData(2, 3, 3)]
    public async Task A_policy_tries_again_until_it_succeeds(int failures, int attempts, int runs)
    {
        var key = $"policy-{failures}";
        Assert.Equal(runs, await _app.RunAsync<int>("RetryByPolicy", new Retries(key, failures, attempts)));
        Assert.Equal(runs, _app.Bench.Count(key));
    }

    [Fact]
    public async Task A_policy_gives_up_after_its_attempts()
    {
        var failure = await _app.FailAsync("RetryByPolicy", new Retries("gives-up", 9, 3));
        Assert.Equal("attempt 3", failure.InnerFailure!.ErrorMessage);
        Assert.Equal(3, _app.Bench.Count("gives-up"));
    }

    [Fact]
    public async Task A_policy_asks_whether_a_failure_is_worth_another_attempt()
    {
        await _app.FailAsync("RetryNever", "never");
        Assert.Equal(1, _app.Bench.Count("never"));
    }

    [Fact]
    public async Task A_handler_decides_on_each_attempt_with_durable_steps_of_its_own()
    {
        Assert.Equal("1 attempt 1 True, 2 attempt 2 True, 3", await _app.RunAsync<string>("RetryByHandler", new Retries("handler", 2, 5)));
        Assert.Equal("1 attempt 1 True, 2 attempt 2 True, attempt 2", await _app.RunAsync<string>("RetryByHandler", new Retries("handler-ends", 9, 2)));
    }

    [Fact]
    public async Task A_sub_orchestration_is_tried_again_under_its_id()
    {
        var id = await _app.StartAsync("RetryChild", new Retries("child", 2, 3));
        Assert.Equal(3, (await _app.EndAsync(id)).ReadOutputAs<int>());
        Assert.Equal(OrchestrationRuntimeStatus.Completed, (await _app.Client.GetInstanceAsync($"{id}-child"))!.RuntimeStatus);
    }

    [Fact]
    public async Task Continue_as_new_begins_again_with_an_empty_history()
    {
        var id = await _app.StartAsync("CountDown", 10);
        var ended = await _app.EndAsync(id);

        Assert.Equal("done", ended.ReadOutputAs<string>());
        Assert.Equal(0, ended.ReadInputAs<int>());
        Assert.Equal(11, _app.Bench.Count(id));
        Assert.InRange(await _app.App.Database.ScalarAsync<long>("SELECT count(*) FROM durable.history"), 1, 10);
    }

    [Fact]
    public async Task Continue_as_new_keeps_events_nobody_waited_for()
    {
        var id = await _app.StartAsync("OneEach", 0);
        foreach (var number in new[] { 1, 2, 3 })
        {
            await _app.Client.RaiseEventAsync(id, "Number", number);
        }

        await Eventually.SeeAsync(() => _app.App.Database.ScalarAsync<long>("SELECT count(*) FROM durable.history WHERE kind = 'EventRaised'"), n => n == 3);
        _app.Bench.Gate.SetResult();
        Assert.Equal(6, (await _app.EndAsync(id)).ReadOutputAs<int>());
    }

    [Fact]
    public async Task Continue_as_new_forgets_events_when_told()
    {
        var id = await _app.StartAsync("ForgetEvents", false);
        await _app.Client.RaiseEventAsync(id, "Word", "lost");
        await Eventually.SeeAsync(() => _app.App.Database.ScalarAsync<long>("SELECT count(*) FROM durable.history WHERE kind = 'EventRaised'"), n => n == 1);
        _app.Bench.Gate.SetResult();

        Assert.Equal("forgotten", (await _app.EndAsync(id)).ReadOutputAs<string>());
    }

    [Fact]
    public async Task Continue_as_new_may_change_the_version() => Assert.Equal("2.0", await _app.RunAsync<string>("NextVersion", false));
}

public sealed class ConformanceWithSessionsTests() : ConformanceTests(sessions: true);

public sealed class ConformanceByReplayTests() : ConformanceTests(sessions: false);
