using AgentPlatform.Kernel;
using AgentPlatform.Workflows;

namespace AgentPlatform.Tests.Workflows;

/// <summary>What happens to the steps that were done when a later one fails.</summary>
public sealed class UndoTests : IAsyncLifetime
{
    private static readonly object[] Application =
    [
        new { id = "reserve", action = "reserve", input = new { n = "$.input.job" } },
        new { id = "upload", action = "upload", reversibility = "compensable", undo = new { action = "remove", input = new { @ref = "$.step.result.ref", n = "$.step.input.n" } }, input = new { n = "cv" } },
        new { id = "submit", action = "submit", reversibility = "final" },
        new { id = "notify", action = "notify" },
    ];

    private Flows _flows = null!;

    public async Task InitializeAsync() => _flows = await Flows.StartAsync();

    public async Task DisposeAsync() => await _flows.DisposeAsync();

    [Fact]
    [Behaviour("brain-wf-rollback")]
    public async Task A_failure_undoes_the_completed_steps_in_reverse_order_with_what_they_were_given_and_brought()
    {
        await _flows.DefineAsync("apply", Application);
        _flows.Depot.Refuses["submit"] = 422;
        var failed = await _flows.RunAsync("apply", new { job = "J101" });

        Assert.Equal(["reserve", "upload", "remove", "release"], _flows.Depot.Names);
        Assert.Equal("cv", _flows.Depot.Effects.ElementAt(2).Body.GetProperty("n").GetString());
        Assert.Equal("upload-2", _flows.Depot.Effects.ElementAt(2).Body.GetProperty("ref").GetString());
        // By the registry's own rollback: what was given, and what came over it.
        Assert.Equal(("reserve-1", "J101"), (_flows.Depot.Effects.Last().Body.GetProperty("ref").GetString(), _flows.Depot.Effects.Last().Body.GetProperty("n").GetString()));
        Assert.Equal(("failed", true, "undoing", "submit", "action_api_rejected"), (failed.Status, failed.RollbackPerformed, failed.Phase, failed.ErrorStep, failed.ErrorCode));
        var undone = failed.RollbackSteps.EnumerateArray().ToList();
        Assert.Equal(["upload", "reserve"], undone.Select(u => u.GetProperty("step_id").GetString()));
        Assert.Equal(["remove", "release"], undone.Select(u => u.GetProperty("action_id").GetString()));
        Assert.All(undone, u => Assert.Equal("completed", u.GetProperty("status").GetString()));
        Assert.Equal(2, await _flows.Platform.Postgres.ScalarAsync<long>("SELECT count(*) FROM actions.action_execution_log WHERE rollback_performed"));
        Assert.StartsWith("submit:action_api_rejected:", failed.ErrorSignature, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_failure_after_the_final_step_undoes_nothing()
    {
        await _flows.DefineAsync("apply", Application);
        _flows.Depot.Refuses["notify"] = 422;
        var failed = await _flows.RunAsync("apply");

        Assert.Equal(["reserve", "upload", "submit"], _flows.Depot.Names);
        Assert.Equal(("failed", false, 3, 75), (failed.Status, failed.RollbackPerformed, failed.StepsCompleted, failed.ProgressPercentage));
    }

    [Fact]
    public async Task A_final_step_of_which_nobody_knows_whether_it_happened_undoes_nothing()
    {
        // Not idempotent, and no way to ask: an answer that is lost leaves the outcome unknown.
        await _flows.OfferAsync(Flows.Act("pay") with { ApiIdempotent = false });
        await _flows.DefineAsync("buy", new { id = "reserve", action = "reserve" }, new { id = "pay", action = "pay", reversibility = "final" });
        _flows.Depot.Refuses["pay"] = 500;
        var failed = await _flows.RunAsync("buy");

        Assert.Equal(("failed", "action_api_error", false), (failed.Status, failed.ErrorCode, failed.RollbackPerformed));
        Assert.Equal(["reserve"], _flows.Depot.Names);
    }

    [Fact]
    public async Task An_undoing_has_its_own_retries_and_dead_letter_and_does_not_keep_the_others_from_being_undone()
    {
        await _flows.DefineAsync(
            "apply", new { id = "reserve", action = "reserve" },
            new { id = "upload", action = "upload", undo = new { action = "remove", retry = new { max_retries = 3, initial_delay_seconds = 0 } } }, new { id = "submit", action = "submit" });
        _flows.Depot.Refuses["submit"] = 422;
        _flows.Depot.Refuses["remove"] = 500;
        var failed = await _flows.RunAsync("apply");
        for (var i = 0; i < 5 && failed.Status == "in_progress"; i++)
        {
            await _flows.ChangeAsync("UPDATE actions.action_queue SET next_retry_at = now() WHERE status = 'retrying'");
            await _flows.ChangeAsync("UPDATE work.items SET run_at = now() WHERE state = 'ready'");
            await _flows.DrainAsync();
            failed = await _flows.ReadAsync(failed.Id);
        }

        Assert.Equal(3, _flows.Depot.Calls.Count(call => call == "remove"));
        Assert.Equal(("failed", false), (failed.Status, failed.RollbackPerformed));
        Assert.Equal(["failed", "completed"], failed.RollbackSteps.EnumerateArray().Select(u => u.GetProperty("status").GetString()));
        Assert.Equal(["reserve", "upload", "release"], _flows.Depot.Names);
        var letters = (await _flows.Api.GetAsync("/api/v1/actions/dead-letters")).Json.GetProperty("items").EnumerateArray().Select(l => l.GetProperty("action_id").GetString()).Order().ToList();
        Assert.Equal(["remove", "submit"], letters);
    }

    [Fact]
    public async Task Nothing_begins_beside_a_step_that_fails_at_once()
    {
        await _flows.DefineAsync("beside", new { id = "reserve", action = "reserve", after = Array.Empty<string>() }, new { id = "upload", action = "upload", after = Array.Empty<string>(), for_each = "$.input.files" });
        var failed = await _flows.RunAsync("beside", new { files = "none" });
        Assert.Equal(("failed", "not_a_list"), (failed.Status, failed.ErrorCode));
        Assert.Empty(_flows.Depot.Calls);
        Assert.Equal("not_started", (await _flows.StepsAsync(failed.Id))[0].Status);
    }

    [Fact]
    public async Task Every_element_that_was_done_is_undone()
    {
        await _flows.DefineAsync("each", new { id = "upload", action = "upload", for_each = "$.input.files", input = new { n = "$.item" }, undo = new { action = "remove", input = new { n = "$.item" } } }, new { id = "submit", action = "submit" });
        _flows.Depot.Refuses["submit"] = 422;
        var failed = await _flows.RunAsync("each", new { files = new[] { "a", "b", "c" } });

        Assert.Equal(["a", "b", "c"], _flows.Depot.Effects.Where(e => e.Name == "remove").Select(e => e.Body.GetProperty("n").GetString()).Order());
        Assert.True(failed.RollbackPerformed);
        Assert.Equal(3, (await _flows.StepsAsync(failed.Id))[0].Undone.Count);
    }

    [Fact]
    public async Task What_runs_beside_a_failure_is_waited_for_and_then_undone_too()
    {
        await _flows.DefineAsync("beside", new { id = "reserve", action = "reserve", after = Array.Empty<string>() }, new { id = "submit", action = "submit", after = Array.Empty<string>() }, new { id = "join", action = "notify", after = new[] { "reserve", "submit" } });
        _flows.Depot.Refuses["submit"] = 422;
        var refused = new TaskCompletionSource();
        _flows.Depot.Meanwhile["submit"] = () =>
        {
            refused.TrySetResult();
            return Task.CompletedTask;
        };
        _flows.Depot.Meanwhile["reserve"] = () => refused.Task.WaitAsync(TimeSpan.FromSeconds(60));
        var failed = await _flows.RunAsync("beside");

        Assert.Equal(["reserve", "release"], _flows.Depot.Names);
        Assert.Equal(("failed", true), (failed.Status, failed.RollbackPerformed));
    }

    [Fact]
    public async Task The_contact_is_told_once_when_the_workflow_has_words_for_it()
    {
        await _flows.DefineWholeAsync("told", new { steps = new object[] { new { id = "submit", action = "submit" } }, failure_message = "That did not work." });
        _flows.Depot.Refuses["submit"] = 422;
        await _flows.RunAsync("told");
        Assert.Equal(["That did not work."], await _flows.Platform.AsAsync(_flows.Actor, tx =>
            tx.QueryAsync<string>("SELECT message_data ->> 'text' FROM messaging.message_queue", [], default)));
    }

    [Fact]
    public async Task A_run_shows_each_attempt_at_its_steps_and_at_their_undoing()
    {
        var calls = 0;
        _flows.Depot.Refuses["upload"] = 503;
        _flows.Depot.Meanwhile["upload"] = () =>
        {
            if (++calls == 2)
            {
                _flows.Depot.Refuses.TryRemove("upload", out _);
            }

            return Task.CompletedTask;
        };
        _flows.Depot.Refuses["submit"] = 422;
        await _flows.DefineAsync(
            "apply", new { id = "reserve", action = "reserve", input = new { n = "$.input.n" } },
            new { id = "upload", action = "upload", retry = new { max_retries = 2, initial_delay_seconds = 0 }, undo = new { action = "remove" } },
            new { id = "submit", action = "submit", reversibility = "final" });

        var run = await _flows.RunAsync("apply", new { n = "7" });

        var steps = (await _flows.StepsAsync(run.Id)).ToDictionary(node => node.Step.Id, node => node.Attempts);
        Assert.Equal(["forward 1 completed", "undo 1 completed"], steps["reserve"].Select(Said));
        Assert.Equal(["forward 1 failed", "forward 2 completed", "undo 1 completed"], steps["upload"].Select(Said));
        Assert.Equal(["forward 1 failed"], steps["submit"].Select(Said));
        Assert.Equal("7", steps["reserve"][0].Execution.ParamsUsed.GetProperty("n").GetString());
        Assert.Equal("upload-2", steps["upload"][1].Execution.Result?.GetProperty("ref").GetString());
        Assert.Equal((503, 422), (steps["upload"][0].Execution.ApiResponseStatus, steps["submit"][0].Execution.ApiResponseStatus));
        Assert.All(steps.Values.SelectMany(tried => tried), tried => Assert.NotNull(tried.Execution.DurationMs));

        static string Said(StepAttempt tried) => $"{tried.Direction} {tried.Execution.Number} {tried.Execution.Status}";
    }
}
