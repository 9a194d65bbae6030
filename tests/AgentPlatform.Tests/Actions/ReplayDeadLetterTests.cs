using AgentPlatform.Actions;
using AgentPlatform.Actions.Aftermath;
using AgentPlatform.Actions.Approvals;
using AgentPlatform.Actions.Execution;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Tests.Brain;

namespace AgentPlatform.Tests.Actions;

public sealed class ReplayDeadLetterTests : IAsyncLifetime
{
    private static readonly ActionDefinition Order = new()
    {
        ActionId = "order",
        ActionName = "order a part",
        ParamsOptional = Json.Of(new[] { "size" }),
        ParamValidation = Json.Of(new { size = new { type = "integer", maximum = 9, message = "At most 9." } }),
        ExecutionType = "http",
        ApiMethod = "PUT",
        ApiEndpoint = "{endpoint}/orders",
        ResponseTemplate = "ordered",
        RetryPolicy = Json.Of(new { max_retries = 0 }),
    };

    private Talk _talk = null!;

    public async Task InitializeAsync() => _talk = await Talk.StartAsync(Order);

    public async Task DisposeAsync() => await _talk.DisposeAsync();

    [Fact]
    [Behaviour("brain-dlq-replay")]
    public async Task A_replay_runs_with_corrected_parameters_and_resolves_the_letter_when_it_completes()
    {
        _talk.Endpoint.Answers(422, "{}").Answers(200, "{}");
        await _talk.SayAsync("order a part");
        var letter = Assert.Single(await LettersAsync());

        var wrong = (await ReplayAsync(letter, new { size = 12 })).Problem!;
        Assert.Equal("At most 9.", Assert.Single(wrong.Errors!["params.size"]));
        var replay = (await ReplayAsync(letter, new { size = 3 })).Value;
        Assert.Equal("replay_under_way", (await ReplayAsync(letter)).Problem!.Code);
        var linked = Assert.Single(await LettersAsync());
        Assert.Equal((replay.QueueId, false, letter.DlqId), (linked.ReplayQueueId, linked.Resolved, replay.ReplayOf));
        Assert.NotNull(linked.ReplayedAt);

        await _talk.Platform.DrainAsync();

        Assert.Equal("""{"size": 3}""", _talk.Endpoint.Requests.Last().Body);
        Assert.NotEqual(letter.IdempotencyKey, _talk.Endpoint.Requests.Last().Headers["Idempotency-Key"]);
        var resolved = Assert.Single(await LettersAsync());
        Assert.Equal((true, $"replayed as {replay.QueueId}"), (resolved.Resolved, resolved.ResolutionNotes));
        Assert.Equal("already_resolved", (await ReplayAsync(letter)).Problem!.Code);
    }

    [Fact]
    [Behaviour("brain-dlq-replay", "brain-dlq-notify-user")]
    public async Task A_replay_that_fails_has_its_own_letter_is_not_told_again_and_completing_its_replay_resolves_both()
    {
        _talk.Endpoint.Answers(422, "{}").Answers(422, "{}").Answers(200, "{}");
        await _talk.HearAsync("order a part");
        await _talk.Platform.DrainAsync();
        var first = Assert.Single(await LettersAsync());
        await ReplayAsync(first);
        await _talk.Platform.DrainAsync();

        var second = (await LettersAsync())[^1];
        Assert.Equal("I am sorry, I could not order a part. A colleague will look into it.", await _talk.RepliesAsync());
        Assert.True(second is { UserNotified: true, UserNotificationSentAt: not null });
        Assert.All(await LettersAsync(), letter => Assert.False(letter.Resolved));
        Assert.Equal("already_replayed", (await ReplayAsync(first)).Problem!.Code);
        Assert.True((await ReplayAsync(second)).IsOk);
        await _talk.Platform.DrainAsync();

        Assert.Equal([true, true], (await LettersAsync()).Select(letter => letter.Resolved));
    }

    [Fact]
    [Behaviour("brain-dlq-replay")]
    public async Task A_bulk_replay_takes_the_open_letters_of_one_action_and_kind_of_error()
    {
        _talk.Endpoint.Answers(422, "{}").Answers(422, "{}").Answers(503, "{}").Answers(200, "{}");
        for (var i = 0; i < 3; i++)
        {
            await _talk.SayAsync("order a part");
        }

        var none = await ReplayAllAsync(new BulkReplay("other", null, null));
        var rejected = await ReplayAllAsync(new BulkReplay("order", "api_rejected", null));
        await _talk.Platform.DrainAsync();

        Assert.Empty(none.Replayed);
        Assert.Equal(2, rejected.Replayed.Count);
        Assert.Equal([("api_rejected", true), ("api_rejected", true), ("api_error", false)],
            (await LettersAsync()).Select(letter => (letter.FinalError.GetProperty("type").GetString(), letter.Resolved)));

        await _talk.InAsync(tx => tx.ExecuteAsync("UPDATE actions.action_registry SET is_active = false", [], default));
        var refused = Assert.Single((await ReplayAllAsync(new BulkReplay("order", null, null))).Refused);
        Assert.Equal("action_not_offered", refused.Code);
    }

    [Fact]
    [Behaviour("brain-dlq-replay")]
    public async Task A_replay_of_what_a_person_must_allow_asks_again_for_what_it_will_do()
    {
        await _talk.InAsync(tx => tx.ExecuteAsync("UPDATE actions.action_registry SET approval = '{\"risk_level\": \"high\"}'", [], default));
        _talk.Endpoint.Answers(422, "{}").Answers(200, "{}");
        await _talk.SayAsync("order a part");
        await ApproveAsync("{}");
        await _talk.Platform.DrainAsync();

        var replay = (await ReplayAsync(Assert.Single(await LettersAsync()), new { size = 9 })).Value;
        await _talk.Platform.DrainAsync();
        Assert.Equal((QueueStatus.Blocked, "awaiting_approval"), (replay.Status, replay.BlockerReason));
        Assert.Single(_talk.Endpoint.Requests);

        await ApproveAsync("""{"size": 9}""");
        await _talk.Platform.DrainAsync();
        Assert.Equal("""{"size": 9}""", _talk.Endpoint.Requests.Last().Body);
        Assert.True(Assert.Single(await LettersAsync()).Resolved);
    }

    /// <summary>The owner allows what is asked for, which is this.</summary>
    private Task ApproveAsync(string values) => _talk.InAsync(async tx =>
    {
        var asked = await tx.SingleAsync<ActionApproval>("SELECT * FROM actions.approvals WHERE status = 'pending'", [], default);
        Assert.Equal(values, asked.ActionParams.GetRawText());
        var owner = await tx.SingleAsync<Guid>("SELECT user_id FROM tenancy.workspace_members", [], default);
        Assert.True((await _talk.Platform.Get<DecideApproval>().ApproveAsync(tx, asked.Id, new Approver(owner, "api"), null, default)).IsOk);
    });

    private Task<Result<QueuedAction>> ReplayAsync(DeadLetter letter, object? corrected = null) =>
        _talk.InAsync(tx => _talk.Platform.Get<ReplayDeadLetter>().RunAsync(tx, letter.DlqId, new Replay(corrected is null ? null : Json.Of(corrected)), default));

    private Task<BulkReplayed> ReplayAllAsync(BulkReplay which) => _talk.InAsync(tx => _talk.Platform.Get<ReplayDeadLetter>().RunAsync(tx, which, default));

    private Task<IReadOnlyList<DeadLetter>> LettersAsync() => _talk.InAsync(tx => tx.QueryAsync<DeadLetter>("SELECT * FROM actions.dead_letter_queue ORDER BY id", [], default));
}
