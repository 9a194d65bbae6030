using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Tasks;

namespace AgentPlatform.Tests.Tasks;

/// <summary>Attempts, their record, and how tasks end.</summary>
public sealed class BoardRunTests : IAsyncLifetime
{
    private static readonly StepOutcome Down = new StepOutcome.Failed(new TaskFailure("down", "The server is down."), Again: true);

    private Board _board = null!;

    public async Task InitializeAsync() => _board = await Board.StartAsync();

    public async Task DisposeAsync() => await _board.DisposeAsync();

    [Fact]
    [Behaviour("bb-task-retry")]
    public async Task A_failure_is_counted_and_kept_and_retried_as_a_new_execution_until_the_task_has_failed()
    {
        _board.Processor.Does = _ => Task.FromResult(Down);
        var id = await _board.PutAsync("unlucky");
        for (var failures = 1; failures <= 4; failures++)
        {
            await _board.DrainDueAsync();
            var task = await _board.ReadAsync(id);
            Assert.Equal((failures, "The server is down.", failures < 4 ? "queued" : "failed"), (task.ErrorCount, task.LastError, task.Status));
            Assert.Contains("down", task.StatusReason, StringComparison.Ordinal);
        }

        await _board.DrainDueAsync();
        var executions = await _board.ExecutionsAsync(id);
        Assert.Equal([1, 2, 3, 4], executions.Select(e => e.AttemptNumber));
        Assert.All(executions, e => Assert.Equal(("failed", "down", "The server is down."), (e.Status, e.ErrorCode, e.Error)));
        Assert.Equal(["created", "retry", "retry", "retry"], executions.Select(e => e.TriggeredBy));

        // An operator may try once more.
        _board.Processor.Does = _ => Task.FromResult<StepOutcome>(new StepOutcome.Done(Json.Of(new { ok = true })));
        Assert.Equal("queued", (await _board.MoveAsync(id, "retry")).Json.GetProperty("status").GetString());
        await _board.DrainDueAsync();
        Assert.Equal(("completed", 4), ((await _board.ReadAsync(id)).Status, (await _board.ReadAsync(id)).ErrorCount));
        Assert.Equal("user", (await _board.ExecutionsAsync(id))[^1].TriggeredBy);
    }

    [Fact]
    public async Task The_next_attempt_comes_later_each_time()
    {
        _board.Processor.Does = _ => Task.FromResult(Down);
        await _board.PutAsync("unlucky");
        var waits = new List<double>();
        for (var failures = 1; failures <= 3; failures++)
        {
            await _board.DrainDueAsync();
            waits.Add(await _board.Platform.Postgres.ScalarAsync<double>("SELECT extract(epoch FROM run_at - now())::double precision FROM work.items WHERE kind = 'tasks.run' AND state = 'ready'"));
        }

        Assert.InRange(waits[0], 20, 31);
        Assert.InRange(waits[1], 50, 61);
        Assert.InRange(waits[2], 110, 121);
    }

    [Fact]
    public async Task Nobody_does_a_task_of_an_unknown_type_or_with_a_config_that_makes_no_sense_and_it_says_so()
    {
        var unknown = await _board.PutAsync("paint", new { task_type = "paint_the_fence" });
        var broken = await _board.PutAsync("broken", new { execution_config = new { broken = true } });

        await _board.DrainAsync();

        Assert.Equal(("failed", "Nobody here does tasks of type 'paint_the_fence'."), ((await _board.ReadAsync(unknown)).Status, (await _board.ReadAsync(unknown)).LastError));
        Assert.Equal("no_processor", Assert.Single(await _board.ExecutionsAsync(unknown)).ErrorCode);
        Assert.Equal(("failed", "It is broken."), ((await _board.ReadAsync(broken)).Status, (await _board.ReadAsync(broken)).LastError));
    }

    [Fact]
    [Behaviour("bb-task-execution-steps")]
    public async Task An_attempt_shows_its_steps_while_it_goes_on_and_keeps_their_results_logs_and_use_of_resources()
    {
        TaskExecution? seen = null;
        var id = Guid.Empty;
        _board.Processor.Steps =
        [
            new("look", (_, _, _) => Task.FromResult<StepOutcome>(new StepOutcome.Done(Json.Of(new { found = 3 })))),
            new("write", async (_, _, _) =>
            {
                seen = Assert.Single(await _board.ExecutionsAsync(id));
                return new StepOutcome.Done(Json.Of(new { debug_url = "https://debug.example/1", screenshots = new[] { "https://files.example/1.png", "javascript:alert(1)" }, browser_session_id = "bs_1", recording_url = "https://rec.example/1", resource_usage = new { browser_minutes = 2 } }));
            }),
        ];
        id = await _board.PutAsync("two steps");

        await _board.DrainAsync();

        Assert.Equal(("started", 1, 2, "write", 1), (seen!.Status, seen.StepsCompleted, seen.StepsTotal, seen.CurrentStep, seen.AttemptNumber));
        Assert.Null(seen.CompletedAt);
        var execution = Assert.Single(await _board.ExecutionsAsync(id));
        Assert.Equal(("completed", "created", 2, 2, null), (execution.Status, execution.TriggeredBy, execution.StepsCompleted, execution.StepsTotal, execution.CurrentStep));
        Assert.Equal(["look", "write"], execution.StepResults.EnumerateArray().Select(r => r.GetProperty("step").GetString()));
        Assert.Equal(3, execution.StepResults[0].GetProperty("value").GetProperty("found").GetInt32());
        Assert.Equal(["Begun.", "Step look is done.", "Step write is done.", "Completed."], execution.Logs.EnumerateArray().Select(l => l.GetProperty("message").GetString()));
        Assert.Equal(("bs_1", "https://debug.example/1", "https://rec.example/1"), (execution.BrowserSessionId, execution.DebugUrl, execution.RecordingUrl));
        Assert.Equal("https://files.example/1.png", Assert.Single(execution.Screenshots.EnumerateArray()).GetString());
        Assert.Equal((2, 2), (execution.ResourceUsage!.Value.GetProperty("transactions").GetInt32(), execution.ResourceUsage.Value.GetProperty("browser_minutes").GetInt32()));
        Assert.True(execution.Duration >= 0);
    }

    [Fact]
    [Behaviour("bb-task-execution-steps")]
    public async Task A_step_that_throws_keeps_the_steps_before_it_and_its_code_and_stack_and_nothing_of_its_own()
    {
        _board.Processor.Steps =
        [
            new("first", (_, tx, _) => Write(tx, "kept")),
            new("second", async (_, tx, _) =>
            {
                await Write(tx, "lost");
                throw new InvalidOperationException("The pen broke.");
            }),
        ];
        var id = await _board.PutAsync("clumsy", new { max_retries = 0 });

        await _board.DrainAsync();

        var execution = Assert.Single(await _board.ExecutionsAsync(id));
        Assert.Equal(("failed", "InvalidOperationException", "The pen broke.", 1, "second"), (execution.Status, execution.ErrorCode, execution.Error, execution.StepsCompleted, execution.CurrentStep));
        Assert.Contains("BoardRunTests", execution.ErrorStack, StringComparison.Ordinal);
        Assert.Equal("kept", await _board.Platform.Postgres.ScalarAsync<string>("SELECT description FROM tasks.agency_tasks"));
        Assert.Equal("failed", (await _board.ReadAsync(id)).Status);

        static async Task<StepOutcome> Write(Transaction tx, string text)
        {
            await tx.ExecuteAsync("UPDATE tasks.agency_tasks SET description = $1", [text], default);
            return new StepOutcome.Done(Json.Of(text));
        }
    }

    [Fact]
    [Behaviour("bb-task-timestamps")]
    public async Task Each_transition_is_dated_and_each_state_has_its_reason()
    {
        var id = await _board.PutAsync("watched", new { execution_type = "manual" });
        var pending = await _board.ReadAsync(id);
        Assert.Equal(("pending", "Waits for somebody to start it."), (pending.Status, pending.StatusReason));
        Assert.Equal((null, null, null), (pending.QueuedAt, pending.StartedAt, pending.CompletedAt));

        await _board.MoveAsync(id, "run");
        var queued = await _board.ReadAsync(id);
        Assert.Equal("queued", queued.Status);
        Assert.NotNull(queued.QueuedAt);
        Assert.Null(queued.StartedAt);

        AgencyTask? running = null;
        _board.Processor.Does = async _ =>
        {
            running = await _board.ReadAsync(id);
            return new StepOutcome.Done(Json.Of(1), "Fine.");
        };
        await _board.DrainAsync();
        Assert.Equal(("in_progress", "An attempt is under way.", null), (running!.Status, running.StatusReason, running.CompletedAt));
        Assert.NotNull(running.StartedAt);

        var completed = await _board.ReadAsync(id);
        Assert.Equal(("completed", null, "Fine."), (completed.Status, completed.StatusReason, completed.ResultSummary));
        Assert.True(completed.QueuedAt <= completed.StartedAt && completed.StartedAt <= completed.CompletedAt);
        Assert.Equal(["agency_task.created", "agency_task.queued", "agency_task.started", "agency_task.completed"], await _board.EventsAsync(id));

        var cancelled = await _board.PutAsync("unwanted", new { execution_type = "manual" });
        await _board.MoveAsync(cancelled, "cancel", new { reason = "Nobody wants it." });
        Assert.Equal("Nobody wants it.", (await _board.ReadAsync(cancelled)).StatusReason);
        Assert.NotNull((await _board.ReadAsync(cancelled)).CompletedAt);
        Assert.Equal((409, "task_state"), Problem(await _board.MoveAsync(cancelled, "cancel")));
    }

    [Fact]
    public async Task A_queued_task_that_is_cancelled_or_changed_does_not_run_as_it_was()
    {
        var cancelled = await _board.PutAsync("cancelled");
        var changed = await _board.PutAsync("before");
        await _board.MoveAsync(cancelled, "cancel");
        var read = await _board.Api.GetAsync($"/api/v1/agency-tasks/{changed}");
        var etag = read.Header("ETag")!;

        var patched = await _board.Api.SendAsync(HttpMethod.Patch, $"/api/v1/agency-tasks/{changed}", new { title = "after", priority = "high", tags = new[] { "x" } }, null, ("If-Match", etag));
        Assert.Equal(200, patched.Status);
        Assert.Equal((412, "precondition_failed"), Problem(await _board.Api.SendAsync(HttpMethod.Patch, $"/api/v1/agency-tasks/{changed}", new { title = "late" }, null, ("If-Match", etag))));
        await _board.DrainAsync();

        Assert.Equal(["after"], _board.Processor.Ran);
        Assert.Single(await _board.ExecutionsAsync(changed));
        Assert.Equal((409, "task_state"), Problem(await _board.Api.SendAsync(HttpMethod.Patch, $"/api/v1/agency-tasks/{changed}", new { title = "too late" })));
    }

    [Fact]
    public async Task The_board_is_listed_by_its_filters_and_read_by_those_who_may()
    {
        var ids = new List<Guid>();
        for (var i = 0; i < 3; i++)
        {
            ids.Add(await _board.PutAsync($"{i}", new { execution_type = "manual", tags = new[] { i == 1 ? "odd" : "even" }, priority = i == 2 ? "high" : "low" }));
        }

        var first = (await _board.Api.GetAsync("/api/v1/agency-tasks?limit=2")).Json;
        var second = (await _board.Api.GetAsync($"/api/v1/agency-tasks?limit=2&cursor={first.GetProperty("next_cursor").GetString()}")).Json;
        Assert.Equal([ids[2], ids[1], ids[0]], Ids(first).Concat(Ids(second)));
        Assert.Equal([ids[2], ids[0]], Ids((await _board.Api.GetAsync("/api/v1/agency-tasks?tag=even&status=pending&assigned_to_bot=true&task_type=probe")).Json));
        Assert.Equal([ids[2]], Ids((await _board.Api.GetAsync($"/api/v1/agency-tasks?priority=high&user_id={_board.Api.Tenant.OwnerId}")).Json));
        Assert.Equal((400, "validation_failed"), Problem(await _board.Api.GetAsync("/api/v1/agency-tasks?status=lost")));
        Assert.Equal((404, "task_not_found"), Problem(await _board.Api.GetAsync($"/api/v1/agency-tasks/{Guid.Empty}/executions")));
        Assert.Equal((400, "validation_failed"), Problem(await _board.Api.PostAsync("/api/v1/agency-tasks", new { title = "x", task_type = "probe", priority = "immense", max_retries = 101 })));
        Assert.Equal((403, "missing_scope"), Problem(await _board.Api.GetAsync("/api/v1/agency-tasks", await _board.Api.KeyAsync("member", "contacts:read"))));

        var stranger = await _board.Platform.ProvisionAsync("Other");
        Assert.Empty(Ids((await _board.Api.GetAsync("/api/v1/agency-tasks", stranger.ApiKey)).Json));
        Assert.Equal(404, (await _board.Api.GetAsync($"/api/v1/agency-tasks/{ids[0]}", stranger.ApiKey)).Status);
    }

    private static IEnumerable<Guid> Ids(System.Text.Json.JsonElement page) => page.GetProperty("items").EnumerateArray().Select(t => t.GetProperty("id").GetGuid());

    private static (int, string) Problem(Api.ApiAnswer answer) => (answer.Status, answer.Status >= 400 ? answer.Code : answer.Body);
}
