using AgentPlatform.Kernel;
using AgentPlatform.Workflows.Sops;

namespace AgentPlatform.Tests.Workflows.Sops;

/// <summary>The way through the steps: order, branches, criteria, time-outs and what follows a failure.</summary>
public sealed class SopStepTests : IAsyncLifetime
{
    private Procedures _sops = null!;

    public async Task InitializeAsync() => _sops = await Procedures.StartAsync();

    public async Task DisposeAsync() => await _sops.DisposeAsync();

    [Fact]
    [Behaviour("bb-sop-steps-order")]
    public async Task Steps_go_by_their_numbers_unless_they_depend_on_another()
    {
        var sop = await _sops.PublishedAsync(
            new { }, Procedures.Manual(30, new { depends_on = Array.Empty<int>() }), Procedures.Manual(10, new { depends_on = new[] { 30 } }), Procedures.Manual(20));
        var execution = await _sops.ExecuteAsync(sop, "human");
        Assert.Equal(2, execution.CurrentStepIndex);
        Assert.Equal((409, "sop_step_not_current"), await AnswerAsync(_sops.TryDoAsync(execution.Id, 10)));
        await _sops.DoAsync(execution.Id, 30);
        Assert.Equal(1, (await _sops.DoAsync(execution.Id, 10)).CurrentStepIndex);
        execution = await _sops.DoAsync(execution.Id, 20);
        Assert.Equal("completed", execution.Status);
        Assert.Equal(["30 completed step", "10 completed step", "20 completed step"], Procedures.WayOf(execution));
    }

    [Theory]
    [InlineData(20, "1 completed step, 2 completed step, 4 completed step")]
    [InlineData(500, "1 completed step, 2 skipped alternative, 3 completed step, 4 completed step")]
    [InlineData(5000, "1 completed step, 2 skipped step, 4 completed step")]
    [Behaviour("bb-sop-steps-order")]
    public async Task A_step_whose_conditions_do_not_hold_is_replaced_by_the_alternative_that_fits_or_skipped(int amount, string way)
    {
        var sop = await _sops.PublishedAsync(
            new { },
            Procedures.Manual(1),
            Procedures.Manual(2, new
            {
                conditions = new { path = "$.steps.1.amount", less_than = 100 },
                alternatives = new object[] { new { step = 5, when = new { path = "$.input.vip", equals = true } }, new { step = 3, when = new { path = "$.steps.1.amount", less_than = 1000 } } },
            }),
            Procedures.Manual(3), Procedures.Manual(4), Procedures.Manual(5));
        var execution = await _sops.ExecuteAsync(sop, "human", new { vip = false });
        execution = await _sops.DoAsync(execution.Id, 1, new { amount });
        foreach (var step in new[] { amount < 100 ? 2 : amount < 1000 ? 3 : 0, 4 }.Where(step => step > 0))
        {
            execution = await _sops.DoAsync(execution.Id, step);
        }

        Assert.Equal(("completed", way), (execution.Status, string.Join(", ", Procedures.WayOf(execution))));
    }

    [Fact]
    [Behaviour("bb-sop-step-timeout")]
    public async Task A_step_past_its_time_follows_its_error_handling()
    {
        var sop = await _sops.PublishedAsync(
            new { },
            Procedures.Manual(1, new { timeout = 60, error_handling = new { strategy = "retry", max_retries = 1, otherwise = "alternative", step = 9 } }),
            Procedures.Manual(2, new { timeout = 60, error_handling = new { strategy = "continue" } }),
            Procedures.Manual(3, new { timeout = 60 }),
            Procedures.Manual(9));
        var execution = await _sops.ExecuteAsync(sop, "human");
        Assert.Equal(60, (execution.StepDueAt - execution.StepStartedAt)!.Value.TotalSeconds, 1);
        execution = await _sops.PassAsync(execution.Id);
        Assert.Equal(("in_progress", 0, 2), (execution.Status, execution.CurrentStepIndex!.Value, execution.StepRound));
        execution = await _sops.PassAsync(execution.Id);
        Assert.Equal(3, execution.CurrentStepIndex);
        await _sops.DoAsync(execution.Id, 9);
        execution = await _sops.PassAsync(execution.Id);
        Assert.Equal(2, execution.CurrentStepIndex);
        execution = await _sops.PassAsync(execution.Id);

        Assert.Equal("failed", execution.Status);
        Assert.Equal(["1 failed retry", "1 failed alternative", "9 completed step", "2 failed step", "3 failed stop"], Procedures.WayOf(execution));
        Assert.All(Procedures.IssuesOf(execution), issue => Assert.Equal("step_timeout", issue.Code));
        Assert.Equal(("step_timeout", 3), (execution.Result!.Value.GetProperty("error").GetProperty("code").GetString(), execution.Result.Value.GetProperty("error").GetProperty("step_number").GetInt32()));
    }

    [Fact]
    [Behaviour("bb-sop-step-timeout")]
    public async Task A_time_out_that_comes_when_its_step_is_past_does_nothing()
    {
        var sop = await _sops.PublishedAsync(new { }, Procedures.Manual(1, new { timeout = 60 }), Procedures.Manual(2, new { timeout = 600 }));
        var execution = await _sops.ExecuteAsync(sop, "human");
        await _sops.DoAsync(execution.Id, 1);
        // Only the first step's time-out is let come, and the second step is past its time, too.
        await _sops.Flows.ChangeAsync("UPDATE workflows.sop_executions SET step_due_at = now() - interval '1 second' WHERE id = $1", execution.Id);
        await _sops.Flows.ChangeAsync("UPDATE work.items SET run_at = now() - interval '1 second' WHERE kind = 'workflows.sop_step_due' AND key LIKE '%:1'");
        await _sops.Flows.DrainAsync();
        execution = await _sops.ReadAsync(execution.Id);
        Assert.Equal(("in_progress", 1), (execution.Status, execution.CurrentStepIndex!.Value));
        Assert.Equal(["1 completed step"], Procedures.WayOf(execution));
    }

    [Fact]
    [Behaviour("bb-sop-step-timeout")]
    public async Task Validation_criteria_decide_whether_a_step_has_succeeded()
    {
        var sop = await _sops.PublishedAsync(
            new { },
            Procedures.Manual(1, new
            {
                validation_criteria = new { all = new object[] { new { path = "$.step.result.paid", equals = true }, new { path = "$.step.result.amount", greater_than = 0 } } },
                error_handling = new { strategy = "retry", max_retries = 2 },
            }));
        var execution = await _sops.ExecuteAsync(sop, "human");
        execution = await _sops.DoAsync(execution.Id, 1, new { paid = true, amount = 0 });
        Assert.Equal("in_progress", execution.Status);
        Assert.Equal("criteria_not_met", Json.Read<SopStepResult[]>(execution.StepResults)[0].ErrorCode);
        execution = await _sops.FailAsync(execution.Id, 1);
        execution = await _sops.DoAsync(execution.Id, 1, new { paid = true, amount = 12 });
        Assert.Equal("completed", execution.Status);
        Assert.Equal(["1 failed retry", "1 failed retry", "1 completed step"], Procedures.WayOf(execution));
        Assert.Equal(12, execution.Result!.Value.GetProperty("steps").GetProperty("1").GetProperty("amount").GetInt32());

        execution = await _sops.ExecuteAsync(sop, "human");
        await _sops.FailAsync(execution.Id, 1);
        await _sops.FailAsync(execution.Id, 1);
        Assert.Equal("failed", (await _sops.FailAsync(execution.Id, 1)).Status);
    }

    [Fact]
    [Behaviour("bb-sop-step-timeout")]
    public async Task A_try_after_a_time_out_waits_for_the_same_action_and_one_that_is_given_up_is_cancelled()
    {
        await _sops.Flows.OfferAsync(Flows.Act("pay") with { Approval = Json.Of(new { risk_level = "high" }) });
        var sop = await _sops.PublishedAsync(new { }, Procedures.Action(1, "pay", new { timeout = 60, error_handling = new { strategy = "retry", max_retries = 1 } }));
        var execution = await _sops.ExecuteAsync(sop, "ai_agent");
        var request = execution.ActionQueueId;
        Assert.NotNull(request);
        execution = await _sops.PassAsync(execution.Id);
        Assert.Equal(("in_progress", request, 2), (execution.Status, execution.ActionQueueId, execution.StepRound));
        execution = await _sops.PassAsync(execution.Id);
        Assert.Equal(("failed", null), (execution.Status, execution.ActionQueueId));
        Assert.Equal("cancelled", await _sops.Flows.Platform.Postgres.ScalarAsync<string>("SELECT string_agg(status, ',') FROM actions.action_queue"));
        Assert.Empty(_sops.Flows.Depot.Calls);
    }

    private static async Task<(int Status, string Code)> AnswerAsync(Task<AgentPlatform.Tests.Api.ApiAnswer> answer) => ((await answer).Status, (await answer).Code);
}
