using AgentPlatform.Workflows;

namespace AgentPlatform.Tests.Workflows;

/// <summary>Runs from their start to their end: order, data, progress, histories.</summary>
public sealed class RunTests : IAsyncLifetime
{
    private Flows _flows = null!;

    public async Task InitializeAsync() => _flows = await Flows.StartAsync();

    public async Task DisposeAsync() => await _flows.DisposeAsync();

    [Fact]
    [Behaviour("brain-wf-progress", "brain-wf-step-history", "brain-wf-complete")]
    public async Task Steps_pass_their_results_on_and_each_shows_in_progress_and_history_until_all_are_done()
    {
        await _flows.DefineAsync("apply", new { id = "reserve", action = "reserve", input = new { n = "$.input.job" } }, new { id = "upload", action = "upload", input = new { @ref = "$.steps.reserve.ref" } }, new { id = "notify", action = "notify" });
        var seen = new List<WorkflowInstance>();
        Guid id = default;
        foreach (var name in new[] { "reserve", "upload", "notify" })
        {
            // Between two steps, while the third party works on the next.
            _flows.Depot.Meanwhile[name] = async () => seen.Add(await _flows.ReadAsync(id));
        }

        id = await _flows.BeginAsync("apply", new { job = "J101" });
        await _flows.DrainAsync();
        var done = await _flows.ReadAsync(id);

        Assert.Equal([(1, 0, 0, 3, 3), (2, 33, 1, 2, 3), (3, 66, 2, 1, 3)], seen.Select(i => (i.CurrentStep!.Value, i.ProgressPercentage, i.StepsCompleted, i.StepsRemaining, i.StepsTotal)));
        Assert.Equal(("completed", 100, 3, 0, false), (done.Status, done.ProgressPercentage, done.StepsCompleted, done.StepsRemaining, done.TimedOut));
        Assert.NotNull(done.CompletedAt);
        Assert.Null(done.EstimatedCompletionAt);
        Assert.Equal("J101", _flows.Depot.Effects.First().Body.GetProperty("n").GetString());
        Assert.Equal("reserve-1", _flows.Depot.Effects.ElementAt(1).Body.GetProperty("ref").GetString());
        Assert.Equal("notify-3", done.Output!.Value.GetProperty("notify").GetProperty("ref").GetString());

        var history = done.StepsExecuted.EnumerateArray().ToList();
        Assert.Equal([1, 2, 3], history.Select(h => h.GetProperty("sequence_id").GetInt32()));
        Assert.Equal(["reserve", "upload", "notify"], history.Select(h => h.GetProperty("action_id").GetString()));
        Assert.All(history, h =>
        {
            Assert.Equal("completed", h.GetProperty("status").GetString());
            Assert.StartsWith("exec_", h.GetProperty("execution_id").GetString(), StringComparison.Ordinal);
            Assert.True(h.GetProperty("completed_at").GetDateTimeOffset() > h.GetProperty("started_at").GetDateTimeOffset());
            Assert.True(h.GetProperty("result").GetProperty("ok").GetBoolean());
        });
    }

    [Fact]
    [Behaviour("bb-workflow-execution-lifecycle", "bb-workflow-counters")]
    public async Task An_execution_goes_from_pending_over_running_to_its_end_and_each_run_is_counted()
    {
        await _flows.DefineAsync("good", new { id = "upload", action = "upload" });
        await _flows.DefineAsync("bad", new { id = "submit", action = "submit" });
        _flows.Depot.Refuses["submit"] = 422;
        var id = await _flows.BeginAsync("good");
        Assert.Equal("pending", (await _flows.ReadAsync(id)).ExecutionStatus);
        _flows.Depot.Meanwhile["upload"] = async () => Assert.Equal("running", (await _flows.ReadAsync(id)).ExecutionStatus);
        await _flows.DrainAsync();

        var good = await _flows.ReadAsync(id);
        Assert.Equal("completed", good.ExecutionStatus);
        Assert.InRange(good.Duration!.Value, 1, 60_000);
        var failed = await _flows.RunAsync("bad");
        Assert.Equal(("failed", "action_api_rejected", "submit"), (failed.ExecutionStatus, failed.ErrorCode, failed.ErrorStep));
        Assert.Contains("422", failed.Error, StringComparison.Ordinal);
        var results = await _flows.Platform.Postgres.ScalarAsync<string>("SELECT step_results #>> '{0,error_code}' FROM workflows.workflow_executions WHERE id = $1", failed.Id);
        Assert.Equal("action_api_rejected", results);

        await _flows.RunAsync("good");
        var counted = (await _flows.Api.GetAsync("/api/v1/workflows/good")).Json;
        Assert.Equal(2, counted.GetProperty("execution_count").GetInt32());
        Assert.True(counted.GetProperty("last_executed_at").GetDateTimeOffset() > good.StartedAt);
        Assert.Null((await _flows.DefineAsync("new", new { id = "upload", action = "upload" })).LastExecutedAt);
    }

    [Fact]
    [Behaviour("brain-wf-eta")]
    public async Task The_end_is_estimated_from_what_remains_along_its_longest_chain()
    {
        // 10 s, then 20 and 30 side by side.
        await _flows.DefineAsync("eta", new { id = "reserve", action = "reserve" }, new { id = "upload", action = "upload", after = new[] { "reserve" } }, new { id = "submit", action = "submit", after = new[] { "reserve" } });
        var left = new Dictionary<string, TimeSpan>(StringComparer.Ordinal);
        var id = await _flows.BeginAsync("eta");
        var begun = await _flows.ReadAsync(id);
        left["start"] = begun.EstimatedCompletionAt!.Value - begun.StartedAt;
        _flows.Depot.Meanwhile["submit"] = async () => left["submit"] = (await _flows.ReadAsync(id)).EstimatedCompletionAt!.Value - TimeProvider.System.GetUtcNow();
        await _flows.DrainAsync();

        Assert.Equal(40, left["start"].TotalSeconds);
        Assert.InRange(left["submit"].TotalSeconds, 25, 30);
        Assert.Null((await _flows.ReadAsync(id)).EstimatedCompletionAt);
    }

    [Fact]
    public async Task Branches_run_side_by_side_and_a_join_waits_for_all_of_them()
    {
        await _flows.DefineAsync(
            "fork", new { id = "reserve", action = "reserve" }, new { id = "left", action = "upload", after = new[] { "reserve" } }, new { id = "right", action = "submit", after = new[] { "reserve" } },
            new { id = "join", action = "notify", after = new[] { "left", "right" } });
        var (arrived, both) = (0, new TaskCompletionSource());
        _flows.Depot.Meanwhile["upload"] = _flows.Depot.Meanwhile["submit"] = () =>
        {
            if (Interlocked.Increment(ref arrived) == 2)
            {
                both.SetResult();
            }

            return both.Task.WaitAsync(TimeSpan.FromSeconds(60));
        };
        Assert.Equal("completed", (await _flows.RunAsync("fork")).Status);
        Assert.Equal("notify", _flows.Depot.Names.Last());
        Assert.Equal(4, _flows.Depot.Effects.Count);
    }

    [Fact]
    public async Task A_step_whose_condition_is_false_is_skipped_and_what_follows_goes_on()
    {
        await _flows.DefineAsync(
            "maybe", new { id = "upload", action = "upload", when = new { path = "$.input.amount", greater_than = 100 } }, new { id = "notify", action = "notify", input = new { @ref = "$.steps.upload.ref" } });
        var small = await _flows.RunAsync("maybe", new { amount = 5 });
        Assert.Equal(("completed", "skipped"), (small.Status, small.StepsExecuted[0].GetProperty("status").GetString()));
        Assert.Equal(["notify"], _flows.Depot.Names);
        await _flows.RunAsync("maybe", new { amount = 500 });
        Assert.Equal(["notify", "upload", "notify"], _flows.Depot.Names);
    }

    [Fact]
    public async Task A_for_each_does_every_element_once_and_no_more_at_a_time_than_it_may()
    {
        await _flows.DefineAsync("each", new { id = "upload", action = "upload", for_each = "$.input.files", concurrency = 2, input = new { n = "$.item.name" } }, new { id = "notify", action = "notify" });
        // The first waits for company; then there is time for one too many to come.
        _flows.Depot.Meanwhile["upload"] = async () =>
        {
            await Eventually.SeeAsync(() => Task.FromResult(_flows.Depot.MostAtOnce), most => most > 1);
            await Eventually.PauseAsync();
        };
        var done = await _flows.RunAsync("each", new { files = Enumerable.Range(0, 7).Select(i => new { name = $"f{i}" }) });

        Assert.Equal("completed", done.Status);
        Assert.Equal(Enumerable.Range(0, 7).Select(i => $"f{i}"), _flows.Depot.Effects.Where(e => e.Name == "upload").Select(e => e.Body.GetProperty("n").GetString()).Order());
        Assert.Equal(2, _flows.Depot.MostAtOnce);
        var node = (await _flows.StepsAsync(done.Id))[0];
        Assert.Equal((7, "completed", 7), (node.Elements.Count, node.Run!.Status, node.Run.Result!.Value.GetArrayLength()));
        Assert.Equal((2, 100), (done.StepsCompleted, done.ProgressPercentage));

        Assert.Equal("completed", (await _flows.RunAsync("each", new { files = Array.Empty<object>() })).Status);
        var wrong = await _flows.RunAsync("each", new { files = "none" });
        Assert.Equal(("failed", "not_a_list"), (wrong.Status, wrong.ErrorCode));
    }

    [Fact]
    public async Task A_sub_workflow_gets_its_input_and_gives_its_output_and_its_failure_is_the_steps()
    {
        await _flows.DefineWholeAsync("inner", new { steps = new object[] { new { id = "upload", action = "upload", input = new { n = "$.input.what" } } }, output = new { file = "$.steps.upload.ref" } });
        await _flows.DefineAsync("outer", new { id = "sub", type = "workflow", workflow = "inner", input = new { what = "$.input.name" } }, new { id = "notify", action = "notify", input = new { @ref = "$.steps.sub.file" } });
        var done = await _flows.RunAsync("outer", new { name = "cv" });

        Assert.Equal("completed", done.Status);
        Assert.Equal("upload-1", _flows.Depot.Effects.Single(e => e.Name == "notify").Body.GetProperty("ref").GetString());
        var child = await _flows.ReadAsync((await _flows.StepsAsync(done.Id))[0].Run!.ChildInstance!.Value);
        Assert.Equal(("workflow", "completed", "inner"), (child.StartedBy, child.Status, child.WorkflowId));

        _flows.Depot.Refuses["upload"] = 422;
        var failed = await _flows.RunAsync("outer", new { name = "cv" });
        Assert.Equal(("failed", "workflow_failed", "sub"), (failed.Status, failed.ErrorCode, failed.ErrorStep));
    }

    [Fact]
    public async Task Actions_of_a_workflow_carry_it_and_are_said_once_whatever_is_repeated()
    {
        await _flows.DefineAsync("once", new { id = "upload", action = "upload" });
        var answers = new List<Guid>();
        for (var i = 0; i < 2; i++)
        {
            var answer = await _flows.Api.PostAsync("/api/v1/workflows/once/start", new { conversation_id = _flows.ConversationId, browser_session_id = "tab-1" }, idempotencyKey: "same");
            answers.Add(answer.Json.GetProperty("id").GetGuid());
        }

        await _flows.DrainAsync();
        for (var i = 0; i < 3; i++)
        {
            Assert.True((await _flows.Platform.Get<WorkflowEngine>().AdvanceAsync(new WorkflowRef(_flows.Api.Tenant.TenantId, answers[0]), default)).IsOver);
        }

        Assert.Equal(answers[0], answers[1]);
        var instance = await _flows.ReadAsync(answers[0]);
        Assert.Equal(("tab-1", _flows.Api.Tenant.OwnerId), (instance.BrowserSessionId, instance.UserId));
        var queued = await _flows.Platform.Postgres.ScalarAsync<string>(
            "SELECT q.idempotency_key FROM actions.action_queue q JOIN workflows.workflow_instances i ON i.workflow_instance_id = q.workflow_instance_id WHERE i.id = $1", instance.Id);
        Assert.Equal($"workflow:{instance.Id:n}:upload:0", queued);
        Assert.Equal(["workflow.started", "workflow.step_started", "workflow.step_completed", "workflow.completed"], await _flows.EventsAsync(instance.Id));
    }

    [Theory]
    [Behaviour("brain-context-cascade")]
    [InlineData("DELETE FROM conversations.sessions")]
    [InlineData("DELETE FROM tenancy.agents")]
    public async Task Deleting_whom_a_run_belongs_to_takes_its_rows_along(string delete)
    {
        await _flows.DefineAsync("apply", new { id = "reserve", action = "reserve" }, new { id = "answer", type = "wait", @event = "answer" });
        var run = await _flows.RunAsync("apply");
        await _flows.MoveAsync(run.Id, "signals", new { name = "other" });
        const string Count =
            """
            SELECT (SELECT count(*) FROM workflows.workflow_instances) + (SELECT count(*) FROM workflows.workflow_executions)
                 + (SELECT count(*) FROM workflows.workflow_steps) + (SELECT count(*) FROM workflows.workflow_signals)
            """;
        Assert.Equal(5, await _flows.Platform.Postgres.ScalarAsync<long>(Count));
        await _flows.ChangeAsync(delete);
        Assert.Equal(0, await _flows.Platform.Postgres.ScalarAsync<long>(Count));
    }
}
