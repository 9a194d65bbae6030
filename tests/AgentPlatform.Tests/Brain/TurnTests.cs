using System.Text.Json;
using AgentPlatform.Actions;
using AgentPlatform.Brain;
using AgentPlatform.Conversations;

namespace AgentPlatform.Tests.Brain;

public sealed class TurnTests : IAsyncLifetime
{
    private Talk _talk = null!;

    public async Task InitializeAsync()
    {
        _talk = await Talk.StartAsync(Jobs.Search, Jobs.Apply, Jobs.CancelApplication);
        _talk.Endpoint.Answers(200, Jobs.Found);
    }

    public async Task DisposeAsync() => await _talk.DisposeAsync();

    [Fact]
    [Behaviour("brain-intent-log-every", "brain-intent-entities", "brain-intent-response-recorded", "brain-intent-resolution", "brain-registry-synonym-match")]
    public async Task A_request_is_understood_executed_and_answered_with_a_numbered_list()
    {
        var reply = await _talk.SayAsync("find me software engineer jobs in Berlin");

        Assert.Equal("Here is what I found for software engineer:\n1. Software Engineer, Acme\n2. Backend Engineer, Globex", reply);
        var intent = Assert.Single(await _talk.IntentsAsync());
        Assert.Equal(("action", "search_jobs", "synonym", "completed"), (intent.IntentType, intent.CanonicalIntent, intent.MatchType, intent.Status));
        Assert.Equal("Berlin", intent.Entities.GetProperty("location").GetString());
        Assert.Equal("software engineer", intent.Entities.GetProperty("job_title").GetString());
        Assert.Equal((1, 1, _talk.ContactId, _talk.AgentId), (intent.TurnNumber, intent.SequenceOrder, intent.ContactId, intent.AgentId));
        Assert.Equal(("list", reply, "search_jobs completed"), (intent.ResponseType, intent.ResponseText, intent.Resolution));
        Assert.Equal("/jobs?title=software%20engineer&location=Berlin", Assert.Single(_talk.Endpoint.Requests).Target);
    }

    [Fact]
    public async Task A_reply_in_the_web_chat_is_delivered_as_it_is_shown()
    {
        await _talk.SayAsync("thanks");

        Assert.Equal(1, await _talk.Platform.Postgres.ScalarAsync<long>(
            """
            SELECT count(*) FROM messaging.message_queue q JOIN conversations.messages m ON m.id = q.delivered_message_id
            WHERE q.status = 'sent' AND q.final_message = m.content AND q.approved_at IS NOT NULL AND q.sent_at = q.approved_at
              AND m.direction = 'outbound' AND m.status = 'delivered' AND m.sent_at = q.sent_at AND m.delivered_at = m.sent_at
            """));
    }

    [Fact]
    [Behaviour("brain-intent-triggered-actions", "brain-session-streaming", "brain-params-optional")]
    public async Task The_time_line_tells_the_turn_in_its_order()
    {
        await _talk.SayAsync("find me nurse jobs");

        var told = (await _talk.EventsAsync()).Where(e => e is not "message.sent" and not "message.delivered" and not "message.failed");
        Assert.Equal(
            ["message.received", "turn.started", "intent.logged", "action.matched", "action.queued", "turn.completed", "action.attempted", "action.completed", "message.queued"], told);
        var intent = Assert.Single(await _talk.IntentsAsync());
        Assert.Equal("search_jobs", Assert.Single(intent.TriggeredActions.EnumerateArray()).GetString());
        var updates = (await _talk.SessionAsync()).State.StreamingUpdates;
        Assert.Equal(["action_lookup", "intent_logged"], updates.Select(u => u.UpdateType));
        Assert.Equal(("found", intent.IntentId), (updates[0].Status, updates[1].IntentId));
    }

    [Fact]
    [Behaviour("brain-intent-not-found", "brain-instance-popular-actions")]
    public async Task What_no_action_fits_is_answered_with_popular_actions_to_pick_from()
    {
        await _talk.InAsync(tx => tx.ExecuteAsync(
            "INSERT INTO tenancy.instance_configs (tenant_id, agent_id, popular_actions) VALUES (kernel.current_tenant_id(), $1, $2) ON CONFLICT (tenant_id, agent_id) DO UPDATE SET popular_actions = $2",
            [_talk.AgentId, new[] { "cancel_application", "search_jobs" }], default));

        var reply = await _talk.SayAsync("what is the meaning of life");

        Assert.Contains("1. Cancel the application\n2. Search jobs", reply, StringComparison.Ordinal);
        var intent = Assert.Single(await _talk.IntentsAsync());
        Assert.Equal(("not_found", "action_not_found"), (intent.MatchType, intent.Status));
        Assert.Empty(await _talk.QueueAsync());

        Assert.Equal("Which job title?", await _talk.SayAsync("the second one"));
        Assert.Equal("search_jobs", Assert.Single(await _talk.QueueAsync()).ActionId);
    }

    [Fact]
    [Behaviour("brain-intent-multi-per-turn", "brain-messages-turns")]
    public async Task Several_requests_of_a_turn_keep_their_order_and_share_its_number()
    {
        await _talk.SayAsync("hello");
        await _talk.SayAsync("Find me nurse jobs in Bonn. Withdraw my application.");

        var second = (await _talk.IntentsAsync()).Where(i => i.TurnNumber == 2).ToList();
        Assert.Equal([("search_jobs", 1), ("cancel_application", 2)], second.Select(i => (i.CanonicalIntent!, i.SequenceOrder)));
        var turns = await _talk.InAsync(tx => tx.QueryAsync<int>(
            "SELECT turn_number FROM conversations.messages WHERE conversation_id = $1 AND direction = 'inbound' ORDER BY id", [_talk.ConversationId], default));
        Assert.Equal([1, 2], turns);
        Assert.Equal([1, 2], (await _talk.IntentsAsync()).Select(i => i.TurnNumber).Distinct());
    }

    [Fact]
    public async Task Messages_typed_one_after_the_other_are_answered_together_and_once()
    {
        await _talk.SayAsync("find me nurse jobs", "in Bonn");

        Assert.Equal([1, 1], await _talk.InAsync(tx => tx.QueryAsync<int>(
            "SELECT turn_number FROM conversations.messages WHERE conversation_id = $1 AND direction = 'inbound'", [_talk.ConversationId], default)));
        Assert.Equal("/jobs?title=nurse&location=Bonn", Assert.Single(_talk.Endpoint.Requests).Target);
    }

    [Fact]
    [Behaviour("brain-session-answer-sheet", "brain-session-signals", "brain-session-state-persist")]
    public async Task Yeah_and_ordinals_answer_what_was_asked()
    {
        await _talk.SayAsync("find me nurse jobs");
        var offered = (await _talk.SessionAsync()).State;
        Assert.Equal(["#1", "#2"], offered.AvailableSignals);
        Assert.True(offered.ExpectingResponse);

        Assert.Equal("You picked Backend Engineer, Globex. Shall I apply for this job?", await _talk.SayAsync("#2"));
        Assert.Equal(["yes", "no"], (await _talk.SessionAsync()).State.AvailableSignals);

        Assert.Equal("What is your e-mail address?", await _talk.SayAsync("yeah"));
        Assert.Equal("""{"job_id": "J2"}""", (await _talk.QueueAsync())[^1].ParamsCollected.GetRawText());
    }

    [Fact]
    [Behaviour("brain-session-active-task", "brain-params-missing", "brain-params-validation")]
    public async Task Parameters_are_asked_for_one_by_one_and_a_wrong_value_is_asked_again()
    {
        Assert.Equal("Which job?", await _talk.SayAsync("apply for a job"));
        var task = (await _talk.SessionAsync()).State.ActiveTask!;
        Assert.Equal(("apply_job", "collecting_params"), (task.CanonicalAction, task.Status));
        Assert.Equal(["job_id", "email"], task.ParamsMissing);

        Assert.Equal("What is your e-mail address?", await _talk.SayAsync("J7"));
        Assert.Equal(["email"], (await _talk.SessionAsync()).State.ActiveTask!.ParamsMissing);

        Assert.Equal("That is no e-mail address.", await _talk.SayAsync("ada at example"));
        var waiting = Assert.Single(await _talk.QueueAsync());
        Assert.Equal(QueueStatus.Pending, waiting.Status);
        Assert.Equal("That is no e-mail address.", waiting.ParamsValidationErrors.GetProperty("email").GetString());
        Assert.Empty(_talk.Endpoint.Requests);

        Assert.Equal("Your application for J7 is in.", await _talk.SayAsync("it's Ada@Example.com"));
        Assert.Null((await _talk.SessionAsync()).State.ActiveTask);
        Assert.Equal("""{"job":"J7","applicant":{"email":"ada@example.com"}}""", Assert.Single(_talk.Endpoint.Requests).Body);
    }

    [Fact]
    [Behaviour("brain-session-previous-intents", "brain-session-context", "brain-session-mirror")]
    public async Task The_session_remembers_and_agrees_with_the_tables()
    {
        await _talk.SayAsync("hi");
        await _talk.SayAsync("find me nurse jobs");
        await _talk.SayAsync("apply for a job");

        var state = (await _talk.SessionAsync()).State;
        Assert.Equal([("greeting", null, 1), ("action", "search_jobs", 2), ("action", "apply_job", 3)], state.PreviousIntents.Select(i => (i.IntentType, i.CanonicalAction, i.Turn)));
        Assert.Equal(("job_search", "collecting_params", "search_jobs"), (state.ConversationContext.Domain, state.ConversationContext.UserState, state.ConversationContext.LastAction));
        var ledger = (await _talk.IntentsAsync()).ToDictionary(i => i.IntentId, i => i.Status);
        Assert.Equal(ledger, state.IntentLedger.ToDictionary(i => i.GetProperty("intent_id").GetString()!, i => i.GetProperty("status").GetString()!));
        var queue = (await _talk.QueueAsync()).ToDictionary(q => q.QueueId, q => q.Status.ToString().ToLowerInvariant());
        Assert.Equal(queue, state.ActionQueue.ToDictionary(q => q.GetProperty("queue_id").GetString()!, q => q.GetProperty("status").GetString()!));
    }

    [Fact]
    [Behaviour("brain-session-mirror")]
    public async Task The_session_agrees_with_the_tables_after_every_turn_also_where_it_reads_nothing_back()
    {
        // Turns that ask for nothing, before and after a request that waits, and one that was called off.
        foreach (var said in new[] { "hi", "colourless green ideas sleep furiously", "hi", "apply for a job", "hi", "cancel", "thanks" })
        {
            await _talk.SayAsync(said);
            var state = (await _talk.SessionAsync()).State;
            Assert.Equal(
                await MirrorAsync("SELECT intent_id || ' ' || intent_type || ' ' || coalesce(canonical_intent, '') || ' ' || status || ' ' || turn_number FROM brain.intent_ledger ORDER BY id DESC"),
                state.IntentLedger.Select(i => string.Join(' ', new[] { "intent_id", "intent_type", "canonical_intent", "status", "turn" }.Select(name => Text(i, name)))));
            Assert.Equal(
                await MirrorAsync("SELECT queue_id || ' ' || status FROM actions.action_queue ORDER BY id DESC"),
                state.ActionQueue.Select(q => $"{Text(q, "queue_id")} {Text(q, "status")}"));
        }

        Task<IReadOnlyList<string>> MirrorAsync(string sql) => _talk.InAsync(tx => tx.QueryAsync<string>(sql, [], default));

        static string Text(JsonElement entry, string name) => entry.TryGetProperty(name, out var value) ? value.ToString() : "";
    }

    [Theory]
    [InlineData("please don't text me again")]
    [InlineData("STOP")]
    public async Task An_opt_out_in_any_words_is_kept_and_confirmed_once(string text)
    {
        Assert.Equal("You will not hear from us again. Reply START if you change your mind.", await _talk.SayAsync(text));

        Assert.Equal("", await _talk.SayAsync("find me nurse jobs"));
        Assert.Empty(await _talk.QueueAsync());
        Assert.StartsWith("You will hear from", await _talk.SayAsync("START"), StringComparison.Ordinal);
        Assert.Contains("Here is what I found", await _talk.SayAsync("find me nurse jobs"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Who_opts_out_while_a_request_waits_is_asked_nothing_more()
    {
        await _talk.SayAsync("apply for a job");

        Assert.Equal("You will not hear from us again. Reply START if you change your mind.", await _talk.SayAsync("unsubscribe"));
    }

    [Fact]
    public async Task A_stop_holds_though_a_human_has_taken_over()
    {
        await _talk.SayAsync("I want to talk to a human");

        Assert.Equal("", await _talk.SayAsync("STOP"));

        Assert.True(await _talk.InAsync(tx => _talk.Platform.Get<AgentPlatform.Contacts.ContactDirectory>().IsOptedOutAsync(tx, _talk.ContactId, "web", default)));
    }

    [Fact]
    public async Task A_stop_among_other_messages_is_heard()
    {
        await _talk.SayAsync("find me nurse jobs", "stop", "in Bonn");

        Assert.Empty(await _talk.QueueAsync());
        Assert.Equal("opt_out", Assert.Single(await _talk.IntentsAsync()).IntentType);
    }

    [Fact]
    public async Task A_conversation_that_asks_for_confirmation_acts_only_after_a_yes()
    {
        await _talk.InAsync(tx => tx.ExecuteAsync("UPDATE conversations.conversations SET require_confirmation = true", [], default));

        Assert.Equal("Shall I cancel the application?", await _talk.SayAsync("cancel application"));
        Assert.Equal("All right, I will leave it.", await _talk.SayAsync("nope"));
        Assert.Empty(await _talk.QueueAsync());
        await _talk.SayAsync("cancel application");
        Assert.Equal("Your application is withdrawn.", await _talk.SayAsync("yes please"));
    }

    [Fact]
    public async Task A_request_nobody_completes_is_dropped_instead_of_asked_about_for_ever()
    {
        await _talk.SayAsync("apply for a job");
        Assert.EndsWith("Which job?", await _talk.SayAsync("hello"), StringComparison.Ordinal);
        await _talk.Platform.Postgres.ScalarAsync<long>(
            """
            SET session_replication_role = replica;
            UPDATE actions.action_queue SET updated_at = now() - interval '2 hours';
            SELECT 1::bigint
            """);

        Assert.DoesNotContain("Which job?", await _talk.SayAsync("thanks"), StringComparison.Ordinal);
        Assert.Equal(QueueStatus.Cancelled, Assert.Single(await _talk.QueueAsync()).Status);
    }

    [Theory]
    [InlineData("find me {{7}} jobs in {{{contact}}}")]
    [InlineData("find me x') OR 1=1 -- jobs")]
    [InlineData("find me nurse jobs in Bonn\r\nX-Evil: 1")]
    public async Task Injection_attempts_stay_text(string text)
    {
        await _talk.SayAsync(text);

        Assert.Equal("search_jobs", Assert.Single(await _talk.QueueAsync()).ActionId);
        Assert.DoesNotContain("{{", Assert.Single(_talk.Endpoint.Requests).Target, StringComparison.Ordinal);
        Assert.False(_talk.Endpoint.Requests.First().Headers.ContainsKey("X-Evil"));
    }

    [Fact]
    public async Task Nobody_answers_in_a_conversation_that_a_human_has_taken_over()
    {
        Assert.Contains("colleague", await _talk.SayAsync("I want to talk to a human"), StringComparison.Ordinal);

        Assert.Equal("", await _talk.SayAsync("find me nurse jobs"));
        Assert.Empty(await _talk.QueueAsync());
        var turn = await _talk.InAsync(tx => tx.QueryAsync<string?>("SELECT assistant_response FROM conversations.turn_records WHERE conversation_id = $1 ORDER BY turn_number", [_talk.ConversationId], default));
        Assert.Equal(2, turn.Count);
        Assert.Null(turn[1]);
    }
}
