using System.Diagnostics;
using System.Net;
using System.Text;
using AgentPlatform.Channels;
using AgentPlatform.Channels.Intake;
using AgentPlatform.Channels.Twilio;
using AgentPlatform.Channels.Manage;
using AgentPlatform.Kernel;
using AgentPlatform.Tests.Sandbox;
using AgentPlatform.Work;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Tests.Channels;

/// <summary>What comes in while callers crowd: taken down first, stored afterwards, and treated in no other way than what comes alone.</summary>
public sealed class InboxTests : IAsyncLifetime
{
    private const string Sender = "+14155550100";

    private const string Taken = "SELECT count(*) FROM channels.inbox";

    private const string Stored = "SELECT count(*) FROM channels.inbound_messages";

    private readonly List<IDisposable> _crowd = [];
    private ChannelStage _stage = null!;
    private ChannelView _channel = null!;

    public async Task InitializeAsync()
    {
        _stage = await ChannelStage.StartAsync();
        _channel = await _stage.SmsChannelAsync();
        Crowd();
    }

    public async Task DisposeAsync() => await _stage.DisposeAsync();

    [Fact]
    [Behaviour("bb-inbound-store", "yp-sms-record-inbound")]
    public async Task Texts_are_taken_down_at_once_and_stored_and_answered_in_their_order()
    {
        for (var i = 1; i <= 3; i++)
        {
            using var answer = await _stage.TextAsync(_channel, Sender, $"text {i}", $"SM{i}");
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
            Assert.Contains("<Response></Response>", await answer.Content.ReadAsStringAsync());
        }

        Assert.Equal((3, 0), (await _stage.CountAsync(Taken), await _stage.CountAsync(Stored)));
        var told = await _stage.ValueAsync<Guid>("SELECT id FROM channels.inbox WHERE external_message_id = 'SM2'");
        await DisperseAsync();
        await _stage.SettleAsync();

        Assert.Equal(0, await _stage.CountAsync(Taken));
        Assert.Equal(told, await _stage.ValueAsync<Guid>("SELECT id FROM channels.inbound_messages WHERE external_message_id = 'SM2'"));
        Assert.Equal("text 1, text 2, text 3", await _stage.ValueAsync<string>("SELECT string_agg(content, ', ' ORDER BY id) FROM conversations.messages WHERE direction = 'inbound'"));
        Assert.Equal(3, await _stage.CountAsync(
            """
            SELECT count(*) FROM channels.inbound_messages i
            JOIN contacts.customer_profiles c ON c.tenant_id = i.tenant_id AND c.id = i.contact_id AND c.phone_number = '+14155550100'
            JOIN channels.webhook_logs l ON l.inbound_message_id = i.id AND l.request_headers ->> 'X-Twilio-Signature' = '***'
            WHERE i.processing_status = 'processed' AND i.raw_payload ->> 'Body' = i.content AND i.received_at < i.created_at
            """));
        Assert.Equal(["You said: text 1", "You said: text 2", "You said: text 3"], _stage.Twilio.Messages.Select(m => m.Body));
        Assert.Equal(3, (await _stage.Platform.Get<ManageChannels>().FindAsync(_stage.System, _channel.Id, CancellationToken.None)).Value.TotalMessagesReceived);
    }

    [Fact]
    [Behaviour("bb-inbound-dedupe")]
    public async Task A_message_that_is_delivered_again_and_again_is_taken_down_once_and_stored_once()
    {
        var answers = await Task.WhenAll(Enumerable.Range(0, 20).Select(n => _stage.TextAsync(_channel, Sender, "same", n % 2 == 0 ? "SM_even" : "SM_odd")));
        Assert.All(answers, a => Assert.Equal(HttpStatusCode.OK, a.StatusCode));
        Array.ForEach(answers, a => a.Dispose());
        Assert.Equal(2, await _stage.CountAsync(Taken));

        using var waiting = await _stage.TextAsync(_channel, Sender, "same", "SM_odd");
        await DisperseAsync();
        await _stage.SettleAsync();
        using var alone = await _stage.TextAsync(_channel, Sender, "same", "SM_odd");
        Crowd();
        using var stored = await _stage.TextAsync(_channel, Sender, "same", "SM_even");
        await _stage.SettleAsync();
        Assert.All([waiting, alone, stored], a => Assert.Equal(HttpStatusCode.OK, a.StatusCode));
        Assert.Equal((0, 2), (await _stage.CountAsync(Taken), await _stage.CountAsync(Stored)));
        Assert.Equal(2, await _stage.CountAsync("SELECT sum(minute_count + minute_before) FROM channels.webhook_rates"));
        Assert.Equal(2, _stage.Twilio.Messages.Count);
    }

    [Fact]
    public async Task Who_comes_when_the_crowd_has_left_waits_behind_those_who_were_taken_down()
    {
        using var first = await _stage.TextAsync(_channel, Sender, "first");
        await DisperseAsync();
        using var second = await _stage.TextAsync(_channel, Sender, "second");
        Assert.Equal((2, 0), (await _stage.CountAsync(Taken), await _stage.CountAsync(Stored)));
        await _stage.SettleAsync();
        using var third = await _stage.TextAsync(_channel, Sender, "third");
        Assert.Equal((0, 3), (await _stage.CountAsync(Taken), await _stage.CountAsync(Stored)));
        Assert.Equal("first, second, third", await _stage.ValueAsync<string>("SELECT string_agg(content, ', ' ORDER BY id) FROM conversations.messages WHERE direction = 'inbound'"));
        Assert.Equal(3, await _stage.CountAsync("SELECT sum(minute_count + minute_before) FROM channels.webhook_rates"));
    }

    [Fact]
    [Behaviour("bb-webhook-rate-limit")]
    public async Task Of_a_crowd_as_many_are_taken_down_as_the_limit_lets_in_and_the_others_hear_when_to_come_again()
    {
        await ChangeAsync(new ChannelInput(null, null) { RateLimitPerMinute = 5 });
        var answers = await Task.WhenAll(Enumerable.Range(0, 12).Select(n => _stage.TextAsync(_channel, Sender, $"n{n}")));
        Assert.Equal(5, answers.Count(a => a.StatusCode == HttpStatusCode.OK));
        var refused = answers.Where(a => a.StatusCode == HttpStatusCode.TooManyRequests).ToList();
        Assert.Equal(7, refused.Count);
        Assert.All(refused, a => Assert.InRange(a.Headers.RetryAfter!.Delta!.Value.TotalSeconds, 1, 120));
        Array.ForEach(answers, a => a.Dispose());
        Assert.Equal(5, await _stage.CountAsync(Taken));
    }

    [Fact]
    public async Task A_forger_in_the_crowd_is_refused_and_costs_nobody_else_his_answer()
    {
        var forged = new Dictionary<string, string>(StringComparer.Ordinal) { ["MessageSid"] = "SM_forged", ["From"] = Sender, ["Body"] = "hi" };
        var answers = await Task.WhenAll(Enumerable.Range(0, 10).Select(n =>
            n % 2 == 0 ? _stage.TextAsync(_channel, Sender, $"n{n}") : _stage.PostFormAsync(_channel.WebhookUrl!, forged, "AAAA")));
        Assert.Equal(5, answers.Count(a => a.StatusCode == HttpStatusCode.OK));
        Assert.Equal(5, answers.Count(a => a.StatusCode == HttpStatusCode.Forbidden));
        Array.ForEach(answers, a => a.Dispose());

        var url = _channel.WebhookUrl!.Replace(_channel.WebhookToken.ToString(), "11111111-2222-3333-4444-555555555555", StringComparison.Ordinal);
        using var unknown = await _stage.PostFormAsync(url, forged, "AAAA");
        await ChangeAsync(new ChannelInput(null, null) { IsActive = false });
        using var inactive = await _stage.TextAsync(_channel, Sender, "hello");
        Assert.Equal((HttpStatusCode.NotFound, HttpStatusCode.Forbidden), (unknown.StatusCode, inactive.StatusCode));
        Assert.Equal(5, await _stage.CountAsync(Taken));
    }

    [Fact]
    public async Task A_call_that_cannot_be_read_costs_nobody_else_his_answer()
    {
        var adapter = new Thrower(_stage.Platform.Get<TwilioInbound>());
        var inbox = _stage.Platform.Get<Inbox>();
        var form = new Dictionary<string, string>(StringComparer.Ordinal) { ["MessageSid"] = "SM1", ["From"] = Sender, ["Body"] = "hi", ["AccountSid"] = FakeTwilio.AccountSid, ["To"] = "+15005550006" };
        var calls = await Task.WhenAll(Enumerable.Range(0, 6).Select(async n =>
        {
            form["MessageSid"] = $"SM{n}";
            using var content = new FormUrlEncodedContent(form);
            var headers = new HeaderDictionary
            {
                [TwilioSignature.Header] = TwilioSignature.Sign(FakeTwilio.AuthToken, _channel.WebhookUrl!, form),
            };
            return new WebhookCall(_channel.WebhookUrl!, headers, new QueryCollection(), "application/x-www-form-urlencoded", await content.ReadAsByteArrayAsync());
        }));

        var answers = calls.Select(call => inbox.TakeAsync(adapter, _channel.WebhookToken, call)).ToList();
        await Assert.ThrowsAsync<TimeoutException>(() => answers[3]);

        Assert.All(await Task.WhenAll(answers.Where((_, n) => n != 3)), answer => Assert.True(answer.IsOk));
        Assert.Equal(5, await _stage.CountAsync(Taken));
    }

    [Fact]
    public async Task A_mail_keeps_its_files_and_its_thread()
    {
        var mail = await _stage.ChannelAsync(new ChannelInput("email", "Support") { ProviderConfig = Json.Of(new { from = "agent@support.example" }) });
        foreach (var (id, inReplyTo) in new[] { ("a@x", null), ("b@x", "<a@x>") })
        {
            using var body = new StringContent(
                Json.Text(new
                {
                    from = "Jane Doe <jane@example.com>",
                    subject = "Hi",
                    text = "see file",
                    message_id = $"<{id}>",
                    in_reply_to = inReplyTo,
                    attachments = new[] { new { file_name = "note.txt", content_type = "text/plain", content = Convert.ToBase64String("a note"u8) } },
                }),
                Encoding.UTF8, "application/json");
            using var answer = await _stage.Http.PostAsync(mail.WebhookUrl, body);
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        }

        Assert.Equal(2, await _stage.CountAsync(Taken));
        await _stage.Platform.DrainAsync();
        Assert.Equal(1, await _stage.CountAsync(
            """
            SELECT count(*) FROM channels.inbound_messages child JOIN channels.inbound_messages parent ON parent.id = child.parent_message_id
            JOIN channels.inbound_attachments f ON f.inbound_message_id = child.id AND f.file_name = 'note.txt' AND f.content = 'a note'::bytea
            WHERE child.external_message_id = 'b@x' AND parent.external_message_id = 'a@x' AND child.sender_name = 'Jane Doe' AND child.content_parsed ->> 'subject' = 'Hi'
            """));
    }

    [Fact]
    public async Task Each_message_of_a_crowd_keeps_its_own_trace()
    {
        using var listener = new ActivityListener { ShouldListenTo = source => source.Name == "Microsoft.AspNetCore", Sample = (ref _) => ActivitySamplingResult.AllData };
        ActivitySource.AddActivityListener(listener);
        async Task<string> TextAsync(int n)
        {
            using var trace = new Activity("text").Start();
            using var answer = await _stage.TextAsync(_channel, $"+1415555010{n}", "hello");
            return $"00-{trace.TraceId}-";
        }

        var traces = await Task.WhenAll(Enumerable.Range(0, 4).Select(TextAsync));
        await DisperseAsync();
        await _stage.SettleAsync();
        Assert.Equal(string.Join(' ', traces.Order(StringComparer.Ordinal)), await _stage.ValueAsync<string>(
            "SELECT string_agg(left(trace_parent, 36), ' ' ORDER BY trace_parent COLLATE \"C\") FROM work.items WHERE kind = 'conversation.turn'"));
    }

    [Fact]
    public async Task Two_runs_over_one_inbox_store_each_message_once()
    {
        var answers = await Task.WhenAll(Enumerable.Range(0, 12).Select(n => _stage.TextAsync(_channel, $"+1415555010{n % 3}", $"n{n}")));
        Array.ForEach(answers, a => a.Dispose());
        await DisperseAsync();
        var item = new WorkItem(0, _stage.Tenant.TenantId, StoreInbox.Kind, "k", Json.Of(new { channel_id = _channel.Id }), 1, 10, 0, 1, TimeProvider.System.GetUtcNow());
        await Task.WhenAll(Enumerable.Range(0, 2).Select(_ => Task.Run(async () =>
        {
            await using var scope = _stage.Platform.Services.CreateAsyncScope();
            Assert.IsType<WorkOutcome.Done>(await scope.ServiceProvider.GetRequiredService<StoreInbox>().HandleAsync(item, CancellationToken.None));
        })));
        Assert.Equal((0, 12), (await _stage.CountAsync(Taken), await _stage.CountAsync(Stored)));
        Assert.Equal(12, await _stage.CountAsync("SELECT count(*) FROM conversations.messages WHERE direction = 'inbound'"));
    }

    [Fact]
    public async Task A_message_that_cannot_be_stored_holds_no_other_up_and_rests_until_an_operator_decides()
    {
        await _stage.ValueAsync<int>("SELECT 1; ALTER TABLE conversations.messages ADD CONSTRAINT no_poison CHECK (content <> 'poison')");
        foreach (var text in new[] { "poison", "wholesome" })
        {
            using var answer = await _stage.TextAsync(_channel, Sender, text);
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        }

        await DisperseAsync();
        await _stage.Platform.DrainAsync();
        Assert.Equal("wholesome", await _stage.ValueAsync<string>("SELECT content FROM channels.inbound_messages"));
        var inbox = _stage.Platform.Get<ManageInbox>();
        var first = Assert.Single((await inbox.ListAsync(_stage.System, _channel.Id, new PageRequest(10, null), CancellationToken.None)).Items);
        Assert.InRange(first.Attempts, 1, int.MaxValue);
        Assert.Contains("no_poison", first.LastError);
        Assert.InRange(first.RetryAt!.Value, DateTimeOffset.MinValue, TimeProvider.System.GetUtcNow().AddMinutes(1));

        // A channel with nothing but what cannot be stored takes others in as ever.
        using var direct = await _stage.TextAsync(_channel, Sender, "direct");
        Assert.Equal(2, await _stage.CountAsync(Stored));

        await _stage.ValueAsync<int>("SELECT 1; UPDATE channels.inbox SET attempts = 9; UPDATE work.items SET run_at = now() WHERE state = 'ready'");
        await _stage.ValueAsync<int>("SELECT 1; UPDATE channels.inbox SET retry_at = now()");
        await _stage.Platform.DrainAsync();
        Assert.Equal(10, await _stage.CountAsync("SELECT sum(attempts) FROM channels.inbox"));
        Assert.Equal(0, await _stage.CountAsync($"SELECT count(*) FROM work.items WHERE kind = '{StoreInbox.Kind}' AND state IN ('ready', 'running', 'dead')"));

        Assert.False((await inbox.RetryAsync(_stage.System, TimeProvider.System.NewId(), CancellationToken.None)).IsOk);
        // Asked for again too early, it is tried again as if it were new.
        Assert.True((await inbox.RetryAsync(_stage.System, first.Id, CancellationToken.None)).IsOk);
        await _stage.Platform.DrainAsync();
        Assert.Equal(1, await _stage.CountAsync("SELECT sum(attempts) FROM channels.inbox"));
        await _stage.ValueAsync<int>("SELECT 1; ALTER TABLE conversations.messages DROP CONSTRAINT no_poison");
        await _stage.SettleAsync();
        Assert.Equal((0, 3), (await _stage.CountAsync(Taken), await _stage.CountAsync(Stored)));
    }

    [Fact]
    public async Task What_is_discarded_is_never_stored_and_what_goes_with_its_channel_is_gone()
    {
        using var first = await _stage.TextAsync(_channel, Sender, "first", "SM1");
        using var second = await _stage.TextAsync(_channel, Sender, "second", "SM2");
        var inbox = _stage.Platform.Get<ManageInbox>();
        var listed = (await inbox.ListAsync(_stage.System, null, new PageRequest(10, null), CancellationToken.None)).Items;
        Assert.Equal(["SM2", "SM1"], listed.Select(m => m.ExternalMessageId));
        Assert.True((await inbox.DiscardAsync(_stage.System, listed[0].Id, CancellationToken.None)).IsOk);
        Assert.False((await inbox.DiscardAsync(_stage.System, listed[0].Id, CancellationToken.None)).IsOk);
        Assert.Equal(1, await _stage.CountAsync(Taken));

        await _stage.ValueAsync<int>("SELECT 1; DELETE FROM channels.user_webhooks");
        Assert.Equal(0, await _stage.CountAsync(Taken));
        await _stage.SettleAsync();
        Assert.Equal(0, await _stage.CountAsync(Stored));
    }

    private void Crowd()
    {
        var load = _stage.Platform.Get<ForegroundLoad>();
        while (!load.IsCrowded)
        {
            _crowd.Add(load.Enter());
        }
    }

    private async Task DisperseAsync()
    {
        _crowd.ForEach(c => c.Dispose());
        _crowd.Clear();
        await Eventually.SeeAsync(() => Task.FromResult(_stage.Platform.Get<ForegroundLoad>().IsCrowded), crowded => !crowded);
    }

    private async Task ChangeAsync(ChannelInput change) =>
        Assert.True((await _stage.Platform.Get<ManageChannels>().ChangeAsync(_stage.System, _channel.Id, change, AgentPlatform.Api.IfMatch.Any, CancellationToken.None)).IsOk);

    /// <summary>Fails at the fourth message.</summary>
    private sealed class Thrower(IInboundAdapter inner) : IInboundAdapter
    {
        public string ChannelType => inner.ChannelType;

        public long MaxBytes => inner.MaxBytes;

        public bool Accepts(WebhookCall call) => inner.Accepts(call);

        public Task<Result<InboundEnvelope>> ReadAsync(WebhookCall call, InboundChannel channel, CancellationToken ct) =>
            Encoding.UTF8.GetString(call.Body).Contains("SM3", StringComparison.Ordinal) ? throw new TimeoutException("Too long.") : inner.ReadAsync(call, channel, ct);

        public IResult Answer(Guid inboundId) => inner.Answer(inboundId);
    }
}
