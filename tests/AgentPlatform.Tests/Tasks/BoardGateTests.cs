using AgentPlatform.Actions.Registry;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Tasks;
using AgentPlatform.Tests.Workflows;

namespace AgentPlatform.Tests.Tasks;

/// <summary>What stands in a task's way: other tasks, a review, a person.</summary>
public sealed class BoardGateTests : IAsyncLifetime
{
    private Board _board = null!;

    public async Task InitializeAsync() => _board = await Board.StartAsync();

    public async Task DisposeAsync() => await _board.DisposeAsync();

    [Fact]
    [Behaviour("bb-task-human-review")]
    public async Task A_task_that_needs_a_review_runs_only_after_it()
    {
        var id = await _board.PutAsync("delicate", new { requires_human_review = true });
        await _board.DrainAsync();
        Assert.Equal(("pending", "Waits for a review."), ((await _board.ReadAsync(id)).Status, (await _board.ReadAsync(id)).StatusReason));
        Assert.Empty(_board.Processor.Ran);
        Assert.Equal((400, "validation_failed"), Problem(await _board.MoveAsync(id, "review", new { approved = false })));

        var reviewed = await _board.MoveAsync(id, "review", new { approved = true });

        Assert.Equal("queued", reviewed.Json.GetProperty("status").GetString());
        await _board.DrainAsync();
        var task = await _board.ReadAsync(id);
        Assert.Equal(("completed", _board.Api.Tenant.OwnerId), (task.Status, task.HumanReviewedBy));
        Assert.NotNull(task.HumanReviewedAt);
        Assert.Equal(("review", _board.Api.Tenant.OwnerId), ((await _board.ExecutionsAsync(id))[0].TriggeredBy, (await _board.ExecutionsAsync(id))[0].TriggeredByUserId));
        Assert.Equal((409, "task_state"), Problem(await _board.MoveAsync(id, "review", new { approved = true })));
    }

    [Fact]
    [Behaviour("bb-task-human-review")]
    public async Task A_review_that_says_no_cancels_the_task_with_the_reason()
    {
        var id = await _board.PutAsync("delicate", new { requires_human_review = true });

        await _board.MoveAsync(id, "review", new { approved = false, note = "Not with this customer." });
        await _board.DrainDueAsync();

        Assert.Equal(("cancelled", "Not with this customer."), ((await _board.ReadAsync(id)).Status, (await _board.ReadAsync(id)).StatusReason));
        Assert.Empty(_board.Processor.Ran);
    }

    [Fact]
    [Behaviour("bb-task-human-review")]
    public async Task A_review_ends_when_what_was_reviewed_is_changed()
    {
        var id = await _board.PutAsync("delicate", new { requires_human_review = true, execution_type = "manual", execution_config = new { amount = 10 } });
        await _board.MoveAsync(id, "review", new { approved = true });
        await PatchAsync(id, new { title = "very delicate", execution_config = new { amount = 10 } });
        Assert.NotNull((await _board.ReadAsync(id)).HumanReviewedAt);

        await PatchAsync(id, new { execution_config = new { amount = 1_000_000 } });

        var task = await _board.ReadAsync(id);
        Assert.Equal((null, null, "Waits for a review."), (task.HumanReviewedBy, task.HumanReviewedAt, task.StatusReason));
        Assert.Equal((409, "task_waits"), Problem(await _board.MoveAsync(id, "run")));
        await _board.DrainAsync();
        Assert.Empty(_board.Processor.Ran);
    }

    [Fact]
    [Behaviour("bb-task-human-review")]
    public async Task An_action_that_a_person_must_allow_is_allowed_by_an_approver_other_than_who_asks()
    {
        var api = _board.Api;
        var conversation = await Flows.OpenAsync(api, api.Tenant.AgentId, "+14155550100");
        var wipe = new ActionDefinition { ActionId = "wipe", ActionName = "wipe", ResponseTemplate = "Wiped.", Approval = Json.Of(new { risk_level = "high" }) };
        await _board.Platform.AsAsync(Actor.System(api.Tenant.TenantId), async tx => Assert.True((await _board.Platform.Get<ActionRegistry>().CreateAsync(tx, api.Tenant.AgentId, wipe, default)).IsOk));
        var id = await _board.PutAsync("wipe", new { task_type = "run_action", conversation_id = conversation, requires_human_review = true, execution_config = new { action_id = "wipe" } });
        var path = $"/api/v1/agency-tasks/{id}/review";

        Assert.Equal((403, "task_own_review"), Problem(await _board.MoveAsync(id, "review", new { approved = true })));
        Assert.Equal((403, "missing_scope"), Problem(await api.PostAsync(path, new { approved = true }, await api.KeyAsync("admin", "tasks:write"))));
        Assert.Null((await _board.ReadAsync(id)).HumanReviewedAt);

        Assert.Equal(200, (await api.PostAsync(path, new { approved = true }, await api.KeyAsync("member", "tasks:write", "approvals:write"))).Status);
        await _board.DrainAsync();
        Assert.Equal("completed", (await _board.ReadAsync(id)).Status);
    }

    [Fact]
    [Behaviour("bb-task-dependencies")]
    public async Task A_task_waits_for_all_it_depends_on_and_for_what_blocks_it()
    {
        var a = await _board.PutAsync("a", new { execution_type = "manual" });
        var b = await _board.PutAsync("b", new { execution_type = "manual" });
        var blocker = await _board.PutAsync("blocker", new { assigned_to_bot = false });
        var c = await _board.PutAsync("c", new { depends_on = new[] { a, b }, blocked_by = blocker });

        Assert.Equal("Waits for 2 tasks.", (await _board.ReadAsync(c)).StatusReason);
        await RunAsync(a);
        Assert.Equal("Waits for 1 task.", (await _board.ReadAsync(c)).StatusReason);
        await RunAsync(b);
        Assert.Equal("Is blocked by another task.", (await _board.ReadAsync(c)).StatusReason);
        Assert.DoesNotContain("c", _board.Processor.Ran);

        // A blocker is in the way until it is over, however it ends.
        await _board.MoveAsync(blocker, "cancel");
        await _board.DrainAsync();

        Assert.Equal("completed", (await _board.ReadAsync(c)).Status);
        Assert.Equal("dependency", (await _board.ExecutionsAsync(c))[0].TriggeredBy);
    }

    [Fact]
    public async Task What_depends_on_a_failed_task_says_so_and_goes_on_when_that_is_tried_again()
    {
        _board.Processor.Does = _ => Task.FromResult<StepOutcome>(new StepOutcome.Failed(new TaskFailure("closed", "The shop is closed."), Again: false));
        var first = await _board.PutAsync("first");
        var second = await _board.PutAsync("second", new { depends_on = new[] { first } });
        await _board.DrainAsync();
        Assert.Equal("Waits for a task that failed or was cancelled.", (await _board.ReadAsync(second)).StatusReason);

        _board.Processor.Does = _ => Task.FromResult<StepOutcome>(new StepOutcome.Done(Json.Of(1)));
        await _board.MoveAsync(first, "retry");
        await _board.DrainDueAsync();

        Assert.Equal(("completed", "completed"), ((await _board.ReadAsync(first)).Status, (await _board.ReadAsync(second)).Status));
    }

    /// <summary>Each end sees what the other has ended, or the one that waits for both would wait for ever.</summary>
    [Fact]
    [Behaviour("bb-task-dependencies")]
    public async Task Two_that_end_at_the_same_moment_free_the_one_that_waits_for_both()
    {
        for (var round = 0; round < 5; round++)
        {
            var meet = new Barrier(2);
            _board.Processor.Does = run => run.Task.Title == "end"
                ? Task.FromResult<StepOutcome>(new StepOutcome.Done(Json.Of(1)))
                : Task.Run<StepOutcome>(() =>
                {
                    Assert.True(meet.SignalAndWait(TimeSpan.FromSeconds(60)));
                    return new StepOutcome.Done(Json.Of(1));
                });
            var (a, b) = (await _board.PutAsync("a", new { execution_type = "manual" }), await _board.PutAsync("b", new { execution_type = "manual" }));
            var end = await _board.PutAsync("end", new { depends_on = new[] { a, b } });
            await _board.MoveAsync(a, "run");
            await _board.MoveAsync(b, "run");

            await _board.DrainAsync();

            Assert.Equal("completed", (await _board.ReadAsync(end)).Status);
        }
    }

    [Fact]
    [Behaviour("bb-task-dependencies")]
    public async Task A_cycle_is_refused_however_long_and_so_is_a_task_that_is_not_there()
    {
        var a = await _board.PutAsync("a", new { execution_type = "manual" });
        var b = await _board.PutAsync("b", new { depends_on = new[] { a } });
        var c = await _board.PutAsync("c", new { blocked_by = b });

        Assert.Equal((409, "task_cycle"), Problem(await PatchAsync(a, new { depends_on = new[] { c } })));
        Assert.Equal((409, "task_cycle"), Problem(await PatchAsync(a, new { blocked_by = b })));
        Assert.Equal((409, "task_cycle"), Problem(await PatchAsync(a, new { depends_on = new[] { a } })));
        Assert.Equal((400, "validation_failed"), Problem(await PatchAsync(a, new { depends_on = new[] { Guid.Empty } })));
        Assert.Equal((400, "validation_failed"), Problem(await _board.Api.PostAsync("/api/v1/agency-tasks", new { title = "d", task_type = "probe", depends_on = new[] { Guid.Empty } })));
        Assert.Empty((await _board.ReadAsync(a)).DependsOn);

        // What is no circle goes through, and two that would close one together do not both.
        var d = await _board.PutAsync("d", new { execution_type = "manual" });
        var e = await _board.PutAsync("e", new { execution_type = "manual" });
        var both = await Task.WhenAll(PatchAsync(d, new { depends_on = new[] { e } }), PatchAsync(e, new { depends_on = new[] { d } }));
        Assert.Equal([200, 409], both.Select(answer => answer.Status).Order());
    }

    [Fact]
    public async Task Who_waits_for_the_turn_to_change_dependencies_holds_none_of_the_tasks_yet()
    {
        var d = await _board.PutAsync("d", new { execution_type = "manual" });
        var e = await _board.PutAsync("e", new { execution_type = "manual" });
        await using var other = _board.Platform.Database.Begin(Actor.System(_board.Api.Tenant.TenantId));
        TaskGates.TakeTurn(other);
        await other.AskAsync(default);

        var changing = PatchAsync(d, new { depends_on = new[] { e } });
        Assert.True(await _board.Platform.Postgres.SomebodyWaitsAsync());
        await other.ExecuteAsync("SELECT FROM tasks.agency_tasks WHERE id = ANY ($1) FOR UPDATE NOWAIT", [new[] { d, e }], default);
        await other.CommitAsync(default);
        Assert.Equal(200, (await changing).Status);
    }

    [Fact]
    public async Task A_task_to_be_started_by_hand_waits_for_that_and_a_persons_task_is_done_by_a_person()
    {
        var manual = await _board.PutAsync("manual", new { execution_type = "manual" });
        var own = await _board.PutAsync("own", new { assigned_to_bot = false, depends_on = new[] { manual } });
        await _board.DrainAsync();
        Assert.Equal("Waits for somebody to start it.", (await _board.ReadAsync(manual)).StatusReason);
        Assert.Equal((409, "task_waits"), Problem(await _board.MoveAsync(own, "complete", new { summary = "Done." })));

        await RunAsync(manual);
        Assert.Equal(("user", _board.Api.Tenant.OwnerId), ((await _board.ExecutionsAsync(manual))[0].TriggeredBy, (await _board.ExecutionsAsync(manual))[0].TriggeredByUserId));

        var done = await _board.MoveAsync(own, "complete", new { summary = "Sent by post.", screenshots = new[] { "https://files.example/receipt.png" } });
        Assert.Equal(("completed", "Sent by post."), (done.Json.GetProperty("status").GetString(), done.Json.GetProperty("result_summary").GetString()));
        var execution = Assert.Single(await _board.ExecutionsAsync(own));
        Assert.Equal(("user", "completed", 1), (execution.TriggeredBy, execution.Status, execution.AttemptNumber));
        Assert.Equal("https://files.example/receipt.png", execution.Screenshots[0].GetString());
        Assert.Equal((409, "task_state"), Problem(await _board.MoveAsync(own, "complete", new { summary = "Again." })));
    }

    private async Task RunAsync(Guid id)
    {
        Assert.Equal("queued", (await _board.MoveAsync(id, "run")).Json.GetProperty("status").GetString());
        await _board.DrainAsync();
        Assert.Equal("completed", (await _board.ReadAsync(id)).Status);
    }

    private Task<Api.ApiAnswer> PatchAsync(Guid id, object body) => _board.Api.SendAsync(HttpMethod.Patch, $"/api/v1/agency-tasks/{id}", body);

    private static (int, string) Problem(Api.ApiAnswer answer) => (answer.Status, answer.Status >= 400 ? answer.Code : answer.Body);
}
