using AgentPlatform.Actions.Registry;
using AgentPlatform.Kernel;

namespace AgentPlatform.Tests.Workflows;

/// <summary>Pausing, cancelling, waiting, time-outs and approvals.</summary>
public sealed class ControlTests : IAsyncLifetime
{
    private Flows _flows = null!;

    public async Task InitializeAsync() => _flows = await Flows.StartAsync();

    public async Task DisposeAsync() => await _flows.DisposeAsync();

    [Fact]
    [Behaviour("brain-wf-cancel")]
    public async Task Cancelling_ends_an_instance_and_its_queued_steps_never_run()
    {
        await _flows.DefineAsync("apply", new { id = "reserve", action = "reserve" }, new { id = "upload", action = "upload" });
        var id = await _flows.BeginAsync("apply");
        // The first step is in the queue, and nothing has run yet.
        await _flows.Platform.Get<AgentPlatform.Workflows.WorkflowEngine>().AdvanceAsync(new(_flows.Api.Tenant.TenantId, id), default);
        var answer = await _flows.MoveAsync(id, "cancel", new { reason = "no longer wanted" });
        await _flows.DrainAsync();
        var cancelled = await _flows.ReadAsync(id);

        Assert.Equal((200, "cancelled"), (answer.Status, answer.Json.GetProperty("status").GetString()));
        Assert.Equal(("cancelled", "cancelled", "cancelled", "no longer wanted"), (cancelled.Status, cancelled.Control, cancelled.ExecutionStatus, cancelled.ControlReason));
        Assert.Empty(_flows.Depot.Calls);
        Assert.Equal("cancelled", await _flows.Platform.Postgres.ScalarAsync<string>("SELECT status FROM actions.action_queue"));
        Assert.Equal("workflow_instance_over", (await _flows.MoveAsync(id, "cancel")).Code);
        Assert.Equal("workflow_instance_over", (await _flows.MoveAsync(id, "resume")).Code);
    }

    [Fact]
    [Behaviour("bb-control-cancel")]
    public async Task Cancelling_in_the_middle_of_a_step_ends_at_its_boundary_and_undoes_what_was_done()
    {
        await _flows.DefineAsync("apply", new { id = "reserve", action = "reserve" }, new { id = "upload", action = "upload" }, new { id = "notify", action = "notify" });
        Guid id = default;
        _flows.Depot.Meanwhile["upload"] = async () => Assert.Equal("in_progress", (await _flows.MoveAsync(id, "cancel")).Json.GetProperty("status").GetString());
        id = await _flows.BeginAsync("apply");
        await _flows.DrainAsync();

        Assert.Equal(["reserve", "upload", "release"], _flows.Depot.Names);
        var cancelled = await _flows.ReadAsync(id);
        Assert.Equal(("cancelled", true), (cancelled.Status, cancelled.RollbackPerformed));
    }

    [Fact]
    [Behaviour("bb-control-pause-resume", "bb-control-states")]
    public async Task Pausing_stops_before_the_next_step_and_resuming_goes_on_from_there()
    {
        await _flows.DefineAsync("apply", new { id = "reserve", action = "reserve" }, new { id = "upload", action = "upload" });
        Guid id = default;
        _flows.Depot.Meanwhile["reserve"] = async () => Assert.Equal("paused", (await _flows.MoveAsync(id, "pause", new { reason = "lunch" })).Json.GetProperty("control").GetString());
        id = await _flows.BeginAsync("apply");
        Assert.Equal("running", (await _flows.ReadAsync(id)).Control);
        await _flows.DrainAsync();

        var paused = await _flows.ReadAsync(id);
        Assert.Equal(("in_progress", "paused", "lunch", 50), (paused.Status, paused.Control, paused.ControlReason, paused.ProgressPercentage));
        Assert.True(paused.LastStateChange > paused.StartedAt);
        Assert.Equal(["reserve"], _flows.Depot.Names);
        Assert.Equal("workflow_control", (await _flows.MoveAsync(id, "pause")).Code);

        await _flows.MoveAsync(id, "resume");
        await _flows.DrainAsync();
        Assert.Equal("completed", (await _flows.ReadAsync(id)).Status);
        Assert.Equal(["reserve", "upload"], _flows.Depot.Names);
        Assert.Equal("workflow_instance_over", (await _flows.MoveAsync(id, "resume")).Code);
    }

    [Fact]
    [Behaviour("brain-wf-timeout")]
    public async Task An_instance_past_its_time_is_swept_up_as_failed_and_its_queued_steps_stop()
    {
        await _flows.DefineAsync("slow", new { id = "reserve", action = "reserve" }, new { id = "answer", type = "wait", @event = "answer" }, new { id = "upload", action = "upload" });
        var id = (await _flows.RunAsync("slow")).Id;
        // One more step is in the queue when time is up.
        var queued = await _flows.BeginAsync("slow");
        await _flows.Platform.Get<AgentPlatform.Workflows.WorkflowEngine>().AdvanceAsync(new(_flows.Api.Tenant.TenantId, queued), default);
        await _flows.ChangeAsync("UPDATE workflows.workflow_instances SET timeout_at = now() - interval '1 minute', wake_at = now() - interval '1 minute'");
        await _flows.ChangeAsync("UPDATE work.items SET run_at = now() + interval '1 hour' WHERE kind = 'actions.execute' AND state = 'ready'");
        Assert.Equal(2, await _flows.Platform.Get<AgentPlatform.Workflows.Running.WorkflowSweep>().RunAsync(default));
        await _flows.DrainAsync();

        var late = await _flows.ReadAsync(id);
        Assert.Equal(("failed", true, "workflow_timeout", true), (late.Status, late.TimedOut, late.ErrorCode, late.RollbackPerformed));
        var never = await _flows.ReadAsync(queued);
        Assert.Equal(("failed", true, "workflow_timeout", 0), (never.Status, never.TimedOut, never.ErrorCode, never.StepsCompleted));
        Assert.Equal("cancelled", await _flows.Platform.Postgres.ScalarAsync<string>("SELECT q.status FROM actions.action_queue q JOIN workflows.workflow_steps s ON s.action_queue_id = q.id WHERE s.instance_id = $1", queued));
        Assert.Equal(["reserve", "release"], _flows.Depot.Names);
    }

    [Fact]
    public async Task A_wait_takes_its_event_whenever_it_came_and_each_event_once()
    {
        await _flows.DefineAsync("two", new { id = "first", type = "wait", @event = "word" }, new { id = "second", type = "wait", @event = "word" }, new { id = "notify", action = "notify", input = new { n = "$.steps.first.text", @ref = "$.steps.second.text" } });
        var id = await _flows.BeginAsync("two");
        Assert.Equal(200, (await _flows.MoveAsync(id, "signals", new { name = "word", payload = new { text = "early" } })).Status);
        await _flows.DrainAsync();
        Assert.Equal((1, "in_progress"), ((await _flows.ReadAsync(id)).StepsCompleted, (await _flows.ReadAsync(id)).Status));

        for (var i = 0; i < 2; i++)
        {
            await _flows.Api.PostAsync($"/api/v1/workflow-instances/{id}/signals", new { name = "word", payload = new { text = "late" } }, idempotencyKey: "once");
        }

        await _flows.DrainAsync();
        Assert.Equal("completed", (await _flows.ReadAsync(id)).Status);
        Assert.Equal(("early", "late"), (_flows.Depot.Effects.Single().Body.GetProperty("n").GetString(), _flows.Depot.Effects.Single().Body.GetProperty("ref").GetString()));
        Assert.Equal("workflow_instance_over", (await _flows.MoveAsync(id, "signals", new { name = "word" })).Code);
        var taken = (await _flows.Api.GetAsync($"/api/v1/workflow-instances/{id}/signals")).Json.GetProperty("items").EnumerateArray().Select(s => s.GetProperty("consumed_by").GetGuid());
        Assert.Equal((await _flows.StepsAsync(id)).Take(2).Select(s => s.Run!.Id), taken);
    }

    [Fact]
    public async Task A_wait_that_takes_too_long_fails_or_goes_on_as_it_says()
    {
        await _flows.DefineAsync("fail", new { id = "answer", type = "wait", @event = "answer", timeout_seconds = 60 });
        await _flows.DefineAsync("go_on", new { id = "answer", type = "wait", @event = "answer", timeout_seconds = 60, on_timeout = "continue" }, new { id = "notify", action = "notify", when = new { path = "$.steps.answer.timed_out", equals = true } });
        var failing = await _flows.RunAsync("fail");
        var going = await _flows.RunAsync("go_on");
        Assert.InRange((failing.WakeAt!.Value - failing.StartedAt).TotalSeconds, 59, 70);
        await _flows.PassAsync(failing.Id);
        await _flows.PassAsync(going.Id);

        Assert.Equal(("failed", "step_timeout"), ((await _flows.ReadAsync(failing.Id)).Status, (await _flows.ReadAsync(failing.Id)).ErrorCode));
        Assert.Equal("completed", (await _flows.ReadAsync(going.Id)).Status);
        Assert.Equal(["notify"], _flows.Depot.Names);
    }

    [Fact]
    public async Task A_sleep_ends_by_itself()
    {
        await _flows.DefineAsync("sleep", new { id = "rest", type = "sleep", sleep_seconds = 3600 }, new { id = "notify", action = "notify" });
        var resting = await _flows.RunAsync("sleep");
        Assert.Equal("waiting", (await _flows.StepsAsync(resting.Id))[0].Status);
        Assert.InRange((resting.EstimatedCompletionAt!.Value - resting.StartedAt).TotalSeconds, 3590, 3610);
        await _flows.PassAsync(resting.Id);
        Assert.Equal("completed", (await _flows.ReadAsync(resting.Id)).Status);
    }

    [Fact]
    public async Task A_step_past_its_time_is_not_tried_again_and_a_call_under_way_is_waited_for()
    {
        await _flows.DefineAsync("slow", new { id = "upload", action = "upload", timeout_seconds = 30, retry = new { max_retries = 5, initial_delay_seconds = 600 } });
        _flows.Depot.Refuses["upload"] = 500;
        var trying = await _flows.RunAsync("slow");
        Assert.Equal("in_progress", trying.Status);
        await _flows.PassAsync(trying.Id);
        var failed = await _flows.ReadAsync(trying.Id);
        Assert.Equal(("failed", "step_timeout", "upload"), (failed.Status, failed.ErrorCode, failed.ErrorStep));
        Assert.Single(_flows.Depot.Calls);

        _flows.Depot.Refuses.Clear();
        Guid id = default;
        _flows.Depot.Meanwhile["upload"] = async () =>
        {
            await _flows.ChangeAsync("UPDATE workflows.workflow_steps SET due_at = now() - interval '1 second' WHERE instance_id = $1", id);
            await _flows.Platform.Get<AgentPlatform.Workflows.WorkflowEngine>().AdvanceAsync(new(_flows.Api.Tenant.TenantId, id), default);
        };
        id = await _flows.BeginAsync("slow");
        await _flows.DrainAsync();
        Assert.Equal("completed", (await _flows.ReadAsync(id)).Status);
    }

    [Fact]
    public async Task A_step_whose_time_is_over_when_another_fails_is_stopped_once()
    {
        await _flows.DefineAsync(
            "both", new { id = "upload", action = "upload", after = Array.Empty<string>(), timeout_seconds = 30, retry = new { max_retries = 5, initial_delay_seconds = 600 } },
            new { id = "answer", type = "wait", @event = "answer", after = Array.Empty<string>(), timeout_seconds = 30 });
        _flows.Depot.Refuses["upload"] = 500;
        var trying = await _flows.RunAsync("both");
        await _flows.PassAsync(trying.Id);
        Assert.Equal("failed", (await _flows.ReadAsync(trying.Id)).Status);
        Assert.Equal("cancelled", await _flows.Platform.Postgres.ScalarAsync<string>("SELECT status FROM actions.action_queue"));
        // Which of the two is looked at first is open: the other has failed too by then, or is stopped because the first has.
        var ends = (await _flows.StepsAsync(trying.Id)).Select(step => step.Status).ToList();
        Assert.Contains("failed", ends);
        Assert.Empty(ends.Except(["failed", "cancelled"]));
    }

    [Fact]
    public async Task A_step_that_a_person_must_allow_waits_and_the_answer_decides()
    {
        await _flows.OfferAsync(new ActionDefinition { ActionId = "confirm", ActionName = "confirm", ResponseType = "none", Approval = Json.Of(new { risk_level = "high" }) });
        await _flows.DefineAsync("ask", new { id = "reserve", action = "reserve" }, new { id = "ok", type = "approval", action = "confirm" }, new { id = "submit", action = "submit", reversibility = "final" });
        var (yes, no) = (await _flows.RunAsync("ask"), await _flows.RunAsync("ask"));
        Assert.Equal(("awaiting_approval", "waiting"), (yes.Control, (await _flows.StepsAsync(yes.Id))[1].Status));
        Assert.Equal("no_approval_awaited", (await _flows.MoveAsync(yes.Id, "steps/submit/approve")).Code);

        Assert.Equal("running", (await _flows.MoveAsync(yes.Id, "steps/ok/approve")).Json.GetProperty("control").GetString());
        Assert.Equal(200, (await _flows.MoveAsync(no.Id, "steps/ok/reject", new { reason = "not now" })).Status);
        await _flows.DrainAsync();

        Assert.Equal("completed", (await _flows.ReadAsync(yes.Id)).Status);
        var refused = await _flows.ReadAsync(no.Id);
        Assert.Equal(("failed", "approval_refused", true), (refused.Status, refused.ErrorCode, refused.RollbackPerformed));
        Assert.Equal(["reserve", "reserve", "submit", "release"], _flows.Depot.Names.OrderBy(n => n == "release"));
    }

    [Fact]
    public async Task Cancelling_a_workflow_stops_the_one_it_has_called()
    {
        await _flows.DefineAsync("inner", new { id = "reserve", action = "reserve" }, new { id = "answer", type = "wait", @event = "answer" });
        await _flows.DefineAsync("outer", new { id = "sub", type = "workflow", workflow = "inner" });
        var outer = await _flows.RunAsync("outer");
        await _flows.MoveAsync(outer.Id, "cancel");
        await _flows.DrainAsync();

        var inner = await _flows.ReadAsync((await _flows.StepsAsync(outer.Id))[0].Run!.ChildInstance!.Value);
        Assert.Equal(("cancelled", true), (inner.Status, inner.RollbackPerformed));
        Assert.Equal("cancelled", (await _flows.ReadAsync(outer.Id)).Status);
        Assert.Equal(["reserve", "release"], _flows.Depot.Names);
    }
}
