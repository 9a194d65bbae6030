using AgentPlatform.Actions;
using AgentPlatform.Actions.Aftermath;
using AgentPlatform.Actions.Checkpoints;
using AgentPlatform.Actions.Controls;
using AgentPlatform.Actions.Execution;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Kernel;
using AgentPlatform.Tests.Brain;
using AgentPlatform.Work;
using Microsoft.Extensions.DependencyInjection;
using static AgentPlatform.Tests.Actions.Checkpoints.Invitations;

namespace AgentPlatform.Tests.Actions.Checkpoints;

public sealed class CheckpointTests : IAsyncLifetime
{
    private readonly Conversations.StillClock _clock = new(TimeProvider.System.GetUtcNow());
    private Talk _talk = null!;

    public async Task InitializeAsync() => _talk = await Talk.StartAsync(services => services.AddSingleton<TimeProvider>(_clock));

    public async Task DisposeAsync() => await _talk.DisposeAsync();

    [Fact]
    [Behaviour("bb-checkpoint-write")]
    public async Task Each_element_is_a_call_of_its_own_and_each_phase_ends_in_a_checkpoint()
    {
        await _talk.OfferAsync(Invite);
        _talk.Endpoint.Answers(200, """{"id":1}""").Answers(200, """{"id":2}""").Answers(200, """{"id":3}""");

        var item = await _talk.OrderAsync(Guest("ann", "north"), Guest("bob", "north"), Guest("cid", "south"));
        await _talk.Platform.DrainAsync();

        Assert.Equal(["ann", "bob", "cid"], _talk.Names());
        Assert.Equal(["invite:3/0", "invite:3/1", "invite:3/2"], _talk.Endpoint.Requests.Select(r => r.Headers["Idempotency-Key"]));
        Assert.Equal("3 invited", await _talk.RepliesAsync());
        var checkpoints = await _talk.CheckpointsAsync();
        Assert.Equal([("auto", 1, "north"), ("phase_complete", 2, "south"), ("phase_complete", 3, "south")], checkpoints.Select(c => (c.CheckpointReason, c.StepIndex, c.PhaseName)));
        Assert.Equal("""[{"name": "north", "phase": 1}]""", checkpoints[1].CompletedPhases.GetRawText());
        Assert.Equal("""[{"step": 0, "phase": "north"}, {"step": 1, "phase": "north"}]""", checkpoints[1].CompletedSteps.GetRawText());
        Assert.Equal("""{"0": {"id": 1}, "1": {"id": 2}}""", checkpoints[1].PartialResults.GetRawText());
        Assert.Equal("""{"tickets": [1, 2, 3]}""", checkpoints[2].ExtractedData.GetRawText());
        var done = await _talk.ItemAsync(item);
        Assert.Equal((checkpoints[2].CheckpointId, true), (done.CheckpointId, done.LastCheckpointAt is not null));
        Assert.Equal("""[{"id": 1}, {"id": 2}, {"id": 3}]""", done.Result!.Value.GetProperty("items").GetRawText());
        Assert.Single(await _talk.ExecutionsAsync());
    }

    [Fact]
    [Behaviour("bb-checkpoint-write", "bb-checkpoint-resume", "brain-queue-checkpoint")]
    public async Task After_an_error_the_next_attempt_goes_on_at_the_step_that_failed()
    {
        await _talk.OfferAsync(Invite);
        _talk.Endpoint.Answers(200, """{"id":1}""").Answers(200, """{"id":2}""").Answers(503, "{}").Answers(200, """{"id":3}""");

        var item = await _talk.OrderAsync(Guest("ann", "north"), Guest("bob", "north"), Guest("cid", "south"));
        await _talk.Platform.DrainAsync();

        var failed = (await _talk.CheckpointsAsync())[^1];
        Assert.Equal(("error", 2, 2, 0, true), (failed.CheckpointReason, failed.StepIndex, failed.CompletedSteps.GetArrayLength(), failed.ResumeCount, failed.CanResume));
        Assert.Equal((2, "api_error"), (failed.ErrorInfo!.Value.GetProperty("step").GetInt32(), failed.ErrorInfo.Value.GetProperty("type").GetString()));
        Assert.Equal((QueueStatus.Retrying, failed.CheckpointId), ((await _talk.ItemAsync(item)).Status, (await _talk.ItemAsync(item)).CheckpointId));

        // The checkpoint alone has to know what is done.
        await _talk.InAsync(tx => tx.ExecuteAsync("DELETE FROM actions.effects WHERE step < 2", [], default));
        await NextTryAsync();

        Assert.Equal(["ann", "bob", "cid", "cid"], _talk.Names());
        Assert.Equal(1, (await _talk.CheckpointsAsync()).Single(c => c.CheckpointId == failed.CheckpointId).ResumeCount);
        Assert.Equal("""{"tickets": [1, 2, 3]}""", (await _talk.ItemAsync(item)).Result!.Value.GetProperty("extracted").GetRawText());
        Assert.Equal([("failed", 0), ("completed", 1)], (await _talk.ExecutionsAsync()).Select(run => (run.Status, run.RetryAttempt)));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(10)]
    [Behaviour("brain-queue-checkpoint", "brain-queue-survives-crash")]
    public async Task A_worker_that_dies_in_the_middle_costs_only_the_call_it_was_in(int every)
    {
        await _talk.OfferAsync(Invite with { ForEach = Json.Of(new { param = "guests", every }) });
        using var died = new CancellationTokenSource();
        _talk.Endpoint.Answers(200, """{"id":1}""").Answers(200, """{"id":2}""").Hangs(died.Cancel).Answers(200, """{"id":3}""");
        var item = await _talk.OrderAsync("ann", "bob", "cid", "dan");

        await _talk.DieAsync(item, died);
        Assert.Equal(every == 1 ? 2 : 0, (await _talk.CheckpointsAsync()).Count);
        await _talk.Platform.DrainAsync();

        Assert.Equal(["0", "1", "2", "2", "3"], _talk.Called());
        Assert.Single(_talk.Endpoint.Requests.Skip(2).Take(2).Select(r => r.Headers["Idempotency-Key"]).Distinct());
        Assert.Equal([("failed", "interrupted"), ("completed", null)], (await _talk.ExecutionsAsync()).Select(run => (run.Status, run.ErrorType)));
        Assert.Equal(4, (await _talk.ItemAsync(item)).Result!.Value.GetProperty("count").GetInt32());
        Assert.All(await EffectsAsync(item), effect => Assert.Equal("happened", effect.Status));
    }

    [Fact]
    public async Task A_contact_names_the_elements_in_a_sentence()
    {
        await _talk.OfferAsync(Invite with { ParamValidation = Json.Of(new { guests = new { type = "array", extract = new[] { "invite the guests {value}" } } }) });
        _talk.Endpoint.Answers(200, "{}");

        await _talk.SayAsync("please invite the guests ann, bob lee, cid.");

        Assert.Equal(["\"ann\"", "\"bob lee\"", "\"cid\""], _talk.Endpoint.Requests.Select(r => r.Body));
    }

    [Fact]
    public async Task A_worker_that_lost_the_request_makes_no_further_call()
    {
        await _talk.OfferAsync(Invite with { TimeoutSeconds = 60 });
        var (arrived, release) = (new TaskCompletionSource(), new TaskCompletionSource());
        var other = Task.FromResult(0);
        _talk.Endpoint
            .Does(
                () =>
                {
                    other = _talk.Platform.DrainAsync();
                    return arrived.Task;
                },
                200)
            .Answers(200, "{}")
            .Does(
                () =>
                {
                    arrived.SetResult();
                    return release.Task;
                },
                200);
        var item = await _talk.OrderAsync("ann", "bob");

        // The other one is in its second step when this one has the answer to its first.
        var lost = new WorkItem(1, _talk.Actor.TenantId, ActionsModule.WorkKind, item.Id.ToString(), Json.Of(ActionWork.Of(item)), 1, 25, 0, 1, item.AddedAt);
        await Assert.ThrowsAsync<LeaseLostException>(() => _talk.Platform.Get<ExecuteAction>().HandleAsync(lost, default));
        release.SetResult();
        await other;

        Assert.Equal(["0", "0", "1"], _talk.Called());
        Assert.Equal(["failed", "completed"], (await _talk.ExecutionsAsync()).Select(run => run.Status));
    }

    [Fact]
    [Behaviour("brain-queue-stuck-recovery")]
    public async Task A_request_that_nothing_would_take_up_any_more_is_found_by_its_age_and_goes_on()
    {
        await _talk.OfferAsync(Invite);
        using var died = new CancellationTokenSource();
        _talk.Endpoint.Answers(200, """{"id":1}""").Hangs(died.Cancel).Answers(200, """{"id":2}""");
        var item = await _talk.OrderAsync("ann", "bob");
        await _talk.DieAsync(item, died);
        await _talk.InAsync(tx => tx.ExecuteAsync("UPDATE work.items SET state = 'cancelled', finished_at = now() WHERE kind = 'actions.execute'", [], default));
        var recovery = _talk.Platform.Get<RecoverStuck>();

        await _talk.Platform.DrainAsync();
        Assert.Equal((QueueStatus.Executing, 2), ((await _talk.ItemAsync(item)).Status, _talk.Endpoint.Requests.Count));
        Assert.Equal(0, await recovery.RunAsync(default));

        // The sign of life is the later of the two.
        await _talk.InAsync(tx => tx.ExecuteAsync("UPDATE actions.action_queue SET started_at = started_at - interval '1 hour'", [], default));
        Assert.Equal(0, await recovery.RunAsync(default));
        _clock.Advance(TimeSpan.FromMinutes(16));
        await _talk.InAsync(tx => tx.ExecuteAsync("UPDATE work.items SET state = 'running', finished_at = NULL, owner = gen_random_uuid(), lease_until = now() + interval '1 minute' WHERE kind = 'actions.execute'", [], default));
        Assert.Equal(0, await recovery.RunAsync(default));
        await _talk.InAsync(tx => tx.ExecuteAsync("DELETE FROM work.items WHERE kind = 'actions.execute'", [], default));
        Assert.Equal(1, await recovery.RunAsync(default));
        await _talk.Platform.DrainAsync();

        Assert.Equal(["0", "1", "1"], _talk.Called());
        Assert.Equal(QueueStatus.Completed, (await _talk.ItemAsync(item)).Status);
        Assert.Contains("action.recovered", await _talk.EventsAsync());
    }

    [Fact]
    public async Task A_long_run_gives_up_its_place_between_two_steps_and_stays_one_attempt()
    {
        await _talk.OfferAsync(Invite);
        _talk.Endpoint.Does(Later, 200).Does(Later, 200).Does(Later, 200);

        var item = await _talk.OrderAsync("ann", "bob", "cid");
        await _talk.Platform.DrainAsync();

        Assert.Equal(["0", "1", "2"], _talk.Called());
        Assert.Equal(QueueStatus.Completed, (await _talk.ItemAsync(item)).Status);
        Assert.Equal("completed", Assert.Single(await _talk.ExecutionsAsync()).Status);
        Assert.Contains(await _talk.CheckpointsAsync(), c => c.ResumeCount == 1);

        Task Later()
        {
            _clock.Advance(RunSteps.Shift);
            return Task.CompletedTask;
        }
    }

    [Fact]
    [Behaviour("bb-control-pause-resume")]
    public async Task A_pause_stops_between_two_steps_and_what_was_asked_later_does_not_wait_for_it()
    {
        await _talk.OfferAsync(Invite, new ActionDefinition { ActionId = "greet", ActionName = "greet me", ResponseTemplate = "hello" });
        var item = new QueuedAction();
        _talk.Endpoint.Does(async () => Assert.True((await TellAsync(item, "pause")).IsOk), 200).Answers(200, "{}");

        item = await _talk.OrderAsync("ann", "bob");
        await _talk.Platform.DrainAsync();
        Assert.Equal(["0"], _talk.Called());
        var stopped = (await _talk.CheckpointsAsync())[^1];
        Assert.Equal(("manual", 1), (stopped.CheckpointReason, stopped.StepIndex));
        Assert.Equal(("failed", "stopped"), (Assert.Single(await _talk.ExecutionsAsync()).Status, (await _talk.ExecutionsAsync())[0].ErrorType));
        Assert.Equal("hello", await _talk.SayAsync("greet me"));

        var resumed = (await TellAsync(item, "resume")).Value;
        Assert.Equal(stopped.CheckpointId, resumed.CheckpointData!.Value.GetProperty("checkpoint_id").GetString());
        await _talk.Platform.DrainAsync();

        Assert.Equal(["0", "1"], _talk.Called());
        Assert.Equal("2 invited", await _talk.RepliesAsync());
    }

    [Fact]
    [Behaviour("bb-control-cancel")]
    public async Task A_cancellation_ends_it_between_two_steps()
    {
        await _talk.OfferAsync(Invite);
        var item = new QueuedAction();
        _talk.Endpoint.Does(async () => Assert.True((await TellAsync(item, "cancel")).IsOk), 200).Answers(200, "{}");

        item = await _talk.OrderAsync("ann", "bob");
        await _talk.Platform.DrainAsync();

        Assert.Equal(["0"], _talk.Called());
        Assert.Equal(QueueStatus.Cancelled, (await _talk.ItemAsync(item)).Status);
    }

    [Fact]
    public async Task A_replay_with_a_corrected_element_does_not_repeat_what_was_done()
    {
        await _talk.OfferAsync(Invite);
        _talk.Endpoint.Answers(200, """{"id":1}""").Answers(422, "{}").Answers(200, """{"id":2}""");
        await _talk.OrderAsync(Guest("ann", "north"), Guest("bbo", "north"), Guest("cid", "south"));
        await _talk.Platform.DrainAsync();
        var letter = await _talk.InAsync(tx => tx.SingleAsync<DeadLetter>("SELECT * FROM actions.dead_letter_queue", [], default));

        var guests = Json.Of(new { guests = new[] { Guest("ann", "north"), Guest("bob", "north"), Guest("cid", "south") } });
        var replay = (await _talk.InAsync(tx => _talk.Platform.Get<ReplayDeadLetter>().RunAsync(tx, letter.DlqId, new Replay(guests), default))).Value;
        await _talk.Platform.DrainAsync();

        Assert.Equal(["ann", "bbo", "bob", "cid"], _talk.Names());
        Assert.Equal("""{"tickets": [1, 2, 2]}""", (await _talk.ItemAsync(replay)).Result!.Value.GetProperty("extracted").GetRawText());
    }

    [Fact]
    public async Task An_answer_that_was_lost_in_the_middle_is_asked_for_before_the_step_is_repeated()
    {
        await _talk.OfferAsync(Invite with
        {
            ApiIdempotent = false,
            TimeoutSeconds = 5,
            Probe = Json.Of(new { method = "GET", endpoint = $"{_talk.Endpoint.Url}/sent/{{{{step}}}}", happened = new { status_codes = new[] { 200 } }, not_happened = new { status_codes = new[] { 404 } } }),
        });
        _talk.Endpoint.Answers(200, """{"id":1}""").Hangs().Answers(200, """{"id":2}""");
        await _talk.OrderAsync("ann", "bob");
        await _talk.Platform.DrainAsync();

        await NextTryAsync();

        Assert.Equal(["/invitations/0", "/invitations/1", "/sent/1"], _talk.Endpoint.Requests.Select(r => r.Target));
        Assert.Equal("2 invited", await _talk.RepliesAsync());
    }

    private async Task NextTryAsync()
    {
        _clock.Advance(TimeSpan.FromMinutes(1));
        await _talk.HastenAsync();
        await _talk.Platform.DrainAsync();
    }

    private async Task<IReadOnlyList<ActionEffect>> EffectsAsync(QueuedAction item) =>
        await _talk.InAsync(tx => _talk.Platform.Get<ActionEffects>().OfRequestAsync(tx, item.Id, default));

    private Task<Result<ExecutionControl>> TellAsync(QueuedAction item, string command) =>
        _talk.InAsync(tx => _talk.Platform.Get<ControlExecution>().RunAsync(tx, item.Id, new ControlCommand(command, null, null), default));
}
