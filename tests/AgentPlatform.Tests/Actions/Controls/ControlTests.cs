using System.Text.Json;
using AgentPlatform.Actions;
using AgentPlatform.Actions.Controls;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Kernel;
using AgentPlatform.Tests.Brain;
using Npgsql;

namespace AgentPlatform.Tests.Actions.Controls;

public sealed class ControlTests : IAsyncLifetime
{
    private static readonly ActionDefinition Sync = new()
    {
        ActionId = "sync",
        ActionName = "sync the list",
        ExecutionType = "http",
        ApiMethod = "POST",
        ApiEndpoint = "{endpoint}/sync",
        ApiIdempotent = true,
        ApiBody = Json.Of(new { told = "{{instruction}}", after = "{{checkpoint.attempts}}" }),
        ResponseTemplate = "synced",
    };

    private Talk _talk = null!;

    public async Task InitializeAsync() => _talk = await Talk.StartAsync(Sync, Sync with { ActionId = "risky", ActionName = "risky sync", Approval = Json.Of(new { risk_level = "high" }) });

    public async Task DisposeAsync() => await _talk.DisposeAsync();

    [Fact]
    [Behaviour("bb-control-states")]
    public async Task Every_execution_has_one_control_row_that_says_what_holds()
    {
        await _talk.HearAsync("sync the list");
        await _talk.HearAsync("risky sync");
        await _talk.Platform.DrainAsync();

        var controls = await _talk.InAsync(tx => tx.QueryAsync<ExecutionControl>("SELECT * FROM actions.execution_controls ORDER BY control_state", [], default));
        Assert.Equal(["awaiting_approval", "running"], controls.Select(c => c.ControlState));
        Assert.Equal((await _talk.QueueAsync()).Select(q => q.Id).Order(), controls.Select(c => c.ActionQueueId).Order());
        Assert.Equal("awaiting_approval", controls[0].StateReason);
        var refused = await Assert.ThrowsAsync<PostgresException>(() => _talk.InAsync(tx => tx.ExecuteAsync("UPDATE actions.execution_controls SET control_state = 'resting'", [], default)));
        Assert.Equal("execution_controls_state_known", refused.ConstraintName);
    }

    [Fact]
    [Behaviour("bb-control-pause-resume")]
    public async Task A_pause_stops_before_the_next_attempt_and_resuming_goes_on_from_there()
    {
        _talk.Endpoint.Answers(503, "{}").Answers(200, "{}");
        await _talk.SayAsync("sync the list");

        var paused = (await TellAsync("pause", reason: "the partner asked")).Value;
        Assert.Equal(("paused", "the partner asked"), (paused.ControlState, paused.StateReason));
        await _talk.HastenAsync();
        await _talk.Platform.DrainAsync();
        Assert.Single(_talk.Endpoint.Requests);
        var checkpoint = (await ControlAsync()).CheckpointData!.Value;
        Assert.Equal(1, checkpoint.GetProperty("attempts").GetInt32());
        Assert.Equal("api_error", checkpoint.GetProperty("last_error").GetProperty("type").GetString());
        Assert.Equal("execution_not_running", (await TellAsync("pause")).Problem!.Code);

        var resumed = (await TellAsync("resume")).Value;
        Assert.Equal("running", resumed.ControlState);
        Assert.True(resumed.LastStateChange > paused.LastStateChange);
        await _talk.Platform.DrainAsync();

        Assert.Equal("synced", await _talk.RepliesAsync());
        Assert.Equal([0, 1], (await _talk.ExecutionsAsync()).Select(e => e.RetryAttempt));
        Assert.Equal(1, Body(1).GetProperty("after").GetInt32());
        Assert.Equal("execution_over", (await TellAsync("pause")).Problem!.Code);
    }

    [Fact]
    [Behaviour("bb-control-cancel")]
    public async Task A_cancelled_execution_ends_before_its_next_attempt_for_good()
    {
        _talk.Endpoint.Answers(503, "{}").Answers(200, "{}");
        await _talk.SayAsync("sync the list");

        Assert.Equal("cancelled", (await TellAsync("cancel", reason: "no longer needed")).Value.ControlState);
        await _talk.HastenAsync();
        await _talk.Platform.DrainAsync();

        Assert.Equal(QueueStatus.Cancelled, (await ItemAsync()).Status);
        Assert.Equal(("cancelled", "no longer needed"), ((await ControlAsync()).ControlState, (await ControlAsync()).StateReason));
        Assert.Single(_talk.Endpoint.Requests);
        Assert.Equal("execution_cancelled", (await TellAsync("resume")).Problem!.Code);
        Assert.Equal("execution_cancelled", (await TellAsync("cancel")).Problem!.Code);
    }

    [Fact]
    [Behaviour("bb-control-cancel")]
    public async Task An_attempt_in_progress_runs_to_its_end_and_is_not_tried_again()
    {
        _talk.Endpoint.Does(async () => Assert.True((await TellAsync("cancel")).IsOk), 503);
        await _talk.SayAsync("sync the list");
        Assert.Equal(QueueStatus.Retrying, (await ItemAsync()).Status);

        await _talk.HastenAsync();
        await _talk.Platform.DrainAsync();

        Assert.Equal(QueueStatus.Cancelled, (await ItemAsync()).Status);
        Assert.Single(_talk.Endpoint.Requests);
        Assert.Contains("execution.stopped", await _talk.EventsAsync());
    }

    [Fact]
    [Behaviour("bb-control-inject")]
    public async Task An_instruction_is_given_to_the_next_attempt_and_to_no_other()
    {
        _talk.Endpoint.Answers(503, "{}").Answers(503, "{}").Answers(200, "{}");
        await _talk.SayAsync("sync the list");

        Assert.NotNull((await TellAsync("inject", instruction: "skip the drafts")).Value.InjectedAt);
        Assert.Equal("instruction_pending", (await TellAsync("inject", instruction: "another")).Problem!.Code);
        for (var i = 0; i < 2; i++)
        {
            await _talk.HastenAsync();
            await _talk.Platform.DrainAsync();
        }

        Assert.Equal([null, "skip the drafts", null], Enumerable.Range(0, 3).Select(i => Body(i).GetProperty("told").GetString()));
        var control = await ControlAsync();
        Assert.Null(control.InjectedInstruction);
        Assert.NotNull(control.InjectedAt);
        Assert.Single(await _talk.EventsAsync(), e => e == "execution.instruction_consumed");
    }

    [Fact]
    public async Task Cancelling_an_execution_that_waits_for_approval_withdraws_the_question()
    {
        await _talk.SayAsync("risky sync");
        Assert.Equal("execution_not_running", (await TellAsync("pause")).Problem!.Code);

        Assert.True((await TellAsync("cancel")).IsOk);

        Assert.Equal("cancelled", await _talk.InAsync(tx => tx.SingleAsync<string>("SELECT status FROM actions.action_approvals", [], default)));
    }

    private JsonElement Body(int request) => JsonDocument.Parse(_talk.Endpoint.Requests.ElementAt(request).Body).RootElement;

    private async Task<QueuedAction> ItemAsync() => Assert.Single(await _talk.QueueAsync());

    private Task<ExecutionControl> ControlAsync() => _talk.InAsync(tx => tx.SingleAsync<ExecutionControl>("SELECT * FROM actions.execution_controls", [], default));

    private async Task<Result<ExecutionControl>> TellAsync(string command, string? reason = null, string? instruction = null)
    {
        var id = (await ItemAsync()).Id;
        return await _talk.InAsync(tx => _talk.Platform.Get<ControlExecution>().RunAsync(tx, id, new ControlCommand(command, reason, instruction), default));
    }
}
