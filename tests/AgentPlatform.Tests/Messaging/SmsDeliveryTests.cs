using System.Collections.Concurrent;
using System.Diagnostics;
using AgentPlatform.Api;
using AgentPlatform.Channels.Manage;
using AgentPlatform.Contacts;
using AgentPlatform.Kernel;
using AgentPlatform.Messaging;
using AgentPlatform.Postgres;
using AgentPlatform.Tests.Sandbox;

namespace AgentPlatform.Tests.Messaging;

/// <summary>From a reply in the queue to the provider, on good days and bad ones: every message leaves once.</summary>
public sealed class SmsDeliveryTests : IAsyncLifetime
{
    private const string Sender = "+14155550100";

    private ChannelStage _stage = null!;
    private ChannelView _channel = null!;

    public async Task InitializeAsync()
    {
        _stage = await ChannelStage.StartAsync(null, ("Messaging:MaxAttempts", "3"));
        _channel = await _stage.SmsChannelAsync();
    }

    public async Task DisposeAsync() => await _stage.DisposeAsync();

    [Fact]
    [Behaviour("yp-sms-sender", "yp-queue-lifecycle", "yp-orchestrator", "yp-sms-webhook-call", "bb-outbound-delivery", "bb-webhook-counters")]
    public async Task A_text_is_answered_by_one_call_to_the_provider_and_everything_says_so()
    {
        await ReceiveAsync("hello");
        await _stage.SettleAsync();
        var sent = Assert.Single(_stage.Twilio.Messages);
        Assert.Equal((Sender, "+15005550006", "You said: hello"), (sent.To, sent.From, sent.Body));
        Assert.StartsWith($"{_stage.BaseUrl}/webhooks/twilio/{_channel.WebhookToken}/status?message=", sent.StatusCallback);
        Assert.Equal(1, await _stage.CountAsync(
            $"""
            SELECT count(*) FROM messaging.message_queue q
            JOIN conversations.messages m ON m.id = q.delivered_message_id AND m.status = 'sent' AND m.twilio_message_sid = '{sent.Sid}' AND m.sent_at IS NOT NULL AND m.role = 'agent'
            JOIN channels.outbound_messages o ON o.message_id = m.id AND o.delivery_status = 'sent' AND o.external_message_id = '{sent.Sid}' AND o.sent_at IS NOT NULL
                 AND o.provider = 'twilio' AND o.provider_response ->> 'sid' = '{sent.Sid}' AND o.segments = 1
            JOIN channels.inbound_messages i ON i.id = o.inbound_message_id
            JOIN messaging.effects f ON f.queue_id = q.id AND f.status = 'accepted' AND f.attempts = 1 AND f.settled_at IS NOT NULL
            JOIN events.events e ON e.aggregate_id = q.conversation_context_id AND e.event_type = 'message.sent'
            WHERE q.status = 'sent' AND q.sent_at IS NOT NULL AND q.approved_at IS NOT NULL AND q.final_message = 'You said: hello'
            """));
        var channel = (await _stage.Platform.Get<ManageChannels>().FindAsync(_stage.System, _channel.Id, CancellationToken.None)).Value;
        Assert.Equal((1, 1), (channel.TotalMessagesReceived, channel.TotalMessagesSent));
    }

    [Fact]
    public async Task What_came_in_and_left_in_a_private_conversation_is_seen_by_its_user_alone()
    {
        await ReceiveAsync("hello");
        await _stage.SettleAsync();
        await _stage.Platform.Postgres.ScalarAsync<Guid>("UPDATE conversations.conversations SET shared = false, user_id = $1 RETURNING id", _stage.Tenant.OwnerId);
        var owner = new Actor(_stage.Tenant.TenantId, _stage.Tenant.OwnerId, "owner");
        var colleague = owner with
        {
            UserId = await _stage.Platform.Postgres.ScalarAsync<Guid>("INSERT INTO identity.users (id, email) VALUES (gen_random_uuid(), 'colleague@example.test') RETURNING id"),
        };

        Assert.Equal(3, await SeenByAsync(owner));
        Assert.Equal(0, await SeenByAsync(colleague));

        Task<long> SeenByAsync(Actor actor) => _stage.Platform.AsAsync(actor, tx => tx.SingleAsync<long>(
            "SELECT (SELECT count(*) FROM channels.inbound_messages) + (SELECT count(*) FROM channels.outbound_messages) + (SELECT count(*) FROM messaging.message_queue)", [], default));
    }

    [Theory]
    [InlineData("fails after accepting")]
    [InlineData("hangs after accepting")]
    [InlineData("fails without accepting")]
    [InlineData("hangs without accepting")]
    [InlineData("fails after accepting, and then does not answer the question either")]
    [Behaviour("yp-sms-no-double-send", "yp-sms-retry-fail")]
    public async Task A_lost_answer_is_asked_for_and_the_message_leaves_once(string what)
    {
        _stage.Twilio.FailLists = what.Contains("question", StringComparison.Ordinal) ? 2 : 0;
        _stage.Twilio.Next(what switch
        {
            "hangs after accepting" => new TwilioAnswer.AcceptThenHang(),
            "fails without accepting" => new TwilioAnswer.Refuse(500),
            "hangs without accepting" => new TwilioAnswer.Hang(),
            _ => new TwilioAnswer.AcceptThenFail(),
        });
        await ReceiveAsync("hello");
        await _stage.SettleAsync();
        Assert.Single(_stage.Twilio.Messages);
        Assert.InRange(_stage.Twilio.Lists, 1, 3);
        Assert.Equal(1, await _stage.CountAsync("SELECT count(*) FROM messaging.message_queue WHERE status = 'sent'"));
        Assert.Equal(1, await _stage.CountAsync("SELECT count(*) FROM conversations.messages WHERE status = 'sent' AND twilio_message_sid LIKE 'SM%'"));
        Assert.Equal(1, await _stage.CountAsync("SELECT count(*) FROM events.events WHERE event_type = 'message.sent'"));
    }

    [Fact]
    [Behaviour("yp-sms-no-double-send")]
    public async Task A_probe_does_not_take_an_earlier_message_with_the_same_text_for_this_one()
    {
        await ReceiveAsync("same");
        await _stage.SettleAsync();
        _stage.Twilio.Next(new TwilioAnswer.Refuse(500));
        await ReceiveAsync("same");
        await _stage.SettleAsync();
        Assert.Equal(2, _stage.Twilio.Messages.Count);
        Assert.Equal(2, await _stage.CountAsync("SELECT count(DISTINCT external_message_id) FROM channels.outbound_messages WHERE delivery_status = 'sent'"));
    }

    [Fact]
    [Behaviour("yp-sms-no-double-send")]
    public async Task A_worker_that_died_after_the_call_leaves_a_question_not_a_second_message()
    {
        // The state a SIGKILL leaves between the provider's answer and our commit: the effect says calling, the provider has it.
        _stage.Twilio.Next(new TwilioAnswer.AcceptThenHang());
        await ReceiveAsync("hello");
        await _stage.SettleAsync();
        await _stage.ValueAsync<long>(
            """
            WITH a AS (UPDATE messaging.effects SET status = 'calling', settled_at = NULL, outcome = NULL RETURNING queue_id),
                 b AS (UPDATE messaging.message_queue SET status = 'approved', sent_at = NULL, delivered_message_id = NULL RETURNING id),
                 c AS (UPDATE channels.outbound_messages SET delivery_status = 'sending', external_message_id = NULL, sent_at = NULL RETURNING id),
                 d AS (UPDATE work.items SET state = 'ready', run_at = now(), finished_at = NULL WHERE kind = 'messaging.dispatch' RETURNING id)
            SELECT (SELECT count(*) FROM a) + (SELECT count(*) FROM b) + (SELECT count(*) FROM c) + (SELECT count(*) FROM d)
            """);
        await _stage.SettleAsync();
        Assert.Single(_stage.Twilio.Messages);
        Assert.Equal(1, await _stage.CountAsync("SELECT count(*) FROM messaging.message_queue WHERE status = 'sent'"));

        var queue = _stage.Platform.Get<QueueActions>();
        var sent = await _stage.ValueAsync<Guid>("SELECT id FROM messaging.message_queue WHERE status = 'sent'");
        var effect = Assert.Single((await queue.EffectsAsync(_stage.System, sent, CancellationToken.None)).Value.Items);
        Assert.Equal(("accepted", 1, 2, sent, $"send:{sent}"), (effect.Status, effect.Attempts, effect.Probes, effect.QueueId, effect.IdempotencyKey));
        Assert.NotNull(effect.SettledAt);
        Assert.Equal("queued_message_not_found", (await queue.EffectsAsync(_stage.System, Guid.Empty, CancellationToken.None)).Problem!.Code);
    }

    [Fact]
    [Behaviour("yp-sms-no-double-send")]
    public async Task A_call_that_may_still_be_on_its_way_is_waited_for_before_a_no_is_believed()
    {
        _stage.Twilio.Next(new TwilioAnswer.Refuse(400, 21211));
        await ReceiveAsync("hello");
        await _stage.SettleAsync();
        // A worker that recorded its call a moment ago and has lost its lease since; the provider has not heard from it yet.
        await _stage.ValueAsync<long>(
            """
            WITH a AS (UPDATE messaging.effects SET status = 'calling', settled_at = NULL, outcome = NULL, last_attempt_at = now() + interval '1 hour' RETURNING queue_id),
                 b AS (UPDATE messaging.message_queue SET status = 'approved', failure = NULL RETURNING id),
                 c AS (UPDATE channels.outbound_messages SET delivery_status = 'sending', error_code = NULL, delivery_error = NULL RETURNING id),
                 d AS (UPDATE work.items SET state = 'ready', run_at = now(), finished_at = NULL WHERE kind = 'messaging.dispatch' RETURNING id)
            SELECT (SELECT count(*) FROM a) + (SELECT count(*) FROM b) + (SELECT count(*) FROM c) + (SELECT count(*) FROM d)
            """);
        await _stage.Platform.DrainAsync();
        Assert.Empty(_stage.Twilio.Messages);
        Assert.Equal(1, _stage.Twilio.Lists);
        Assert.Equal(1, await _stage.CountAsync("SELECT count(*) FROM messaging.effects WHERE status = 'calling'"));
        Assert.Equal(1, await _stage.CountAsync("SELECT count(*) FROM work.items WHERE kind = 'messaging.dispatch' AND state = 'ready' AND run_at > now() + interval '55 minutes'"));

        await _stage.ValueAsync<long>("WITH a AS (UPDATE messaging.effects SET last_attempt_at = now() - interval '1 minute' RETURNING 1), d AS (UPDATE work.items SET run_at = now() WHERE state = 'ready' RETURNING 1) SELECT count(*) FROM a");
        await _stage.SettleAsync();
        Assert.Single(_stage.Twilio.Messages);
    }

    [Fact]
    [Behaviour("yp-sms-retry-fail")]
    public async Task Refusals_for_now_are_tried_again_and_given_up_when_attempts_are_used_up()
    {
        _stage.Twilio.Next(new TwilioAnswer.Refuse(500), new TwilioAnswer.Refuse(500));
        await ReceiveAsync("patience");
        await _stage.SettleAsync();
        Assert.Single(_stage.Twilio.Messages);

        _stage.Twilio.Next([.. Enumerable.Repeat(new TwilioAnswer.Refuse(500), 3)]);
        await ReceiveAsync("in vain");
        await _stage.SettleAsync();
        Assert.Single(_stage.Twilio.Messages);
        Assert.Equal(1, await _stage.CountAsync("SELECT count(*) FROM conversations.messages WHERE status = 'failed' AND error_code = 'exhausted' AND failed_at IS NOT NULL"));
        Assert.Equal(1, await _stage.CountAsync("SELECT count(*) FROM messaging.message_queue WHERE status = 'failed' AND failure = 'exhausted'"));
        Assert.Equal(1, await _stage.CountAsync("SELECT count(*) FROM events.events WHERE event_type = 'message.failed'"));
    }

    [Fact]
    public async Task A_provider_that_asks_for_patience_uses_up_no_attempt_for_a_day()
    {
        _stage.Twilio.Next([.. Enumerable.Repeat(new TwilioAnswer.Refuse(429, 20429, RetryAfter: 0), 5)]);
        await ReceiveAsync("patience");
        await _stage.SettleAsync();
        Assert.Single(_stage.Twilio.Messages);
        Assert.Equal((6, 1), (_stage.Twilio.Requests.Count, await _stage.CountAsync("SELECT count(*) FROM messaging.effects WHERE status = 'accepted' AND attempts = 1")));

        _stage.Twilio.Next(new TwilioAnswer.Refuse(429, 20429, RetryAfter: 3600), new TwilioAnswer.Refuse(429, 20429, RetryAfter: 0));
        await ReceiveAsync("for ever");
        await _stage.Platform.DrainAsync();
        // Others of the conversation wait behind it: an hour is not waited for.
        Assert.Equal(1, await _stage.CountAsync("SELECT count(*) FROM work.items WHERE kind = 'messaging.dispatch' AND state = 'ready' AND attempts = 0 AND run_at BETWEEN now() + interval '290 s' AND now() + interval '376 s'"));
        await _stage.CountAsync(
            """
            WITH e AS (UPDATE messaging.effects SET first_attempt_at = now() - interval '25 hours' WHERE settled_at IS NULL RETURNING 1), i AS (UPDATE work.items SET run_at = now() WHERE state = 'ready' RETURNING 1)
            SELECT count(*) FROM e
            """);
        await _stage.SettleAsync();
        Assert.Equal(1, await _stage.CountAsync("SELECT count(*) FROM messaging.message_queue WHERE status = 'failed' AND failure = 'exhausted'"));
    }

    [Fact]
    [Behaviour("yp-sms-no-double-send")]
    public async Task A_probe_does_not_take_what_another_number_of_the_account_says_for_this_one()
    {
        _stage.Twilio.Next(new TwilioAnswer.Refuse(500));
        _stage.Twilio.Messages.Enqueue(new TwilioMessage("SM_other", Sender, "+15005550009", "You said: same", null, TimeProvider.System.GetUtcNow()));
        await ReceiveAsync("same");
        await _stage.SettleAsync();

        Assert.Single(_stage.Twilio.Messages, m => m.From == "+15005550006");
        Assert.Equal(0, await _stage.CountAsync("SELECT count(*) FROM channels.outbound_messages WHERE external_message_id = 'SM_other'"));
    }

    [Fact]
    [Behaviour("yp-sms-no-double-send")]
    public async Task A_further_attempt_goes_over_the_channel_of_the_first_whichever_the_conversation_is_held_over_by_then()
    {
        var other = await _stage.SmsChannelAsync(input => input with { ProviderConfig = Json.Of(new { account_sid = FakeTwilio.AccountSid, from = "+15005550009" }) });
        _stage.Twilio.Next(new TwilioAnswer.Refuse(429, 20429, RetryAfter: 3600));
        await ReceiveAsync("hello");
        await _stage.Platform.DrainAsync();

        await _stage.CountAsync(
            $"""
            WITH c AS (UPDATE conversations.conversations SET webhook_id = '{other.Id}' RETURNING 1), i AS (UPDATE work.items SET run_at = now() WHERE state = 'ready' RETURNING 1)
            SELECT count(*) FROM c
            """);
        await _stage.SettleAsync();

        Assert.Equal("+15005550006", Assert.Single(_stage.Twilio.Messages).From);
    }

    [Fact]
    public async Task A_bad_number_fails_at_once_and_an_opt_out_is_remembered()
    {
        _stage.Twilio.Next(new TwilioAnswer.Refuse(400, 21211, "The 'To' number is not a valid phone number."));
        await ReceiveAsync("one");
        await _stage.SettleAsync();
        Assert.Equal(1, await _stage.CountAsync("SELECT count(*) FROM channels.outbound_messages WHERE delivery_status = 'failed' AND error_code = 'twilio_21211' AND delivery_error LIKE '%valid phone number%'"));

        _stage.Twilio.Next(new TwilioAnswer.Refuse(400, 21610, "Attempt to send to unsubscribed recipient"));
        await ReceiveAsync("two");
        await _stage.SettleAsync();
        Assert.Equal(1, await _stage.CountAsync("SELECT count(*) FROM contacts.channel_consents WHERE channel = 'sms' AND opted_out AND source = 'twilio:21610'"));

        await ReceiveAsync("three");
        await _stage.SettleAsync();
        Assert.Equal(2, _stage.Twilio.Requests.Count);
        Assert.Equal(1, await _stage.CountAsync("SELECT count(*) FROM messaging.message_queue WHERE status = 'failed' AND failure = 'opted_out'"));
    }

    [Fact]
    [Behaviour("yp-sms-delivered", "bb-outbound-delivery")]
    public async Task Delivery_reports_move_the_message_forward_only_however_they_come()
    {
        await ReceiveAsync("hello");
        await _stage.SettleAsync();
        var sent = Assert.Single(_stage.Twilio.Messages);
        Assert.Equal(204, await _stage.Twilio.ReportAsync(sent, "delivered"));
        Assert.Equal(204, await _stage.Twilio.ReportAsync(sent, "delivered"));
        Assert.Equal(204, await _stage.Twilio.ReportAsync(sent, "sent"));
        Assert.Equal(204, await _stage.Twilio.ReportAsync(sent, "failed", "30003"));
        Assert.Equal(1, await _stage.CountAsync("SELECT count(*) FROM conversations.messages WHERE status = 'delivered' AND delivered_at IS NOT NULL"));
        Assert.Equal(1, await _stage.CountAsync("SELECT count(*) FROM channels.outbound_messages WHERE delivery_status = 'delivered' AND delivered_at IS NOT NULL AND read_at IS NULL"));
        Assert.Equal(1, await _stage.CountAsync("SELECT count(*) FROM events.events WHERE event_type = 'message.delivered'"));
        Assert.Equal(204, await _stage.Twilio.ReportAsync(sent, "read"));
        Assert.Equal(1, await _stage.CountAsync("SELECT count(*) FROM channels.outbound_messages WHERE delivery_status = 'read' AND read_at IS NOT NULL"));
        Assert.Equal(5, await _stage.CountAsync("SELECT reports::bigint FROM channels.delivery_receipts"));
    }

    [Fact]
    public async Task A_report_goes_on_with_the_trace_of_its_message()
    {
        var ended = new ConcurrentQueue<Activity>();
        using var listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == "AgentPlatform.Channels",
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllData,
            ActivityStopped = ended.Enqueue,
        };
        ActivitySource.AddActivityListener(listener);
        await ReceiveAsync("hello");
        await _stage.SettleAsync();
        var page = await _stage.Platform.Get<MessageLists>().OutboundAsync(_stage.System, null, null, null, PageRequest.Parse(10, null).Value, CancellationToken.None);
        var trace = Assert.Single(page.Items).TraceId;
        Assert.Matches("^[0-9a-f]{32}$", trace);

        await _stage.Twilio.ReportAsync(Assert.Single(_stage.Twilio.Messages), "delivered");

        Assert.Single(ended, activity => activity.OperationName == "delivery.report" && activity.TraceId.ToHexString() == trace);
    }

    [Fact]
    [Behaviour("yp-sms-delivered")]
    public async Task A_report_that_comes_before_the_answer_is_not_lost()
    {
        _stage.Twilio.Next(new TwilioAnswer.ReportThenAccept("delivered"));
        await ReceiveAsync("hello");
        await _stage.SettleAsync();
        Assert.Equal(1, await _stage.CountAsync("SELECT count(*) FROM conversations.messages WHERE status = 'delivered' AND twilio_message_sid IS NOT NULL"));
        Assert.Equal(1, await _stage.CountAsync("SELECT count(*) FROM messaging.message_queue WHERE status = 'sent'"));
    }

    [Fact]
    [Behaviour("yp-sms-delivered")]
    public async Task A_report_that_names_only_the_sid_waits_for_the_send_to_settle()
    {
        await ReceiveAsync("hello");
        var bare = new TwilioMessage("SM00000000000000000000000000000001", Sender, "", "", _channel.StatusUrl, TimeProvider.System.GetUtcNow());
        Assert.Equal(204, await _stage.Twilio.ReportAsync(bare, "delivered"));
        Assert.Equal(1, await _stage.CountAsync("SELECT count(*) FROM channels.delivery_receipts WHERE outbound_message_id IS NULL"));
        await _stage.SettleAsync();
        Assert.Equal(bare.Sid, Assert.Single(_stage.Twilio.Messages).Sid);
        Assert.Equal(1, await _stage.CountAsync("SELECT count(*) FROM channels.outbound_messages WHERE delivery_status = 'delivered'"));
        Assert.Equal(1, await _stage.CountAsync("SELECT count(*) FROM conversations.messages WHERE status = 'delivered'"));
    }

    [Fact]
    public async Task A_report_of_an_answer_that_was_lost_settles_the_send_without_asking()
    {
        _stage.Twilio.Next(new TwilioAnswer.AcceptThenFail());
        await ReceiveAsync("hello");
        await _stage.Platform.DrainAsync();
        var sent = Assert.Single(_stage.Twilio.Messages);
        var listed = _stage.Twilio.Lists;
        await _stage.ValueAsync<long>("WITH u AS (UPDATE work.items SET run_at = now() + interval '20 seconds' WHERE kind = 'messaging.dispatch' AND state = 'ready' RETURNING 1) SELECT count(*) FROM u");
        await _stage.Twilio.ReportAsync(sent, "delivered");
        await _stage.ValueAsync<long>("WITH u AS (UPDATE work.items SET run_at = now() WHERE kind = 'messaging.dispatch' AND state = 'ready' RETURNING 1) SELECT count(*) FROM u");
        await _stage.SettleAsync();
        Assert.Single(_stage.Twilio.Messages);
        Assert.InRange(_stage.Twilio.Lists, listed, listed);
        Assert.Equal(1, await _stage.CountAsync("SELECT count(*) FROM messaging.message_queue WHERE status = 'sent'"));
    }

    [Theory]
    [InlineData("signature", 403)]
    [InlineData("token", 404)]
    [InlineData("sid", 400)]
    public async Task A_report_that_is_not_genuine_is_refused(string what, int status)
    {
        var url = what == "token" ? _channel.StatusUrl!.Replace(_channel.WebhookToken.ToString(), "11111111-2222-3333-4444-555555555555", StringComparison.Ordinal) : _channel.StatusUrl!;
        var form = new Dictionary<string, string> { ["MessageStatus"] = "delivered" };
        if (what != "sid")
        {
            form["MessageSid"] = "SM1";
        }

        var signature = AgentPlatform.Channels.Twilio.TwilioSignature.Sign(what == "signature" ? "wrong-token" : FakeTwilio.AuthToken, url, form);
        using var answer = await _stage.PostFormAsync(url, form, signature);
        Assert.Equal(status, (int)answer.StatusCode);
        Assert.Equal(0, await _stage.CountAsync("SELECT count(*) FROM channels.delivery_receipts"));
    }

    [Fact]
    public async Task A_colleague_who_writes_more_than_a_text_message_may_have_is_told_at_once()
    {
        await ReceiveAsync("hello");
        await _stage.SettleAsync();
        var conversation = await _stage.ValueAsync<Guid>("SELECT id FROM conversations.conversations");
        var reply = _stage.Platform.Get<ReplyAsHuman>();

        var refused = await reply.HandleAsync(_stage.System, conversation, new ReplyBody(new string('x', 1601)), null, CancellationToken.None);
        Assert.Equal(("validation_failed", 400), (refused.Problem!.Code, refused.Problem.Status));
        Assert.True((await reply.HandleAsync(_stage.System, conversation, new ReplyBody(new string('x', 1600)), null, CancellationToken.None)).IsOk);
        await _stage.SettleAsync();

        Assert.Equal(1600, _stage.Twilio.Messages.Max(m => m.Body.Length));
    }

    [Fact]
    [Behaviour("bb-webhook-inactive")]
    public async Task A_channel_whose_outbound_side_is_disabled_sends_nothing()
    {
        await _stage.Platform.Get<ManageChannels>().ChangeAsync(_stage.System, _channel.Id, new ChannelInput(null, null) { OutboundEnabled = false }, AgentPlatform.Api.IfMatch.Any, CancellationToken.None);
        await ReceiveAsync("hello");
        await _stage.SettleAsync();
        Assert.Empty(_stage.Twilio.Requests);
        Assert.Equal(1, await _stage.CountAsync("SELECT count(*) FROM messaging.message_queue WHERE status = 'failed' AND failure = 'outbound_disabled'"));
    }

    [Fact]
    [Behaviour("yp-outbound-trigger")]
    public async Task An_outbound_message_is_queued_for_send_as_it_is_stored_and_an_inbound_one_is_not()
    {
        _stage.Twilio.Next(new TwilioAnswer.Refuse(429, 20429, RetryAfter: 600));
        await ReceiveAsync("hello");
        await _stage.Platform.DrainAsync();
        Assert.Equal(1, await _stage.CountAsync("SELECT count(*) FROM conversations.messages WHERE direction = 'outbound' AND status = 'queued_for_send'"));
        Assert.Equal(1, await _stage.CountAsync("SELECT count(*) FROM conversations.messages WHERE direction = 'inbound' AND status IS NULL"));
    }

    [Fact]
    public async Task Replies_of_a_conversation_leave_in_the_order_they_were_said_though_the_first_has_to_wait()
    {
        _stage.Twilio.Next(new TwilioAnswer.Refuse(429, 20429, RetryAfter: 1));
        await ReceiveAsync("first");
        await ReceiveAsync("second");
        await _stage.SettleAsync();
        Assert.Equal(["You said: first", "You said: second"], _stage.Twilio.Messages.Select(m => m.Body));
    }

    [Fact]
    [Behaviour("bb-webhook-delete-cascade", "bb-outbound-reply-link")]
    public async Task Deleting_a_channel_takes_its_messages_along_and_leaves_the_conversation()
    {
        await ReceiveAsync("hello");
        await _stage.SettleAsync();
        await _stage.ValueAsync<long>("WITH d AS (DELETE FROM channels.inbound_messages RETURNING 1) SELECT count(*) FROM d");
        Assert.Equal(1, await _stage.CountAsync("SELECT count(*) FROM channels.outbound_messages WHERE inbound_message_id IS NULL AND conversation_id IS NOT NULL"));
        Assert.True((await _stage.Platform.Get<ManageChannels>().DeleteAsync(_stage.System, _channel.Id, IfMatch.Any, CancellationToken.None)).IsOk);
        Assert.Equal(0, await _stage.CountAsync("SELECT (SELECT count(*) FROM channels.inbound_messages) + (SELECT count(*) FROM channels.outbound_messages) + (SELECT count(*) FROM channels.webhook_logs)"));
        Assert.Equal(1, await _stage.CountAsync("SELECT count(*) FROM conversations.conversations WHERE webhook_id IS NULL"));
        Assert.Equal(2, await _stage.CountAsync("SELECT count(*) FROM conversations.messages"));
    }

    [Fact]
    public async Task Without_credentials_a_reply_goes_to_the_built_in_outbox()
    {
        var bare = await _stage.ChannelAsync(new ChannelInput("sms", "No account") { Secret = FakeTwilio.AuthToken });
        using var answer = await _stage.TextAsync(bare, "+14155550199", "hello");
        await _stage.SettleAsync();
        Assert.Empty(_stage.Twilio.Requests);
        Assert.Equal(1, await _stage.CountAsync("SELECT count(*) FROM channels.outbound_messages WHERE provider = 'outbox' AND delivery_status = 'sent' AND content = 'You said: hello'"));
    }

    private async Task ReceiveAsync(string text)
    {
        using var answer = await _stage.TextAsync(_channel, Sender, text);
        answer.EnsureSuccessStatusCode();
    }
}
