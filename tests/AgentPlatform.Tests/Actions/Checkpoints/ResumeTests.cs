using AgentPlatform.Actions;
using AgentPlatform.Actions.Aftermath;
using AgentPlatform.Actions.Checkpoints;
using AgentPlatform.Actions.Execution;
using AgentPlatform.Kernel;
using AgentPlatform.Tests.Brain;
using static AgentPlatform.Tests.Actions.Checkpoints.Invitations;

namespace AgentPlatform.Tests.Actions.Checkpoints;

public sealed class ResumeTests : IAsyncLifetime
{
    private Talk _talk = null!;

    public async Task InitializeAsync() => _talk = await Talk.StartAsync(Invite with
    {
        ApiBody = Json.Of(new { name = "{{item}}", cookie = "{{session_state.cookie}}" }),
        RetryPolicy = Json.Of(new { max_retries = 0 }),
    });

    public async Task DisposeAsync() => await _talk.DisposeAsync();

    [Fact]
    [Behaviour("bb-checkpoint-resume")]
    public async Task A_failed_execution_goes_on_at_its_checkpoint_and_its_letter_is_resolved_when_it_completes()
    {
        var item = await FailAsync();
        var failed = (await _talk.CheckpointsAsync())[^1];

        var resumed = (await ResumeAsync(item)).Value;
        Assert.Equal((QueueStatus.Ready, 0), (resumed.Status, resumed.RetryCount));
        Assert.Equal("execution_not_failed", (await ResumeAsync(item)).Problem!.Code);
        await _talk.Platform.DrainAsync();

        Assert.Equal(["ann", "bob", "bob", "cid"], _talk.Names());
        Assert.Equal((QueueStatus.Completed, 1), ((await _talk.ItemAsync(item)).Status, (await CheckpointAsync(failed)).ResumeCount));
        Assert.Equal((true, "resumed and completed"), ((await LetterAsync()).Resolved, (await LetterAsync()).ResolutionNotes));
        Assert.Equal("I am sorry, I could not invite the guests. A colleague will look into it.\n3 invited", await _talk.RepliesAsync());
    }

    [Fact]
    public async Task A_resumed_execution_that_fails_again_keeps_its_one_letter_and_the_contact_is_not_told_twice()
    {
        var item = await FailAsync();
        Assert.True((await ResumeAsync(item)).IsOk);
        await _talk.InAsync(tx => tx.ExecuteAsync("UPDATE actions.action_registry SET failure_criteria = '{}'", [], default));

        await _talk.Platform.DrainAsync();

        var letter = await LetterAsync();
        Assert.Equal((false, null, "criteria_failed"), (letter.Resolved, letter.ReplayQueueId, letter.FinalError.GetProperty("type").GetString()));
        Assert.Equal("I am sorry, I could not invite the guests. A colleague will look into it.", await _talk.RepliesAsync());
        Assert.True((await ResumeAsync(item)).IsOk);
    }

    [Fact]
    [Behaviour("bb-checkpoint-resume")]
    public async Task A_step_that_happened_by_a_persons_word_is_not_called_again()
    {
        var item = await FailAsync();
        await HappenedAsync(item, step: 1);

        Assert.True((await ResumeAsync(item)).IsOk);
        await _talk.Platform.DrainAsync();

        Assert.Equal(["ann", "bob", "cid"], _talk.Names());
        Assert.Equal(QueueStatus.Completed, (await _talk.ItemAsync(item)).Status);
    }

    [Fact]
    [Behaviour("bb-checkpoint-resume")]
    public async Task A_call_that_happened_by_a_persons_word_is_not_resumed()
    {
        await _talk.OfferAsync(Invite with { ActionId = "invite_one", ActionName = "invite one", ForEach = null, ApiEndpoint = "{endpoint}/invitations", RetryPolicy = Json.Of(new { max_retries = 0 }) });
        _talk.Endpoint.Answers(503, "{}");
        var item = await _talk.OrderAsync("invite_one", ["ann"]);
        await _talk.Platform.DrainAsync();
        await WriteAsync(item, new(null, null, null, null, null));
        await HappenedAsync(item, step: 0);

        Assert.Equal("effect_happened", (await ResumeAsync(item)).Problem!.Code);

        await _talk.Platform.DrainAsync();
        Assert.Equal(QueueStatus.Failed, (await _talk.ItemAsync(item)).Status);
        Assert.Single(_talk.Endpoint.Requests);
    }

    [Fact]
    [Behaviour("bb-checkpoint-refuse")]
    public async Task A_checkpoint_that_says_no_or_is_past_its_time_is_not_resumed_from()
    {
        var item = await FailAsync();
        var good = (await _talk.CheckpointsAsync())[^1];
        var closed = (await WriteAsync(item, new(null, null, null, CanResume: false, null))).Value;
        Assert.Equal((1, "manual", false), (closed.StepIndex, closed.CheckpointReason, closed.CanResume));

        Assert.Equal("checkpoint_not_resumable", (await ResumeAsync(item)).Problem!.Code);
        await _talk.InAsync(tx => tx.ExecuteAsync("UPDATE actions.execution_checkpoints SET expires_at = now() - interval '1 second' WHERE checkpoint_id = $1", [good.CheckpointId], default));
        Assert.Equal("checkpoint_expired", (await ResumeAsync(item, good.CheckpointId)).Problem!.Code);
        Assert.Equal("checkpoint_not_found", (await ResumeAsync(item, "cp_none")).Problem!.Code);
        Assert.Equal(2, _talk.Endpoint.Requests.Count);

        Assert.Equal(1, await _talk.Platform.Get<CheckpointRetention>().PruneAsync(default));
        Assert.DoesNotContain(await _talk.CheckpointsAsync(), c => c.CheckpointId == good.CheckpointId);
        Assert.Contains(await _talk.CheckpointsAsync(), c => c.CheckpointId == closed.CheckpointId);
    }

    [Theory]
    [InlineData("UPDATE actions.execution_checkpoints SET can_resume = false")]
    [InlineData("UPDATE actions.execution_checkpoints SET expires_at = now() - interval '1 second'")]
    [InlineData("DELETE FROM actions.execution_checkpoints")]
    [Behaviour("bb-checkpoint-refuse")]
    public async Task An_attempt_does_not_begin_from_a_checkpoint_that_refuses(string spoil)
    {
        var item = await FailAsync();
        Assert.True((await ResumeAsync(item)).IsOk);
        await _talk.InAsync(tx => tx.ExecuteAsync(spoil, [], default));

        await _talk.Platform.DrainAsync();

        Assert.Equal(2, _talk.Endpoint.Requests.Count);
        Assert.Equal(QueueStatus.Failed, (await _talk.ItemAsync(item)).Status);
        Assert.Equal(("checkpoint_refused", "investigate"), ((await LetterAsync()).FinalError.GetProperty("type").GetString(), (await LetterAsync()).InterventionType));
    }

    [Fact]
    [Behaviour("bb-checkpoint-write")]
    public async Task Browser_state_that_a_caller_supplies_is_given_to_the_steps_that_follow_and_carried_on()
    {
        var item = await FailAsync();
        var written = (await WriteAsync(item, new(Json.Of(new { cookie = "c1" }), Json.Of(new { width = 800 }), Json.Of(new { seats = 4 }), null, 3600))).Value;
        Assert.Equal((1, "ann"), (written.StepIndex, written.PartialResults.GetProperty("0").GetProperty("name").GetString()));
        Assert.NotNull(written.ExpiresAt);

        Assert.True((await ResumeAsync(item)).IsOk);
        await _talk.Platform.DrainAsync();

        Assert.Contains("c1", _talk.Endpoint.Requests.Last().Body, StringComparison.Ordinal);
        var last = (await _talk.CheckpointsAsync())[^1];
        Assert.Equal(("phase_complete", 3), (last.CheckpointReason, last.StepIndex));
        Assert.Equal(("c1", 800, 4), (last.SessionState!.Value.GetProperty("cookie").GetString(), last.BrowserContext!.Value.GetProperty("width").GetInt32(), last.ExtractedData.GetProperty("seats").GetInt32()));
        Assert.Equal("execution_over", (await WriteAsync(item, new(null, null, null, null, null))).Problem!.Code);
    }

    /// <summary>The answer to the call was lost; a person asked the provider.</summary>
    private Task HappenedAsync(QueuedAction item, int step) => _talk.InAsync(async tx =>
    {
        await tx.ExecuteAsync("UPDATE actions.effects SET status = 'unknown', settled_at = NULL, outcome = NULL WHERE action_queue_id = $1 AND step = $2", [item.Id, step], default);
        var effect = (await _talk.Platform.Get<ActionEffects>().OfRequestAsync(tx, item.Id, default)).Single(e => e.Step == step);
        Assert.True((await _talk.Platform.Get<SettleEffect>().RunAsync(tx, effect.Id, new EffectWord(true, null), default)).IsOk);
    });

    private async Task<QueuedAction> FailAsync()
    {
        _talk.Endpoint.Answers(200, """{"name":"ann"}""").Answers(422, "{}").Answers(200, "{}");
        var item = await _talk.OrderAsync("ann", "bob", "cid");
        await _talk.Platform.DrainAsync();
        Assert.Equal(QueueStatus.Failed, (await _talk.ItemAsync(item)).Status);
        return item;
    }

    private Task<Result<QueuedAction>> ResumeAsync(QueuedAction item, string? checkpointId = null) =>
        _talk.InAsync(tx => _talk.Platform.Get<ResumeExecution>().RunAsync(tx, item.Id, new Resume(checkpointId), default));

    private Task<Result<ExecutionCheckpoint>> WriteAsync(QueuedAction item, ManualCheckpoint manual) =>
        _talk.InAsync(tx => _talk.Platform.Get<WriteCheckpoint>().RunAsync(tx, item.Id, manual, default));

    private async Task<ExecutionCheckpoint> CheckpointAsync(ExecutionCheckpoint which) => (await _talk.CheckpointsAsync()).Single(c => c.Id == which.Id);

    private Task<DeadLetter> LetterAsync() => _talk.InAsync(tx => tx.SingleAsync<DeadLetter>("SELECT * FROM actions.dead_letter_queue", [], default));
}
