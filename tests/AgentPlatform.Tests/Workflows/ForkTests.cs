using AgentPlatform.Kernel;
using AgentPlatform.Workflows;
using AgentPlatform.Workflows.Forks;

namespace AgentPlatform.Tests.Workflows;

/// <summary>New runs out of old ones, one by one and by the fleet.</summary>
public sealed class ForkTests : IAsyncLifetime
{
    private static readonly object Upload = new { id = "upload", action = "upload", input = new { n = "$.input.n" } };
    private static readonly object Submit = new { id = "submit", action = "submit", input = new { n = "$.input.n", @ref = "$.steps.upload.ref" }, after = new[] { "upload" } };
    private static readonly object Notify = new { id = "notify", action = "notify", input = new { @ref = "$.steps.submit.ref" }, after = new[] { "submit" } };

    private Flows _flows = null!;

    public async Task InitializeAsync() => _flows = await Flows.StartAsync();

    public async Task DisposeAsync() => await _flows.DisposeAsync();

    [Fact]
    public async Task A_fork_of_a_failed_run_goes_on_from_the_step_that_failed_with_the_history_before_it()
    {
        await _flows.DefineAsync("apply", Upload, Submit, Notify);
        _flows.Depot.Refuses["submit"] = 422;
        var failed = await _flows.RunAsync("apply", new { n = "7" });
        _flows.Depot.Refuses.Clear();
        var answer = await _flows.MoveAsync(failed.Id, "fork");
        Assert.Equal((201, 1, 33), (answer.Status, answer.Json.GetProperty("steps_completed").GetInt32(), answer.Json.GetProperty("progress_percentage").GetInt32()));
        await _flows.DrainAsync();

        var fork = await _flows.ReadAsync(answer.Json.GetProperty("id").GetGuid());
        Assert.Equal(("completed", "fork", failed.Id, "submit", 3), (fork.Status, fork.StartedBy, fork.ForkedFrom, fork.ForkedAtStep, fork.StepsExecuted.GetArrayLength()));
        Assert.Equal(["upload", "submit", "notify"], _flows.Depot.Names);
        Assert.Equal(("7", "upload-1"), (_flows.Depot.Effects.ElementAt(1).Body.GetProperty("n").GetString(), _flows.Depot.Effects.ElementAt(1).Body.GetProperty("ref").GetString()));
        Assert.Equal(failed.Id, (await _flows.StepsAsync(fork.Id))[0].Run!.OriginInstance);
        Assert.Equal("failed", (await _flows.ReadAsync(failed.Id)).Status);
        Assert.Equal([fork.Id], (await _flows.Api.GetAsync($"/api/v1/workflow-instances?forked_from={failed.Id}")).Json.GetProperty("items").EnumerateArray().Select(i => i.GetProperty("id").GetGuid()));
    }

    [Fact]
    public async Task A_fork_of_a_finished_run_does_a_step_again_and_all_that_follows_it_perhaps_in_a_mended_version()
    {
        await _flows.DefineAsync("apply", Upload, Submit, Notify);
        var done = await _flows.RunAsync("apply", new { n = "7" });
        await _flows.Api.SendAsync(HttpMethod.Patch, "/api/v1/workflows/apply", new { definition = new { steps = new[] { Upload, new { id = "submit", action = "remove", after = new[] { "upload" } } } } });

        await _flows.MoveAsync(done.Id, "fork", new { from_step = "submit" });
        await _flows.MoveAsync(done.Id, "fork", new { from_step = "submit", version = 2 });
        await _flows.DrainAsync();
        Assert.Equal(["notify", "remove", "submit"], _flows.Depot.Names.Skip(3).Order());

        Assert.Equal(400, (await _flows.MoveAsync(done.Id, "fork")).Status);
        Assert.Equal(400, (await _flows.MoveAsync(done.Id, "fork", new { from_step = "nothing" })).Status);
        Assert.Equal("workflow_version_not_found", (await _flows.MoveAsync(done.Id, "fork", new { from_step = "submit", version = 9 })).Code);
        var running = await _flows.BeginAsync("apply");
        Assert.Equal("workflow_instance_not_over", (await _flows.MoveAsync(running, "fork", new { from_step = "submit" })).Code);
    }

    [Fact]
    public async Task What_was_undone_is_done_again_and_what_is_final_is_not()
    {
        await _flows.DefineAsync("apply", new { id = "reserve", action = "reserve" }, new { id = "upload", action = "upload" }, new { id = "submit", action = "submit", reversibility = "final" }, new { id = "notify", action = "notify" });
        _flows.Depot.Refuses["submit"] = 422;
        var undone = await _flows.RunAsync("apply");
        _flows.Depot.Refuses.Clear();
        await _flows.MoveAsync(undone.Id, "fork");
        await _flows.DrainAsync();
        // The upload followed what was undone.
        Assert.Equal(["reserve", "upload", "release", "reserve", "upload", "submit", "notify"], _flows.Depot.Names);

        _flows.Depot.Refuses["notify"] = 422;
        var told = await _flows.RunAsync("apply");
        Assert.Equal("fork_repeats_final", (await _flows.MoveAsync(told.Id, "fork", new { from_step = "upload" })).Code);
        _flows.Depot.Refuses.Clear();
        Assert.Equal(201, (await _flows.MoveAsync(told.Id, "fork")).Status);
        await _flows.DrainAsync();
        Assert.Equal(2, _flows.Depot.Names.Count(name => name == "submit"));
    }

    [Fact]
    public async Task Two_forks_that_fail_undo_what_they_share_once()
    {
        await _flows.DefineAsync("apply", new { id = "reserve", action = "reserve" }, new { id = "submit", action = "submit" }, new { id = "go", type = "wait", @event = "go" });
        var done = await _flows.RunAsync("apply");
        await _flows.MoveAsync(done.Id, "signals", new { name = "go" });
        await _flows.DrainAsync();
        _flows.Depot.Refuses["submit"] = 422;
        foreach (var _ in Enumerable.Range(0, 2))
        {
            await _flows.MoveAsync(done.Id, "fork", new { from_step = "submit" });
            await _flows.DrainAsync();
        }

        Assert.Single(_flows.Depot.Names, name => name == "release");
        Assert.Equal(2, await _flows.Platform.Postgres.ScalarAsync<long>("SELECT count(*) FROM workflows.workflow_instances WHERE status = 'failed' AND rollback_performed"));
    }

    [Fact]
    public async Task Runs_that_failed_alike_are_taken_up_again_after_a_canary_at_the_chosen_rate()
    {
        await FailAsync(9);
        var group = Assert.Single((await _flows.Api.GetAsync("/api/v1/workflow-failures?workflow_id=apply")).Json.GetProperty("items").EnumerateArray());
        Assert.Equal((9, "submit"), (group.GetProperty("count").GetInt32(), group.GetProperty("error_step").GetString()));
        _flows.Depot.Refuses.Clear();
        var fleet = await FleetAsync(group.GetProperty("error_signature").GetString()!, canary: 2, perMinute: 3);
        Assert.Equal(("canary", 9), (fleet.Status, fleet.Matched));

        await _flows.DrainAsync();
        Assert.Equal(("canary", 2, 2), await SeenAsync(fleet.Id));
        // The next looks: one minute's worth is three, and more only with time.
        await TickAsync();
        Assert.Equal(("canary", 2, 2), await SeenAsync(fleet.Id));
        await LaterAsync(20);
        Assert.Equal(("running", 3, 3), await SeenAsync(fleet.Id));
        await TickAsync();
        Assert.Equal(("running", 3, 3), await SeenAsync(fleet.Id));
        await LaterAsync(3600);
        Assert.Equal(("running", 6, 6), await SeenAsync(fleet.Id));
        await LaterAsync(3600);
        await LaterAsync(3600);
        Assert.Equal(("completed", 9, 9), await SeenAsync(fleet.Id));
        Assert.Equal(9, _flows.Depot.Names.Count(name => name == "upload"));
        Assert.Equal(9, _flows.Depot.Names.Count(name => name == "submit"));
        Assert.Equal("nothing_to_fork", (await _flows.Api.PostAsync("/api/v1/workflow-fleet-forks", Body(group.GetProperty("error_signature").GetString()!, 0, 60))).Code);
    }

    [Fact]
    public async Task A_canary_that_fails_again_stops_the_fleet()
    {
        await FailAsync(4);
        var signature = (await _flows.Api.GetAsync("/api/v1/workflow-failures")).Json.GetProperty("items")[0].GetProperty("error_signature").GetString()!;
        var fleet = await FleetAsync(signature, canary: 1, perMinute: 600);
        await _flows.DrainAsync();
        await TickAsync();

        var stopped = Json.Read<FleetFork>((await _flows.Api.GetAsync($"/api/v1/workflow-fleet-forks/{fleet.Id}")).Json);
        Assert.Equal(("stopped", "A canary has failed again.", 1, 1), (stopped.Status, stopped.Reason, stopped.Forked, stopped.Failed));
        Assert.Equal("fleet_fork_over", (await _flows.Api.PostAsync($"/api/v1/workflow-fleet-forks/{fleet.Id}/stop", null)).Code);
        Assert.Equal(5, _flows.Depot.Calls.Count(call => call == "submit"));
    }

    private static object Body(string signature, int canary, int perMinute) => new { workflow_id = "apply", error_signature = signature, canary, per_minute = perMinute };

    private async Task FailAsync(int count)
    {
        await _flows.DefineAsync("apply", Upload, Submit);
        _flows.Depot.Refuses["submit"] = 422;
        for (var n = 0; n < count; n++)
        {
            await _flows.BeginAsync("apply", new { n = $"{n}" });
        }

        await _flows.DrainAsync();
    }

    private async Task<FleetFork> FleetAsync(string signature, int canary, int perMinute)
    {
        var answer = await _flows.Api.PostAsync("/api/v1/workflow-fleet-forks", Body(signature, canary, perMinute));
        Assert.True(answer.Status == 202, answer.Body);
        return Json.Read<FleetFork>(answer.Json);
    }

    private async Task<(string Status, long Forked, long Completed)> SeenAsync(Guid id)
    {
        var fleet = Json.Read<FleetFork>((await _flows.Api.GetAsync($"/api/v1/workflow-fleet-forks/{id}")).Json);
        return (fleet.Status, fleet.Forked, fleet.Completed);
    }

    /// <summary>The fleet looks again.</summary>
    private async Task TickAsync()
    {
        await _flows.ChangeAsync("UPDATE work.items SET run_at = now() WHERE kind = 'workflows.fleet' AND state = 'ready'");
        await _flows.DrainAsync();
    }

    private async Task LaterAsync(int seconds)
    {
        await _flows.ChangeAsync("UPDATE workflows.workflow_fleet_forks SET released_at = released_at - make_interval(secs => $1)", seconds);
        await TickAsync();
    }
}
