using AgentPlatform.Actions;
using AgentPlatform.Actions.Aftermath;
using AgentPlatform.Actions.Execution;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Conversations;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Tests.Brain;
using AgentPlatform.Work;
using Npgsql;

namespace AgentPlatform.Tests.Actions;

public sealed class ExecuteActionTests : IAsyncLifetime
{
    private static readonly ActionDefinition Ping = new()
    {
        ActionId = "ping",
        ActionName = "ping the server",
        ExecutionType = "http",
        ApiMethod = "POST",
        ApiIdempotent = true,
        ApiEndpoint = "{endpoint}/ping",
        Category = "ops",
        TimeoutSeconds = 30,
        ResponseTemplate = "pong {{result.n}}",
    };

    /// <summary>The same with a limit that is soon over, and a second try that does not come by itself within a test.</summary>
    private static readonly ActionDefinition Impatient = Ping with
    {
        ActionId = "ping_now",
        ActionName = "ping the server now",
        TimeoutSeconds = 1,
        RetryPolicy = Json.Of(new { initial_delay_seconds = 600, max_delay_seconds = 600 }),
    };

    private Talk _talk = null!;

    public async Task InitializeAsync() => _talk = await Talk.StartAsync(Ping);

    public async Task DisposeAsync() => await _talk.DisposeAsync();

    [Fact]
    [Behaviour("brain-exec-captures-io", "brain-exec-duration", "brain-queue-timing", "brain-exec-trace")]
    public async Task An_attempt_is_recorded_with_what_went_in_and_what_came_out()
    {
        _talk.Endpoint.Answers(201, """{"n":7}""");

        Assert.Equal("pong 7", await _talk.SayAsync("ping the server"));

        var item = Assert.Single(await _talk.QueueAsync());
        var run = Assert.Single(await _talk.ExecutionsAsync());
        Assert.Equal((QueueStatus.Completed, run.ExecutionId), (item.Status, item.ExecutionId));
        Assert.True(item.AddedAt <= item.StartedAt && item.StartedAt <= item.CompletedAt);
        Assert.Equal(("completed", 201, 0, false), (run.Status, run.ApiResponseStatus, run.RetryAttempt, run.TimedOut));
        Assert.Equal((int)Math.Round((run.CompletedAt!.Value - run.StartedAt).TotalMilliseconds), run.DurationMs!.Value);
        Assert.Equal(7, run.Result!.Value.GetProperty("n").GetInt32());
        Assert.Equal(item.IdempotencyKey, Assert.Single(_talk.Endpoint.Requests).Headers["Idempotency-Key"]);
        var traced = await _talk.InAsync(tx => _talk.Platform.Get<ExecutionLog>().ListAsync(tx, new ExecutionFilter(run.TraceId, null, null), new PageRequest(10, null), default));
        Assert.Equal(run.ExecutionId, Assert.Single(traced.Items).ExecutionId);
    }

    [Fact]
    [Behaviour("brain-queue-retry-backoff", "brain-queue-retry-not-early", "brain-queue-retry-errors", "brain-exec-log-per-attempt", "brain-queue-retry-policy-source")]
    public async Task A_failed_call_is_tried_again_after_its_delay_and_not_before()
    {
        _talk.Endpoint.Answers(503, "{}").Answers(200, """{"n":1}""");

        Assert.Equal("", await _talk.SayAsync("ping the server"));
        var waiting = Assert.Single(await _talk.QueueAsync());
        Assert.Equal((QueueStatus.Retrying, 1, 3), (waiting.Status, waiting.RetryCount, waiting.MaxRetries));
        Assert.Equal(2, (waiting.NextRetryAt!.Value - waiting.LastRetryAt!.Value).TotalSeconds, 1);
        var error = Assert.Single(waiting.RetryErrors.EnumerateArray());
        Assert.Equal((1, "The endpoint answered 503."), (error.GetProperty("attempt").GetInt32(), error.GetProperty("error").GetString()));

        // However slow the machine: the request is not due, and an engine that comes to it all the same does not call.
        await _talk.InAsync(tx => tx.ExecuteAsync("UPDATE actions.action_queue SET next_retry_at = now() + interval '1 hour'", [], default));
        await _talk.InAsync(tx => tx.ExecuteAsync("UPDATE work.items SET run_at = now() WHERE state = 'ready'", [], default));
        await _talk.Platform.DrainAsync();
        Assert.Single(_talk.Endpoint.Requests);

        await _talk.HastenAsync();
        await _talk.Platform.DrainAsync();
        Assert.Equal("pong 1", await _talk.RepliesAsync());
        var runs = await _talk.ExecutionsAsync();
        Assert.Equal([("failed", 0, false), ("completed", 1, false)], runs.Select(r => (r.Status, r.RetryAttempt, r.FinalRetry)));
        Assert.Equal(2, runs.Select(r => r.ExecutionId).Distinct().Count());
    }

    [Fact]
    public async Task A_turn_stops_what_is_being_taken_up_at_that_moment()
    {
        _talk.Endpoint.Answers(503, "{}");
        await _talk.SayAsync("ping the server");
        var item = Assert.Single(await _talk.QueueAsync());
        await _talk.HastenAsync();

        var taken = Task.CompletedTask;
        var stopped = await _talk.InAsync(async tx =>
        {
            await SessionStore.LockAsync(tx, item.SessionId, default);
            taken = _talk.Platform.DrainAsync();
            Assert.True(await _talk.Platform.Postgres.SomebodyWaitsAsync());
            // Who waits for the session holds nothing of the request yet: it is there for the turn.
            await tx.ExecuteAsync("SELECT FROM actions.action_queue WHERE id = $1 FOR UPDATE NOWAIT", [item.Id], default);
            return await _talk.Platform.Get<ActionQueue>().CancelAsync(tx, item.Id, "cancelled by the contact", default);
        });
        await taken;

        Assert.Equal(QueueStatus.Cancelled, stopped.Value.Status);
        Assert.Equal(QueueStatus.Cancelled, Assert.Single(await _talk.QueueAsync()).Status);
        Assert.Single(_talk.Endpoint.Requests);
    }

    [Fact]
    [Behaviour("brain-queue-exhaust-to-dlq", "brain-dlq-capture", "brain-dlq-time-in-queue", "brain-dlq-notify-user", "brain-dlq-intervention", "brain-intent-resolution", "brain-intent-queue-sync")]
    public async Task An_action_that_exhausts_its_tries_becomes_one_dead_letter_and_the_contact_is_told_once()
    {
        _talk.Endpoint.Answers(500, "{}");

        await _talk.SayAsync("ping the server");
        for (var i = 0; i < 3; i++)
        {
            await _talk.HastenAsync();
            await _talk.Platform.DrainAsync();
        }

        Assert.Equal(3, _talk.Endpoint.Requests.Count);
        Assert.Equal("I am sorry, I could not ping the server. A colleague will look into it.", await _talk.RepliesAsync());
        var item = Assert.Single(await _talk.QueueAsync());
        var letter = await _talk.InAsync(tx => tx.SingleAsync<DeadLetter>("SELECT * FROM actions.dead_letter_queue", [], default));
        Assert.Equal((QueueStatus.Failed, 3), (item.Status, item.RetryCount));
        Assert.Equal((item.QueueId, "ping", "ops", 3, 3), (letter.OriginalQueueId, letter.ActionId, letter.ActionCategory, letter.RetryCount, letter.MaxRetries));
        Assert.Equal((3, item.IdempotencyKey), (letter.RetryHistory.GetArrayLength(), letter.IdempotencyKey));
        Assert.Equal("api_error", letter.FinalError.GetProperty("type").GetString());
        Assert.Equal((int)(letter.MovedToDlqAt - letter.OriginalAddedAt).TotalSeconds, letter.TimeInQueueSeconds);
        Assert.True(letter is { UserNotified: true, RequiresManualIntervention: true, InterventionType: "check_provider", Resolved: false });
        Assert.False(await _talk.InAsync(tx => _talk.Platform.Get<DeadLetters>().NotifiedAsync(tx, item.QueueId, "again", default)));
        var intent = Assert.Single(await _talk.IntentsAsync());
        Assert.Equal(("failed", "api_error: The endpoint answered 500."), (intent.Status, intent.Error));
        Assert.True((await _talk.ExecutionsAsync())[^1].FinalRetry);
    }

    [Fact]
    [Behaviour("brain-dlq-resolve", "brain-dlq-escalate")]
    public async Task A_dead_letter_is_escalated_and_resolved_once_with_notes()
    {
        _talk.Endpoint.Answers(400, "{}");
        await _talk.SayAsync("ping the server");
        var dead = _talk.Platform.Get<DeadLetters>();
        var id = (await _talk.InAsync(tx => dead.ListAsync(tx, resolved: false, null, new PageRequest(10, null), default))).Items.Single().DlqId;

        Assert.Equal("T-1", (await _talk.InAsync(tx => dead.EscalateAsync(tx, id, "T-1", default))).Value.EscalationTicketId);
        Assert.Single((await _talk.InAsync(tx => dead.ListAsync(tx, null, escalated: true, new PageRequest(10, null), default))).Items);
        var resolved = (await _talk.InAsync(tx => dead.ResolveAsync(tx, id, "called the provider", default))).Value;

        Assert.Equal((true, "called the provider"), (resolved.Resolved, resolved.ResolutionNotes));
        Assert.NotNull(resolved.ResolvedAt);
        Assert.Equal("already_resolved", (await _talk.InAsync(tx => dead.ResolveAsync(tx, id, "again", default))).Problem!.Code);
        Assert.Empty((await _talk.InAsync(tx => dead.ListAsync(tx, resolved: false, null, new PageRequest(10, null), default))).Items);
    }

    [Fact]
    [Behaviour("brain-queue-retry-on-errors")]
    public async Task A_refusal_that_the_policy_does_not_list_fails_at_once()
    {
        _talk.Endpoint.Answers(422, "{}");

        await _talk.SayAsync("ping the server");

        Assert.Equal(QueueStatus.Failed, Assert.Single(await _talk.QueueAsync()).Status);
        Assert.Equal("api_rejected", Assert.Single(await _talk.ExecutionsAsync()).ErrorType);
    }

    [Fact]
    [Behaviour("brain-exec-timeout")]
    public async Task An_attempt_that_takes_too_long_ends_as_a_timeout_and_is_tried_again()
    {
        await _talk.OfferAsync(Impatient);
        _talk.Endpoint.Hangs();

        await _talk.SayAsync("ping the server now");

        var run = Assert.Single(await _talk.ExecutionsAsync());
        Assert.Equal(("timeout", true, "timeout", 1), (run.Status, run.TimedOut, run.ErrorType, run.TimeoutSeconds));
        Assert.Equal(QueueStatus.Retrying, Assert.Single(await _talk.QueueAsync()).Status);
    }

    [Fact]
    [Behaviour("brain-exec-duplicate")]
    public async Task A_key_that_was_executed_is_not_executed_again()
    {
        _talk.Endpoint.Answers(200, """{"n":1}""");
        await _talk.SayAsync("ping the server");
        await _talk.InAsync(async tx =>
        {
            tx.Post("UPDATE actions.action_queue SET status = 'ready', completed_at = NULL, result = NULL");
            await tx.ExecuteAsync("UPDATE work.items SET state = 'ready', finished_at = NULL WHERE kind = 'actions.execute'", [], default);
        });
        // The intent has ended; what is repeated here is the execution alone.
        await _talk.InAsync(tx => tx.ExecuteAsync("UPDATE actions.action_queue SET intent_id = NULL", [], default));
        await _talk.Platform.DrainAsync();

        Assert.Single(_talk.Endpoint.Requests);
        var runs = await _talk.ExecutionsAsync();
        Assert.Equal((true, runs[0].ExecutionId), (runs[1].DuplicateExecution, runs[1].OriginalExecutionId));
        Assert.Equal(1, Assert.Single(await _talk.QueueAsync()).Result!.Value.GetProperty("n").GetInt32());
    }

    [Fact]
    public async Task A_request_the_engine_gives_up_ends_as_failed_in_the_dead_letters()
    {
        await _talk.OfferAsync(Impatient);
        await _talk.HearAsync("ping the server now");
        _talk.Endpoint.Hangs();
        await _talk.Platform.DrainAsync();
        var item = Assert.Single(await _talk.QueueAsync());
        await _talk.InAsync(tx => _talk.Platform.Get<ExecuteAction>().OnDeadAsync(Given(item), "Interrupted 21 times.", tx, default));

        Assert.Equal(QueueStatus.Failed, Assert.Single(await _talk.QueueAsync()).Status);
        Assert.Equal("investigate", await _talk.InAsync(tx => tx.SingleAsync<string>("SELECT intervention_type FROM actions.dead_letter_queue", [], default)));
        Assert.DoesNotContain(await _talk.ExecutionsAsync(), run => run.Status == "executing");
    }

    [Fact]
    [Behaviour("brain-exec-immutable")]
    public async Task A_finished_attempt_cannot_be_rewritten_but_for_what_happens_to_it_later()
    {
        _talk.Endpoint.Answers(200, "{}");
        await _talk.SayAsync("ping the server");

        await RefusedAsync("UPDATE actions.action_execution_log SET result = '1'");
        await RefusedAsync("DELETE FROM actions.action_execution_log");
        Assert.Equal(1, await _talk.InAsync(tx => tx.ExecuteAsync("UPDATE actions.action_execution_log SET rollback_performed = true, acknowledged = true, acknowledged_at = now()", [], default)));
    }

    [Fact]
    public async Task An_entry_without_its_secret_fails_before_anything_is_sent()
    {
        await _talk.OfferAsync(Ping with { ActionId = "secret_ping", ActionName = "whisper", ApiAuthType = "bearer", ApiAuth = Json.Of(new { secret = "unset" }) });

        await _talk.SayAsync("whisper");

        var run = Assert.Single(await _talk.ExecutionsAsync());
        Assert.Equal("configuration", run.ErrorType);
        Assert.Empty(_talk.Endpoint.Requests);
    }

    [Fact]
    public async Task A_set_field_action_writes_the_contact_and_a_handoff_action_calls_a_human()
    {
        await _talk.OfferAsync(
            new ActionDefinition { ActionId = "set_company", ActionName = "change my company", ExecutionType = "set_field", ParamsRequired = Json.Of(new[] { "company" }), ParamValidation = Json.Of(new { company = new { extract = new[] { "to {value}" } } }) },
            new ActionDefinition { ActionId = "complain", ActionName = "make a complaint", ExecutionType = "handoff", ResponseTemplate = "Somebody will call you." });

        await _talk.SayAsync("change my company to Globex");
        Assert.Equal("Globex", (await _talk.ContactAsync()).Company);
        await _talk.SayAsync("make a complaint");
        Assert.Equal("human", await _talk.InAsync(tx => tx.SingleAsync<string>("SELECT handled_by FROM conversations.conversations WHERE id = $1", [_talk.ConversationId], default)));
    }

    private WorkItem Given(QueuedAction item) => new(1, _talk.Actor.TenantId, "actions.execute", item.Id.ToString(), Json.Of(new { id = item.Id }), 1, 25, 0, 1, item.AddedAt);

    private async Task RefusedAsync(string sql)
    {
        var refused = await Assert.ThrowsAsync<PostgresException>(() => _talk.InAsync(tx => tx.ExecuteAsync(sql, [], default)));
        Assert.Equal(PostgresErrorCodes.RestrictViolation, refused.SqlState);
    }
}
