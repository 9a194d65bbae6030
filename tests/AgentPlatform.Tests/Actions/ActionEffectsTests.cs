using AgentPlatform.Actions;
using AgentPlatform.Actions.Aftermath;
using AgentPlatform.Actions.Execution;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Tests.Brain;
using AgentPlatform.Work;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Tests.Actions;

public sealed class ActionEffectsTests : IAsyncLifetime
{
    private static readonly ActionDefinition Pay = new()
    {
        ActionId = "pay",
        ActionName = "pay the bill",
        ExecutionType = "http",
        ApiMethod = "POST",
        ApiEndpoint = "{endpoint}/payments",
        TimeoutSeconds = 30,
        ResponseTemplate = "paid",
    };

    private readonly Conversations.StillClock _clock = new(TimeProvider.System.GetUtcNow());
    private Talk _talk = null!;

    public async Task InitializeAsync() => _talk = await Talk.StartAsync(services => services.AddSingleton<TimeProvider>(_clock));

    public async Task DisposeAsync() => await _talk.DisposeAsync();

    [Fact]
    [Behaviour("brain-queue-survives-crash")]
    public async Task After_a_crash_a_call_that_the_probe_finds_carried_out_is_not_made_again()
    {
        var item = await DieInMidCallAsync(Probed(), f => f.Answers(200, """{"paid":7}"""));
        Assert.Equal(("calling", 1), await EffectAsync(item, e => (e.Status, e.Attempts)));

        await _talk.Platform.DrainAsync();

        Assert.Equal([("POST", "/payments"), ("GET", $"/payments/{item.IdempotencyKey}")], _talk.Endpoint.Requests.Select(r => (r.Method, r.Target.Replace("%3A", ":", StringComparison.Ordinal))));
        Assert.Equal(("happened", 2, 1), await EffectAsync(item, e => (e.Status, e.Attempts, e.Probes)));
        Assert.Equal(7, Assert.Single(await _talk.QueueAsync()).Result!.Value.GetProperty("paid").GetInt32());
        Assert.Equal([("failed", "interrupted"), ("completed", null)], (await _talk.ExecutionsAsync()).Select(run => (run.Status, run.ErrorType)));
    }

    [Fact]
    public async Task After_a_crash_a_call_that_the_probe_finds_missing_is_made_under_the_same_key()
    {
        var item = await DieInMidCallAsync(Probed(), f => f.Answers(404, "{}").Answers(201, "{}"));

        await _talk.Platform.DrainAsync();

        Assert.Equal(["POST", "GET", "POST"], _talk.Endpoint.Requests.Select(r => r.Method));
        Assert.Equal(item.IdempotencyKey, Assert.Single(_talk.Endpoint.Requests.Select(r => r.Headers["Idempotency-Key"]).Distinct()));
        Assert.Equal(("happened", 1), await EffectAsync(item, e => (e.Status, e.Probes)));
    }

    [Fact]
    public async Task A_worker_that_was_held_up_before_its_call_leaves_it_to_the_next_attempt()
    {
        var item = await DieInMidCallAsync(Probed(), f => f.Does(
            () =>
            {
                _clock.Advance(CallEndpoint.MaxPause);
                return Task.CompletedTask;
            },
            404));

        await _talk.Platform.DrainAsync();

        Assert.Equal(["POST", "GET"], _talk.Endpoint.Requests.Select(r => r.Method));
        Assert.Equal("not_happened", await EffectAsync(item, e => e.Status));
        Assert.Equal(QueueStatus.Retrying, Assert.Single(await _talk.QueueAsync()).Status);
    }

    [Fact]
    public async Task A_probe_that_cannot_tell_is_asked_again_and_nothing_is_called()
    {
        var item = await DieInMidCallAsync(Probed(), f => f.Answers(202, "{}"));

        await _talk.Platform.DrainAsync();

        Assert.Equal(["POST", "GET"], _talk.Endpoint.Requests.Select(r => r.Method));
        Assert.Equal("unknown", await EffectAsync(item, e => e.Status));
        Assert.Equal(QueueStatus.Retrying, Assert.Single(await _talk.QueueAsync()).Status);
    }

    [Theory]
    [InlineData("PUT", false)]
    [InlineData("POST", true)]
    [Behaviour("brain-queue-survives-crash")]
    public async Task Without_a_probe_a_call_is_repeated_where_that_is_safe(string method, bool honoursKey)
    {
        var item = await DieInMidCallAsync(Pay with { ApiMethod = method, ApiIdempotent = honoursKey }, f => f.Answers(200, "{}"));

        await _talk.Platform.DrainAsync();

        Assert.Equal([item.IdempotencyKey, item.IdempotencyKey], _talk.Endpoint.Requests.Select(r => r.Headers["Idempotency-Key"]));
        Assert.Equal(QueueStatus.Completed, Assert.Single(await _talk.QueueAsync()).Status);
    }

    [Fact]
    public async Task Where_nothing_tells_a_person_is_asked_and_their_word_lets_it_be_tried_again()
    {
        var item = await DieInMidCallAsync(Pay, f => f.Answers(200, "{}"));

        await _talk.Platform.DrainAsync();

        Assert.Single(_talk.Endpoint.Requests);
        var letter = Assert.Single(await LettersAsync());
        Assert.Equal(("outcome_unknown", "check_provider"), (letter.FinalError.GetProperty("type").GetString(), letter.InterventionType));
        Assert.Equal("unknown", await EffectAsync(item, e => e.Status));
        Assert.Equal("effect_unknown", (await ReplayAsync(letter, new Replay(null))).Problem!.Code);

        Assert.True((await ReplayAsync(letter, new Replay(null, NotHappened: true))).IsOk);
        await _talk.Platform.DrainAsync();

        Assert.Equal("not_happened", await EffectAsync(item, e => e.Status));
        Assert.Equal(2, _talk.Endpoint.Requests.Select(r => r.Headers["Idempotency-Key"]).Distinct().Count());
        Assert.True(Assert.Single(await LettersAsync()).Resolved);
    }

    [Fact]
    public async Task A_call_that_timed_out_is_not_repeated_where_that_could_double_it()
    {
        await _talk.OfferAsync(Pay with { TimeoutSeconds = 1 });
        _talk.Endpoint.Hangs();

        await _talk.SayAsync("pay the bill");

        Assert.Equal(QueueStatus.Failed, Assert.Single(await _talk.QueueAsync()).Status);
        Assert.Equal("check_provider", Assert.Single(await LettersAsync()).InterventionType);
        Assert.Equal("timeout", Assert.Single(await _talk.ExecutionsAsync()).Status);
    }

    [Fact]
    public async Task A_replay_of_an_open_call_goes_out_under_the_same_key()
    {
        await _talk.OfferAsync(Pay with { ApiIdempotent = true, RetryPolicy = Json.Of(new { max_retries = 0 }) });
        _talk.Endpoint.Answers(503, "{}").Answers(200, "{}");
        await _talk.SayAsync("pay the bill");

        var replay = (await ReplayAsync(Assert.Single(await LettersAsync()), new Replay(null))).Value;
        Assert.Equal("unknown", await EffectAsync(replay, e => e.Status));
        await _talk.Platform.DrainAsync();

        Assert.Single(_talk.Endpoint.Requests.Select(r => r.Headers["Idempotency-Key"]).Distinct());
        Assert.Equal("happened", await EffectAsync(replay, e => e.Status));
    }

    [Theory]
    [InlineData(200, QueueStatus.Completed, "happened", 1)]
    [InlineData(404, QueueStatus.Failed, "not_happened", 1)]
    [InlineData(202, QueueStatus.Failed, "unknown", SettleAttempt.LastQuestions)]
    public async Task After_the_last_try_the_provider_is_asked_what_became_of_it_before_the_request_dies(int answer, QueueStatus end, string effect, int questions)
    {
        await _talk.OfferAsync(Probed() with { TimeoutSeconds = 5, RetryPolicy = Json.Of(new { max_retries = 1 }) });
        _talk.Endpoint.Hangs().Answers(answer, "{}");
        await _talk.SayAsync("pay the bill");
        Assert.Equal(QueueStatus.Retrying, Assert.Single(await _talk.QueueAsync()).Status);

        for (var i = 0; i < SettleAttempt.LastQuestions; i++)
        {
            _clock.Advance(TimeSpan.FromMinutes(2));
            await _talk.HastenAsync();
            await _talk.Platform.DrainAsync();
        }

        var item = Assert.Single(await _talk.QueueAsync());
        Assert.Equal((end, effect), (item.Status, await EffectAsync(item, e => e.Status)));
        Assert.Equal(["POST", .. Enumerable.Repeat("GET", questions)], _talk.Endpoint.Requests.Select(r => r.Method));
        if (effect == "not_happened")
        {
            var error = Assert.Single(await LettersAsync()).FinalError;
            Assert.Equal(("timeout", "No answer within 5 s. The call was not carried out."), (error.GetProperty("type").GetString(), error.GetProperty("message").GetString()));
        }
    }

    [Theory]
    [InlineData(200, "happened")]
    [InlineData(404, "not_happened")]
    public async Task The_call_of_a_cancelled_request_is_asked_for(int answer, string effect)
    {
        var item = await LoseAndCancelAsync(Probed(), f => f.Answers(202, "{}").Answers(answer, "{}"));
        Assert.Equal("unknown", await EffectAsync(item, e => e.Status));
        await _talk.HastenAsync();
        await _talk.Platform.DrainAsync();

        Assert.Equal(["POST", "GET", "GET"], _talk.Endpoint.Requests.Select(r => r.Method));
        Assert.Equal((effect, 2), await EffectAsync(item, e => (e.Status, e.Probes)));
        Assert.Equal(QueueStatus.Cancelled, Assert.Single(await _talk.QueueAsync()).Status);
        Assert.Contains("action.effect_settled", await _talk.EventsAsync());
    }

    [Fact]
    public async Task Where_nothing_tells_a_person_settles_the_call_of_a_request_that_is_over_once()
    {
        var item = await LoseAndCancelAsync(Pay with { ApiIdempotent = true }, f => f.Answers(200, "{}"));
        var effect = await EffectAsync(item, e => e);
        Assert.Equal("unknown", effect.Status);

        Assert.Equal("happened", (await SettleAsync(effect.Id)).Value.Status);
        Assert.Equal("effect_settled", (await SettleAsync(effect.Id)).Problem!.Code);
        Assert.Equal("effect_not_found", (await SettleAsync(Guid.Empty)).Problem!.Code);
    }

    [Fact]
    public async Task The_call_of_a_request_that_is_still_worked_on_is_not_settled_by_hand()
    {
        var item = await DieInMidCallAsync(Probed(), f => f.Answers(200, "{}"));

        Assert.Equal("execution_not_over", (await SettleAsync((await EffectAsync(item, e => e)).Id)).Problem!.Code);
    }

    [Theory]
    [InlineData("api_rejected", 422, null, "not_happened")]
    [InlineData("api_error", 429, null, "not_happened")]
    [InlineData("api_error", 503, null, "unknown")]
    [InlineData("network_error", null, "ConnectionError", "not_happened")]
    [InlineData("network_error", null, "ResponseEnded", "unknown")]
    [InlineData("timeout", null, null, "unknown")]
    public void An_answer_tells_what_became_of_the_call(string kind, int? status, string? code, string expected) =>
        Assert.Equal(expected, ActionResult.Failed(new(kind, "") { ResponseStatus = status, Code = code }).Effect);

    [Fact]
    public void A_probe_must_say_what_either_answer_looks_like() =>
        Assert.Contains("probe", RegistryRules.Errors(Pay with { ApiEndpoint = "https://x.test/", Probe = Json.Of(new { method = "GET", endpoint = "https://x.test/", happened = new { status_codes = new[] { 200 } } }) }).Keys);

    private ActionDefinition Probed() => Pay with
    {
        Probe = Json.Of(new
        {
            method = "GET",
            endpoint = $"{_talk.Endpoint.Url}/payments/{{{{idempotency_key}}}}",
            happened = new { status_codes = new[] { 200 } },
            not_happened = new { status_codes = new[] { 404 } },
        }),
    };

    /// <summary>The first transaction commits, the call goes out, and the worker is gone before the second.</summary>
    private async Task<QueuedAction> DieInMidCallAsync(ActionDefinition action, Action<FakeEndpoint> afterwards)
    {
        await _talk.OfferAsync(action);
        var session = await _talk.SessionAsync();
        var item = await _talk.InAsync(async tx => await _talk.Platform.Get<ActionQueue>().EnqueueAsync(tx, new ActionRequest(
            (await _talk.Platform.Get<ActionRegistry>().FindAsync(tx, _talk.AgentId, action.ActionId, default))!, session.SessionId, _talk.ContactId, _talk.ConversationId, "pay:1")
        { Context = null }, default));
        using var died = new CancellationTokenSource();
        afterwards(_talk.Endpoint.Hangs(died.Cancel));
        var work = new WorkItem(1, _talk.Actor.TenantId, ActionsModule.WorkKind, item.Id.ToString(), Json.Of(ActionWork.Of(item)), 1, 25, 0, 1, item.AddedAt);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => _talk.Platform.Get<ExecuteAction>().HandleAsync(work, died.Token));
        return item;
    }

    /// <summary>The answer is lost, and the request is cancelled while it waits for its next try.</summary>
    private async Task<QueuedAction> LoseAndCancelAsync(ActionDefinition action, Action<FakeEndpoint> afterwards)
    {
        await _talk.OfferAsync(action with { TimeoutSeconds = 5 });
        afterwards(_talk.Endpoint.Hangs());
        await _talk.SayAsync("pay the bill");
        var item = Assert.Single(await _talk.QueueAsync());
        Assert.True((await _talk.InAsync(tx => _talk.Platform.Get<ActionQueue>().CancelAsync(tx, item.Id, "no longer wanted", default))).IsOk);
        await _talk.Platform.DrainAsync();
        return item;
    }

    private Task<Result<ActionEffect>> SettleAsync(Guid id) =>
        _talk.InAsync(tx => _talk.Platform.Get<SettleEffect>().RunAsync(tx, id, new EffectWord(true, "asked by phone"), default));

    private async Task<T> EffectAsync<T>(QueuedAction item, Func<ActionEffect, T> read) =>
        read(Assert.Single((await _talk.InAsync(tx => _talk.Platform.Get<ActionEffects>().ListAsync(tx, null, item.QueueId, new PageRequest(10, null), default))).Items));

    private Task<Result<QueuedAction>> ReplayAsync(DeadLetter letter, Replay how) =>
        _talk.InAsync(tx => _talk.Platform.Get<ReplayDeadLetter>().RunAsync(tx, letter.DlqId, how, default));

    private Task<IReadOnlyList<DeadLetter>> LettersAsync() => _talk.InAsync(tx => tx.QueryAsync<DeadLetter>("SELECT * FROM actions.dead_letter_queue ORDER BY id", [], default));
}
