using AgentPlatform.Kernel;
using AgentPlatform.Workflows.Sops;

namespace AgentPlatform.Tests.Workflows.Sops;

/// <summary>Executions by people, by the agent and by both: who may begin and do what, how they end, and what is counted.</summary>
public sealed class SopExecutionTests : IAsyncLifetime
{
    private Procedures _sops = null!;

    public async Task InitializeAsync() => _sops = await Procedures.StartAsync();

    public async Task DisposeAsync() => await _sops.DisposeAsync();

    [Fact]
    [Behaviour("bb-sop-execution")]
    public async Task People_execute_step_by_step_and_rate_the_end()
    {
        var sop = await _sops.PublishedAsync(new { }, Procedures.Manual(1), Procedures.Action(2, "upload"));
        var execution = await _sops.ExecuteAsync(sop, "human", new { order = "A-1" });
        Assert.Equal(("in_progress", 0, 0), (execution.Status, execution.CurrentStepIndex!.Value, Procedures.WayOf(execution).Length));
        Assert.Equal("sop_execution_state", (await _sops.SteerAsync(execution.Id, "rating", new { rating = 5 })).Code);

        execution = await _sops.DoAsync(execution.Id, 1, new { found = true });
        Assert.Equal((1, 1), (execution.CurrentStepIndex!.Value, Procedures.WayOf(execution).Length));
        var over = await _sops.DoAsync(execution.Id, 2);
        Assert.Empty(_sops.Flows.Depot.Calls);
        Assert.Equal(("completed", null), (over.Status, over.CurrentStepIndex));
        Assert.True(over.Result!.Value.GetProperty("steps").GetProperty("1").GetProperty("found").GetBoolean());
        Assert.Equal((long)(over.CompletedAt!.Value - over.StartedAt).TotalMilliseconds, over.DurationMs!.Value, 1.0);
        Assert.All(Json.Read<SopStepResult[]>(over.StepResults), step => Assert.Equal(("human", _sops.Flows.Api.Tenant.OwnerId), (step.DoneBy, step.UserId)));
        Assert.Equal("sop_execution_state", (await _sops.TryDoAsync(over.Id, 2)).Code);

        Assert.Equal(["rating"], Errors(await _sops.SteerAsync(over.Id, "rating", new { rating = 6 })));
        Assert.Equal(["rating"], Errors(await _sops.SteerAsync(over.Id, "rating", new { rating = 0 })));
        await _sops.SteerAsync(over.Id, "rating", new { rating = 2, feedback = "Slow", issues = new[] { new { message = "The form was old.", step_number = 2 } } });
        await _sops.SteerAsync(over.Id, "rating", new { rating = 4, feedback = "Good, in the end", issues = new[] { new { message = "The form is new." } } });
        var rated = await _sops.ReadAsync(over.Id);
        Assert.Equal((4, "Good, in the end"), (rated.Rating!.Value, rated.Feedback));
        Assert.Equal([new SopIssue("rating", "The form is new.")], Procedures.IssuesOf(rated));
        Assert.Equal(
            ["sop.execution_started", "sop.step_completed", "sop.step_completed", "sop.execution_ended"], await _sops.Flows.EventsAsync(over.Id));
    }

    [Fact]
    [Behaviour("bb-sop-execution")]
    public async Task The_agent_executes_by_actions_that_are_given_what_came_before()
    {
        var sop = await _sops.PublishedAsync(
            new { },
            Procedures.Action(1, "reserve", new { action_config = new { action_id = "reserve", @params = new { @ref = "$.input.order" } } }),
            Procedures.Action(2, "upload", new { action_config = new { action_id = "upload", @params = new { @ref = "$.steps.1.ref" } }, error_handling = new { strategy = "alternative", step = 3 } }),
            Procedures.Action(3, "notify"));
        _sops.Flows.Depot.Refuses["upload"] = 422;
        var over = await _sops.ExecuteAsync(sop, "ai_agent", new { order = "A-1" });

        Assert.Equal("completed", over.Status);
        Assert.Equal(["1 completed step", "2 failed alternative", "3 completed step"], Procedures.WayOf(over));
        Assert.Equal(["reserve", "upload", "notify"], _sops.Flows.Depot.Calls);
        Assert.Equal("A-1", _sops.Flows.Depot.Effects.First().Body.GetProperty("ref").GetString());
        Assert.NotNull(over.AgentSessionId);
        var issue = Assert.Single(Procedures.IssuesOf(over));
        Assert.Equal(("execution", 2), (issue.Source, issue.StepNumber!.Value));
    }

    [Fact]
    [Behaviour("bb-sop-execution")]
    public async Task Of_a_hybrid_execution_people_do_what_is_manual_and_the_agent_the_rest()
    {
        var sop = await _sops.PublishedAsync(new { }, Procedures.Action(1, "reserve"), Procedures.Manual(2), Procedures.Action(3, "upload"));
        Assert.Equal("sop_needs_a_person", (await _sops.TryExecuteAsync(sop, "ai_agent")).Code);
        Assert.Equal("sop_needs_a_conversation", (await _sops.TryExecuteAsync(sop, "hybrid", inConversation: false)).Code);
        var begun = await _sops.TryExecuteAsync(sop);
        Assert.Equal("hybrid", begun.Json.GetProperty("executor_type").GetString());
        var id = begun.Json.GetProperty("id").GetGuid();
        Assert.Equal("sop_step_is_the_agents", (await _sops.TryDoAsync(id, 1)).Code);
        await _sops.Flows.DrainAsync();
        Assert.Equal(1, (await _sops.ReadAsync(id)).CurrentStepIndex);
        var over = await _sops.DoAsync(id, 2);
        Assert.Equal(["ai_agent", "human", "ai_agent"], Json.Read<SopStepResult[]>(over.StepResults).Select(r => r.DoneBy));
        Assert.Equal(["reserve", "upload"], _sops.Flows.Depot.Names);
    }

    [Fact]
    [Behaviour("bb-sop-execution")]
    public async Task A_result_that_is_sent_twice_under_one_key_counts_once_and_of_two_at_once_one_does()
    {
        var sop = await _sops.PublishedAsync(new { }, Procedures.Manual(1), Procedures.Manual(2));
        var execution = await _sops.ExecuteAsync(sop, "human");
        var path = $"/api/v1/sop-executions/{execution.Id}/steps/1/result";
        var (first, again) = (await _sops.Flows.Api.PostAsync(path, new { status = "completed" }, null, "k-1"), await _sops.Flows.Api.PostAsync(path, new { status = "completed" }, null, "k-1"));
        Assert.Equal((200, 200, first.Body), (first.Status, again.Status, again.Body));
        Assert.Equal(["1 completed step"], Procedures.WayOf(await _sops.ReadAsync(execution.Id)));

        var answers = await Task.WhenAll(_sops.TryDoAsync(execution.Id, 2), _sops.TryDoAsync(execution.Id, 2));
        Assert.Equal([200, 409], answers.Select(answer => answer.Status).Order());
        Assert.Equal(["1 completed step", "2 completed step"], Procedures.WayOf(await _sops.ReadAsync(execution.Id)));
        Assert.Equal(1, (await _sops.SopAsync(sop)).CompletedCount);

        var begun = await Task.WhenAll(Enumerable.Range(0, 2).Select(_ => _sops.Flows.Api.PostAsync($"/api/v1/sops/{sop}/execute", new { executor_type = "human" }, null, "k-2")));
        Assert.Single(begun.Where(answer => answer.Status == 201).Select(answer => answer.Json.GetProperty("id").GetGuid()).Distinct());
        Assert.Equal(2, (await _sops.SopAsync(sop)).ExecutionCount);
    }

    [Fact]
    [Behaviour("bb-sop-ai-gate")]
    public async Task Without_AI_only_people_execute_and_what_is_under_way_hears_of_it()
    {
        var sop = await _sops.PublishedAsync(new { }, Procedures.Manual(1), Procedures.Action(2, "upload", new { error_handling = new { strategy = "retry", max_retries = 3 } }));
        var under = await _sops.ExecuteAsync(sop, "hybrid");
        Assert.Equal(200, (await _sops.ChangeAsync(sop, new { ai_enabled = false })).Status);
        Assert.Equal("sop_ai_disabled", (await _sops.TryExecuteAsync(sop, "ai_agent")).Code);
        Assert.Equal("sop_ai_disabled", (await _sops.TryExecuteAsync(sop, "hybrid")).Code);
        Assert.Equal("human", (await _sops.TryExecuteAsync(sop)).Json.GetProperty("executor_type").GetString());

        under = await _sops.DoAsync(under.Id, 1);
        Assert.Equal("failed", under.Status);
        Assert.Equal("sop_ai_disabled", under.Result!.Value.GetProperty("error").GetProperty("code").GetString());
        Assert.Empty(_sops.Flows.Depot.Calls);
    }

    [Fact]
    [Behaviour("bb-sop-ai-gate")]
    public async Task What_needs_an_approval_begins_when_it_is_given_and_never_when_it_is_refused()
    {
        var sop = await _sops.PublishedAsync(new { human_approval_required = true }, Procedures.Action(1, "upload"));
        var (yes, no) = (await _sops.ExecuteAsync(sop, "ai_agent"), await _sops.ExecuteAsync(sop, "ai_agent"));
        Assert.Equal(("awaiting_approval", null), (yes.Status, yes.CurrentStepIndex));
        Assert.Empty(_sops.Flows.Depot.Calls);
        Assert.Equal(0, (await _sops.SopAsync(sop)).ExecutionCount);
        var clerk = await _sops.Flows.Api.KeyAsync("member", "workflows:read", "workflows:write");
        Assert.Equal(403, (await _sops.SteerAsync(yes.Id, "approve", null, clerk)).Status);

        var (approver, key) = await _sops.Flows.Api.MemberAsync("member", "approvals:write");
        var refused = Json.Read<SopExecution>((await _sops.SteerAsync(no.Id, "reject", new { reason = "not today" }, key)).Json);
        Assert.Equal(("cancelled", "not today", approver), (refused.Status, refused.StatusReason, refused.DecidedBy));
        Assert.NotNull(refused.DecidedAt);
        Assert.Equal("sop_execution_state", (await _sops.SteerAsync(no.Id, "approve", null, key)).Code);

        Assert.Equal(200, (await _sops.SteerAsync(yes.Id, "approve", null, key)).Status);
        await _sops.Flows.DrainAsync();
        var done = await _sops.ReadAsync(yes.Id);
        Assert.Equal(("completed", approver), (done.Status, done.DecidedBy));
        Assert.Equal(["upload"], _sops.Flows.Depot.Names);
        Assert.Equal(1, (await _sops.SopAsync(sop)).ExecutionCount);
    }

    [Theory]
    [InlineData("approve")]
    [InlineData("reject")]
    public async Task Who_started_an_execution_does_not_answer_its_approval_and_may_cancel_it(string answer)
    {
        var execution = await _sops.ExecuteAsync(await _sops.PublishedAsync(new { human_approval_required = true }, Procedures.Manual(1)));
        var own = await _sops.SteerAsync(execution.Id, answer, answer == "reject" ? new { reason = "mine" } : null);
        Assert.Equal((403, "sop_own_execution"), (own.Status, own.Code));
        Assert.Equal("awaiting_approval", (await _sops.ReadAsync(execution.Id)).Status);
        Assert.Equal(200, (await _sops.SteerAsync(execution.Id, "cancel")).Status);
    }

    [Fact]
    public async Task An_approval_that_nobody_gives_in_time_is_a_rejection()
    {
        var sop = await _sops.PublishedAsync(new { human_approval_required = true, approval_timeout = 600 }, Procedures.Manual(1));
        var (late, early) = (await _sops.ExecuteAsync(sop), await _sops.ExecuteAsync(sop));
        Assert.Equal(TimeSpan.FromMinutes(10), late.ApprovalDueAt - late.StartedAt);
        var (_, key) = await _sops.Flows.Api.MemberAsync("member", "approvals:write");
        Assert.Equal(200, (await _sops.SteerAsync(early.Id, "approve", null, key)).Status);
        await _sops.Flows.ChangeAsync("UPDATE workflows.sop_executions SET approval_due_at = now() - interval '1 second' WHERE id = ANY ($1)", new[] { late.Id, early.Id });
        Assert.Equal("sop_approval_expired", (await _sops.SteerAsync(late.Id, "approve", null, key)).Code);
        await _sops.Flows.ChangeAsync("UPDATE work.items SET run_at = now() - interval '1 second' WHERE kind = 'workflows.sop_approval_due'");
        await _sops.Flows.DrainAsync();

        late = await _sops.ReadAsync(late.Id);
        Assert.Equal(("cancelled", "Nobody approved it in time.", null), (late.Status, late.StatusReason, late.DecidedBy));
        Assert.Equal("in_progress", (await _sops.ReadAsync(early.Id)).Status);
    }

    [Theory]
    [InlineData(59)]
    [InlineData(31_536_001)]
    public async Task The_time_for_an_approval_has_its_limits(int seconds) =>
        Assert.Equal("validation_failed", (await _sops.TryDraftAsync(new { approval_timeout = seconds }, Procedures.Manual(1))).Code);

    [Fact]
    [Behaviour("bb-sop-stats")]
    public async Task Counts_rate_and_time_of_an_SOP_follow_its_executions()
    {
        var sop = await _sops.PublishedAsync(new { }, Procedures.Manual(1));
        Assert.Equal((0, null, null), await StatsAsync(sop));
        var etag = (await _sops.SopAsync(sop)).UpdatedAt;
        var first = await _sops.ExecuteAsync(sop, "human");
        var (count, rate, at) = await StatsAsync(sop);
        Assert.Equal((1, null, first.StartedAt), (count, rate, at));
        await _sops.DoAsync(first.Id, 1);
        Assert.Equal(100m, (await StatsAsync(sop)).Rate);

        await _sops.FailAsync((await _sops.ExecuteAsync(sop, "human")).Id, 1);
        await _sops.FailAsync((await _sops.ExecuteAsync(sop, "human")).Id, 1);
        Assert.Equal((3, 33.33m), ((await StatsAsync(sop)).Count, (await StatsAsync(sop)).Rate!.Value));

        var stopped = await _sops.ExecuteAsync(sop, "human");
        Assert.Equal("cancelled", (await _sops.SteerAsync(stopped.Id, "cancel", new { reason = "No need" })).Json.GetProperty("status").GetString());
        Assert.Equal((4, 33.33m, stopped.StartedAt), ((await StatsAsync(sop)).Count, (await StatsAsync(sop)).Rate!.Value, (await StatsAsync(sop)).At!.Value));
        Assert.Equal(etag, (await _sops.SopAsync(sop)).UpdatedAt);
    }

    [Theory]
    [InlineData("approve", "completed")]
    [InlineData("reject", "failed")]
    [Behaviour("bb-sop-ai-gate")]
    public async Task An_action_that_a_person_must_allow_holds_its_step_until_it_is_answered(string answer, string status)
    {
        await _sops.Flows.OfferAsync(Flows.Act("pay") with { Approval = Json.Of(new { risk_level = "high" }) });
        var sop = await _sops.PublishedAsync(new { }, Procedures.Action(1, "reserve"), Procedures.Action(2, "pay"));
        var held = await _sops.ExecuteAsync(sop, "ai_agent");
        Assert.Equal(("in_progress", 1), (held.Status, held.CurrentStepIndex!.Value));
        Assert.Equal(["reserve"], _sops.Flows.Depot.Names);

        var approval = (await _sops.Flows.Api.GetAsync("/api/v1/approvals")).Json.GetProperty("items")[0].GetProperty("id").GetGuid();
        Assert.Equal(200, (await _sops.Flows.Api.PostAsync($"/api/v1/approvals/{approval}/{answer}", new { reason = "so be it" })).Status);
        await _sops.Flows.DrainAsync();
        Assert.Equal(status, (await _sops.ReadAsync(held.Id)).Status);
        Assert.Equal(status == "completed" ? ["reserve", "pay"] : ["reserve"], _sops.Flows.Depot.Names);
    }

    [Fact]
    public async Task An_action_that_ends_after_its_execution_was_cancelled_is_heard_by_nobody()
    {
        var sop = await _sops.PublishedAsync(new { }, Procedures.Action(1, "reserve"), Procedures.Action(2, "upload"));
        Guid id = default;
        _sops.Flows.Depot.Meanwhile["reserve"] = async () => Assert.Equal(200, (await _sops.SteerAsync(id, "cancel")).Status);
        id = (await _sops.TryExecuteAsync(sop, "ai_agent")).Json.GetProperty("id").GetGuid();
        await _sops.Flows.DrainAsync();

        var cancelled = await _sops.ReadAsync(id);
        Assert.Equal(("cancelled", 0), (cancelled.Status, Procedures.WayOf(cancelled).Length));
        Assert.Equal(["reserve"], _sops.Flows.Depot.Calls);
        Assert.Equal("completed", await _sops.Flows.Platform.Postgres.ScalarAsync<string>("SELECT string_agg(status, ',') FROM actions.action_queue"));
    }

    [Fact]
    public async Task Cancelling_cancels_the_action_that_is_waited_for_and_nothing_follows()
    {
        var sop = await _sops.PublishedAsync(new { }, Procedures.Action(1, "reserve"), Procedures.Action(2, "upload"));
        var id = (await _sops.TryExecuteAsync(sop, "ai_agent")).Json.GetProperty("id").GetGuid();
        await _sops.Flows.ChangeAsync("UPDATE work.items SET run_at = now() + interval '1 hour' WHERE kind = 'actions.execute'");
        Assert.Equal("cancelled", (await _sops.SteerAsync(id, "cancel")).Json.GetProperty("status").GetString());
        await _sops.Flows.DrainAsync();
        Assert.Equal("cancelled", await _sops.Flows.Platform.Postgres.ScalarAsync<string>("SELECT string_agg(status, ',') FROM actions.action_queue"));
        Assert.Empty(_sops.Flows.Depot.Calls);
        Assert.Equal("sop_execution_state", (await _sops.SteerAsync(id, "cancel")).Code);
    }

    [Fact]
    public async Task An_event_begins_the_SOPs_that_it_triggers_where_their_prerequisites_hold()
    {
        object Wants(string status) => new
        {
            triggers = new[] { "conversation.status_changed" },
            automation_level = "full",
            prerequisites = new { path = "$.input.payload.status", equals = status },
        };
        var closing = await _sops.PublishedAsync(Wants("closed"), Procedures.Action(1, "notify"));
        var other = await _sops.PublishedAsync(Wants("archived"), Procedures.Action(1, "upload"));
        Assert.Equal("sop_prerequisites_unmet", (await _sops.TryExecuteAsync(closing)).Code);
        await _sops.Flows.Platform.AsAsync(_sops.Flows.Actor, tx =>
        {
            _sops.Flows.Platform.Get<AgentPlatform.Events.EventStore>().Append(tx, new("conversation.status_changed", "conversation", _sops.Flows.ConversationId, new { status = "closed" }));
            return Task.CompletedTask;
        });
        // A drain may end before an event's consumer is due: a host sweeps again.
        await Eventually.SeeAsync(
            async () =>
            {
                await _sops.Flows.DrainAsync();
                return (await _sops.SopAsync(closing)).CompletedCount;
            },
            count => count > 0);
        Assert.Equal(["notify"], _sops.Flows.Depot.Names);
        Assert.Equal((1, 0), ((await _sops.SopAsync(closing)).CompletedCount, (await _sops.SopAsync(other)).ExecutionCount));
    }

    private async Task<(int Count, decimal? Rate, DateTimeOffset? At)> StatsAsync(Guid sop) =>
        await _sops.SopAsync(sop) is var read ? (read.ExecutionCount, read.SuccessRate, read.LastExecutedAt) : default;

    private static string[] Errors(AgentPlatform.Tests.Api.ApiAnswer answer) => [.. answer.Json.GetProperty("errors").EnumerateObject().Select(error => error.Name)];
}
