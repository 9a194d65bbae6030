using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using AgentPlatform.Channels;
using AgentPlatform.Channels.Manage;
using AgentPlatform.Channels.Twilio;
using AgentPlatform.Kernel;
using AgentPlatform.Tests.Sandbox;

namespace AgentPlatform.Tests.Channels;

/// <summary>What a text message leaves behind, and what it must not.</summary>
public sealed class IntakeTests : IAsyncLifetime
{
    private const string Sender = "+14155550100";

    private ChannelStage _stage = null!;
    private ChannelView _channel = null!;

    public async Task InitializeAsync()
    {
        _stage = await ChannelStage.StartAsync();
        _channel = await _stage.SmsChannelAsync();
    }

    public async Task DisposeAsync() => await _stage.DisposeAsync();

    [Fact]
    [Behaviour("bb-inbound-store", "yp-sms-record-inbound", "bb-webhook-counters")]
    public async Task A_text_leaves_a_message_a_contact_a_conversation_an_event_and_a_turn()
    {
        using var answer = await _stage.TextAsync(_channel, Sender, "hello");
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.Equal("text/xml", answer.Content.Headers.ContentType!.MediaType);
        Assert.Contains("<Response></Response>", await answer.Content.ReadAsStringAsync());

        Assert.Equal(1, await _stage.CountAsync(
            """
            SELECT count(*) FROM channels.inbound_messages i
            JOIN contacts.customer_profiles c ON c.tenant_id = i.tenant_id AND c.id = i.contact_id AND c.phone_number = '+14155550100'
            JOIN conversations.conversations v ON v.tenant_id = i.tenant_id AND v.id = i.conversation_id AND v.contact_id = c.id AND v.webhook_id = i.webhook_id
            JOIN conversations.messages m ON m.tenant_id = i.tenant_id AND m.inbound_message_id = i.id AND m.role = 'user' AND m.direction = 'inbound' AND m.status IS NULL
            JOIN events.events e ON e.tenant_id = i.tenant_id AND e.event_type = 'message.received' AND e.aggregate_id = v.id
            JOIN work.items w ON w.tenant_id = i.tenant_id AND w.kind = 'conversation.turn' AND w.key = i.id::text AND w.serial_key = 'conversation:' || v.id
            WHERE i.content = 'hello' AND i.message_type = 'text' AND i.processing_status = 'received' AND i.raw_payload ->> 'Body' = 'hello'
              AND i.provider_metadata ->> 'provider' = 'twilio'
            """));
        var channel = (await _stage.Platform.Get<ManageChannels>().FindAsync(_stage.System, _channel.Id, CancellationToken.None)).Value;
        Assert.Equal(1, channel.TotalMessagesReceived);
        Assert.NotNull(channel.LastMessageAt);
    }

    [Fact]
    public async Task A_talk_knows_the_channel_that_was_written_to_last()
    {
        var other = await _stage.SmsChannelAsync();
        foreach (var (channel, sid) in new[] { (_channel, "SM1"), (_channel, "SM2"), (other, "SM3") })
        {
            using var answer = await _stage.TextAsync(channel, Sender, "hello", sid);
            Assert.Equal(channel.Id, await _stage.ValueAsync<Guid>("SELECT webhook_id FROM conversations.conversations"));
        }

        Assert.Equal(1, await _stage.CountAsync("SELECT count(*) FROM conversations.conversations"));
    }

    [Fact]
    [Behaviour("bb-inbound-dedupe")]
    public async Task A_message_delivered_three_times_also_at_once_is_stored_and_answered_once()
    {
        var answers = await Task.WhenAll(Enumerable.Range(0, 3).Select(_ => _stage.TextAsync(_channel, Sender, "once", "SM_same")));
        using var fourth = await _stage.TextAsync(_channel, Sender, "once", "SM_same");
        Assert.All(answers.Append(fourth), a => Assert.Equal(HttpStatusCode.OK, a.StatusCode));
        Assert.Single((await Task.WhenAll(answers.Append(fourth).Select(a => a.Content.ReadAsStringAsync()))).Distinct());
        await _stage.SettleAsync();
        Assert.Equal(1, await _stage.CountAsync("SELECT count(*) FROM channels.inbound_messages"));
        Assert.Equal(1, await _stage.CountAsync("SELECT count(*) FROM conversations.messages WHERE direction = 'inbound'"));
        Assert.Equal("You said: once", Assert.Single(_stage.Twilio.Messages).Body);
        Array.ForEach(answers, a => a.Dispose());
    }

    [Fact]
    public async Task The_same_id_on_another_channel_is_another_message()
    {
        var other = await _stage.SmsChannelAsync();
        using var first = await _stage.TextAsync(_channel, Sender, "one", "SM_same");
        using var second = await _stage.TextAsync(other, Sender, "two", "SM_same");
        Assert.Equal(2, await _stage.CountAsync("SELECT count(*) FROM channels.inbound_messages"));
    }

    [Fact]
    [Behaviour("bb-inbound-store")]
    public async Task Media_are_kept_as_attachments()
    {
        using var answer = await _stage.TextAsync(
            _channel, Sender, "", null, ("NumMedia", "2"), ("MediaUrl0", "https://api.twilio.com/m/0"), ("MediaContentType0", "image/jpeg"),
            ("MediaUrl1", "https://api.twilio.com/m/1"), ("MediaContentType1", "application/pdf"));
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.Equal(1, await _stage.CountAsync(
            """
            SELECT count(*) FROM channels.inbound_messages
            WHERE has_attachments AND message_type = 'image' AND attachments -> 0 ->> 'url' = 'https://api.twilio.com/m/0' AND attachments -> 1 ->> 'content_type' = 'application/pdf'
            """));
    }

    [Fact]
    [Behaviour("bb-inbound-thread")]
    public async Task A_reply_to_a_message_is_part_of_its_thread()
    {
        using var first = await _stage.TextAsync(_channel, Sender, "first", "SM_first");
        using var second = await _stage.TextAsync(_channel, Sender, "second", "SM_second", ("OriginalRepliedMessageSid", "SM_first"));
        using var third = await _stage.TextAsync(_channel, Sender, "third", "SM_third");
        Assert.Equal(1, await _stage.CountAsync(
            """
            SELECT count(*) FROM channels.inbound_messages child JOIN channels.inbound_messages parent ON parent.id = child.parent_message_id
            WHERE child.external_message_id = 'SM_second' AND parent.external_message_id = 'SM_first' AND child.is_part_of_thread
            """));
        Assert.Equal(1, await _stage.CountAsync("SELECT count(*) FROM channels.inbound_messages WHERE external_message_id = 'SM_third' AND NOT is_part_of_thread"));
    }

    [Fact]
    [Behaviour("bb-inbound-processing")]
    public async Task Processing_ends_with_a_time_and_a_failure_keeps_the_message()
    {
        using var answer = await _stage.TextAsync(_channel, Sender, "hello");
        await _stage.SettleAsync();
        Assert.Equal(1, await _stage.CountAsync("SELECT count(*) FROM channels.inbound_messages WHERE processing_status = 'processed' AND processed_at IS NOT NULL"));

        using var second = await _stage.TextAsync(_channel, Sender, "fails");
        var id = await _stage.ValueAsync<Guid>("SELECT id FROM channels.inbound_messages WHERE content = 'fails'");
        var inbound = _stage.Platform.Get<AgentPlatform.Channels.InboundMessages>();
        await _stage.Platform.AsAsync(_stage.System, tx =>
        {
            inbound.Failed(tx, [id], "the agent is out of order");
            return Task.CompletedTask;
        });
        Assert.Equal(1, await _stage.CountAsync(
            "SELECT count(*) FROM channels.inbound_messages WHERE content = 'fails' AND processing_status = 'failed' AND processing_error = 'the agent is out of order' AND processed_at IS NOT NULL"));
        await _stage.Platform.AsAsync(_stage.System, tx =>
        {
            inbound.Processing(tx, [id]);
            return Task.CompletedTask;
        });
        Assert.Equal(1, await _stage.CountAsync("SELECT count(*) FROM channels.inbound_messages WHERE content = 'fails' AND processing_status = 'processing' AND processing_error IS NULL"));
    }

    [Fact]
    [Behaviour("bb-webhook-log-content")]
    public async Task A_delivery_is_logged_without_its_secrets()
    {
        using var answer = await _stage.TextAsync(_channel, Sender, "hello");
        var log = await _stage.ValueAsync<string>(
            "SELECT l::text FROM channels.webhook_logs l WHERE direction = 'inbound' AND event = 'message.received' AND method = 'POST' AND response_status = 200 AND status = 'delivered'");
        Assert.Contains("hello", log);
        Assert.Contains("\"X-Twilio-Signature\": \"***\"", log.Replace("\"\"", "\"", StringComparison.Ordinal));
        Assert.DoesNotContain(_channel.WebhookToken.ToString(), log);
    }

    [Fact]
    public async Task Deliveries_are_forgotten_after_a_month_unless_they_still_wait_for_an_attempt()
    {
        foreach (var text in new[] { "young", "old", "waiting" })
        {
            using var answer = await _stage.TextAsync(_channel, Sender, text);
        }

        await _stage.Platform.Postgres.ScalarAsync<long>(
            """
            WITH aged AS (
                UPDATE channels.webhook_logs SET created_at = now() - interval '31 days',
                    status = CASE WHEN request_body ->> 'Body' = 'waiting' THEN 'pending' ELSE status END,
                    completed_at = CASE WHEN request_body ->> 'Body' = 'waiting' THEN NULL ELSE completed_at END
                WHERE request_body ->> 'Body' <> 'young' RETURNING 1)
            SELECT count(*) FROM aged
            """);

        Assert.Equal(1, await _stage.Platform.Get<WebhookLogRetention>().PruneAsync(default));
        Assert.Equal("waiting young", await _stage.ValueAsync<string>("SELECT string_agg(request_body ->> 'Body', ' ' ORDER BY request_body ->> 'Body') FROM channels.webhook_logs"));
        Assert.Equal(3, await _stage.CountAsync("SELECT count(*) FROM conversations.messages WHERE direction = 'inbound'"));
    }

    [Theory]
    [InlineData("signature", 403)]
    [InlineData("no signature", 403)]
    [InlineData("changed body", 403)]
    [InlineData("unknown token", 404)]
    [InlineData("not a token", 404)]
    [InlineData("another kind of channel", 404)]
    [InlineData("content type", 415)]
    [InlineData("no sid", 400)]
    [InlineData("bad sender", 400)]
    [InlineData("not utf-8", 400)]
    [InlineData("not a form", 400)]
    [InlineData("too large", 413)]
    public async Task What_is_not_a_genuine_message_is_refused_and_leaves_nothing(string what, int status)
    {
        var url = what switch
        {
            "unknown token" => _channel.WebhookUrl!.Replace(_channel.WebhookToken.ToString(), "11111111-2222-3333-4444-555555555555", StringComparison.Ordinal),
            "not a token" => _channel.WebhookUrl!.Replace(_channel.WebhookToken.ToString(), "' OR 1=1 --", StringComparison.Ordinal),
            "another kind of channel" => (await _stage.ChannelAsync(new ChannelInput("email", "Mail"))).WebhookUrl!.Replace("/email/", "/twilio/", StringComparison.Ordinal) + "/sms",
            _ => _channel.WebhookUrl!,
        };
        var form = new Dictionary<string, string>(StringComparer.Ordinal) { ["MessageSid"] = "SM1", ["From"] = Sender, ["Body"] = what == "too large" ? new string('x', 300_000) : "hi" };
        _ = what switch { "no sid" => form.Remove("MessageSid"), "bad sender" => (form["From"] = "anonymous").Length > 0, _ => true };
        var body = await new FormUrlEncodedContent(form).ReadAsByteArrayAsync();
        var (signature, type) = (TwilioSignature.Sign(FakeTwilio.AuthToken, url, form), "application/x-www-form-urlencoded");
        (body, signature, type) = what switch
        {
            "signature" => (body, "AAAA" + signature[4..], type),
            "no signature" => (body, "", type),
            "changed body" => ([.. body, .. "&x=1"u8], signature, type),
            "content type" => (body, signature, "text/plain"),
            "not utf-8" => ([.. "MessageSid=SM1&Body="u8, 0xff, 0xfe], signature, type),
            "not a form" => ("%zz=1"u8.ToArray(), signature, type),
            _ => (body, signature, type),
        };
        using var request = new HttpRequestMessage(HttpMethod.Post, url) { Content = new ByteArrayContent(body) };
        request.Content.Headers.ContentType = MediaTypeHeaderValue.Parse(type);
        request.Headers.TryAddWithoutValidation(TwilioSignature.Header, signature);
        using var answer = await _stage.Http.SendAsync(request);
        Assert.Equal(status, (int)answer.StatusCode);
        await AssertNothingStoredAsync();
    }

    [Fact]
    [Behaviour("bb-webhook-inactive")]
    public async Task An_inactive_channel_refuses_and_stores_nothing()
    {
        await ChangeAsync(new ChannelInput(null, null) { IsActive = false });
        using var answer = await _stage.TextAsync(_channel, Sender, "hello");
        Assert.Equal(HttpStatusCode.Forbidden, answer.StatusCode);
        await AssertNothingStoredAsync();
    }

    [Fact]
    [Behaviour("bb-webhook-token-rotation")]
    public async Task A_token_that_expired_or_must_be_rotated_is_gone_until_it_is()
    {
        await ChangeAsync(new ChannelInput(null, null) { TokenRotationRequired = true });
        using var refused = await _stage.TextAsync(_channel, Sender, "hello");
        Assert.Equal(HttpStatusCode.Gone, refused.StatusCode);
        await AssertNothingStoredAsync();

        var rotate = _stage.Platform.Get<RotateChannel>();
        var renewed = (await rotate.TokenAsync(_stage.System, _channel.Id, new Rotation(null), CancellationToken.None)).Value;
        using var byNew = await _stage.TextAsync(renewed, Sender, "hello");
        using var byOld = await _stage.TextAsync(_channel, Sender, "hello again");
        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.Gone), (byNew.StatusCode, byOld.StatusCode));

        var expiring = (await rotate.TokenAsync(_stage.System, _channel.Id, new Rotation(1) { ExpiresAt = TimeProvider.System.GetUtcNow().AddSeconds(-1) }, CancellationToken.None)).Value;
        using var expired = await _stage.TextAsync(expiring, Sender, "too late");
        using var inGrace = await _stage.TextAsync(renewed, Sender, "in grace");
        Assert.Equal((HttpStatusCode.Gone, HttpStatusCode.OK), (expired.StatusCode, inGrace.StatusCode));
        Assert.Equal([renewed.WebhookToken.ToString()[^4..], _channel.WebhookToken.ToString()[^4..]], expiring.RetiredTokens.EnumerateArray().Select(t => t.GetProperty("hint").GetString()));
        Assert.DoesNotContain(renewed.WebhookToken.ToString(), Json.Text(expiring), StringComparison.Ordinal);
    }

    [Fact]
    [Behaviour("bb-webhook-rate-limit")]
    public async Task More_than_the_limit_is_refused_with_a_time_to_wait_and_nothing_stored_even_when_all_come_at_once()
    {
        await ChangeAsync(new ChannelInput(null, null) { RateLimitPerMinute = 5 });
        var answers = await Task.WhenAll(Enumerable.Range(0, 12).Select(n => _stage.TextAsync(_channel, Sender, $"n{n}")));
        Assert.Equal(5, answers.Count(a => a.StatusCode == HttpStatusCode.OK));
        var refused = answers.Where(a => a.StatusCode == HttpStatusCode.TooManyRequests).ToList();
        Assert.Equal(7, refused.Count);
        Assert.All(refused, a => Assert.InRange(a.Headers.RetryAfter!.Delta!.Value.TotalSeconds, 1, 120));
        await _stage.SettleAsync();
        Assert.Equal(5, await _stage.CountAsync("SELECT count(*) FROM channels.inbound_messages"));
        Array.ForEach(answers, a => a.Dispose());
    }

    [Fact]
    public async Task A_channel_that_is_remembered_is_taken_as_it_is_by_now()
    {
        async Task<HttpStatusCode> TextAsync(ChannelView channel)
        {
            using var answer = await _stage.TextAsync(channel, Sender, "hello");
            return answer.StatusCode;
        }

        Assert.Equal(HttpStatusCode.OK, await TextAsync(_channel));
        Assert.Equal(HttpStatusCode.OK, await TextAsync(_channel));
        await ChangeAsync(new ChannelInput(null, null) { IsActive = false });
        Assert.Equal(HttpStatusCode.Forbidden, await TextAsync(_channel));
        await ChangeAsync(new ChannelInput(null, null) { IsActive = true });
        Assert.Equal(HttpStatusCode.OK, await TextAsync(_channel));

        var rotate = _stage.Platform.Get<RotateChannel>();
        await rotate.SecretAsync(_stage.System, _channel.Id, new Rotation(0) { Secret = "another secret of the account" }, CancellationToken.None);
        Assert.Equal(HttpStatusCode.Forbidden, await TextAsync(_channel));
        await rotate.SecretAsync(_stage.System, _channel.Id, new Rotation(0) { Secret = FakeTwilio.AuthToken }, CancellationToken.None);
        Assert.Equal(HttpStatusCode.OK, await TextAsync(_channel));

        var renewed = (await rotate.TokenAsync(_stage.System, _channel.Id, new Rotation(0), CancellationToken.None)).Value;
        Assert.Equal((HttpStatusCode.Gone, HttpStatusCode.OK), (await TextAsync(_channel), await TextAsync(renewed)));
        await ChangeAsync(new ChannelInput(null, null) { RateLimitPerMinute = 5 });
        Assert.Equal(HttpStatusCode.TooManyRequests, await TextAsync(renewed));
        Assert.Equal(5, await _stage.CountAsync("SELECT sum(minute_count + minute_before) FROM channels.webhook_rates"));
        await _stage.ValueAsync<int>("SELECT 1; DELETE FROM channels.user_webhooks");
        Assert.Equal(HttpStatusCode.NotFound, await TextAsync(renewed));
    }

    [Fact]
    [Behaviour("bb-webhook-rate-limit")]
    public async Task The_hour_has_a_limit_of_its_own()
    {
        await ChangeAsync(new ChannelInput(null, null) { RateLimitPerHour = 2 });
        using var first = await _stage.TextAsync(_channel, Sender, "1", "SM1");
        using var second = await _stage.TextAsync(_channel, Sender, "2", "SM2");
        using var third = await _stage.TextAsync(_channel, Sender, "3", "SM3");
        using var repeated = await _stage.TextAsync(_channel, Sender, "2", "SM2");
        Assert.Equal(HttpStatusCode.TooManyRequests, third.StatusCode);
        Assert.True(third.Headers.RetryAfter!.Delta > TimeSpan.FromMinutes(1));
        Assert.Equal(HttpStatusCode.OK, repeated.StatusCode);
    }

    [Fact]
    public async Task What_looks_like_an_attack_stays_text()
    {
        const string text = "'); DROP TABLE channels.inbound_messages; -- {{secrets}} <script>alert(1)</script>\r\nBcc: all@example.com";
        using var answer = await _stage.TextAsync(_channel, Sender, text);
        await _stage.SettleAsync();
        Assert.Equal(text, await _stage.ValueAsync<string>("SELECT content FROM channels.inbound_messages"));
        Assert.Equal($"You said: {text}", Assert.Single(_stage.Twilio.Messages).Body);
    }

    [Fact]
    public async Task Six_characters_that_look_like_an_escape_are_text()
    {
        const string Said = """what is \u0000, \\u0000 and \u0000n?""";
        using var answer = await _stage.TextAsync(_channel, Sender, Said + "\0\0");
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.Equal((Said, Said), (await _stage.ValueAsync<string>("SELECT content FROM channels.inbound_messages"), await _stage.ValueAsync<string>("SELECT raw_payload ->> 'Body' FROM channels.inbound_messages")));
        await _stage.SettleAsync();
        Assert.Equal($"You said: {Said}", Assert.Single(_stage.Twilio.Messages).Body);
    }

    [Fact]
    public async Task Bodies_that_trickle_in_hold_no_work_back()
    {
        var url = new Uri(_channel.WebhookUrl!);
        var callers = new List<TcpClient>();
        foreach (var _ in Enumerable.Range(0, (2 * Environment.ProcessorCount) + 2))
        {
            var caller = new TcpClient();
            callers.Add(caller);
            await caller.ConnectAsync(url.Host, url.Port);
            var head = $"POST {url.AbsolutePath} HTTP/1.1\r\nHost: {url.Authority}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\nExpect: 100-continue\r\n\r\n";
            await caller.GetStream().WriteAsync(Encoding.ASCII.GetBytes(head));
            // The server goes on to ask for the body: the endpoint is reading.
            var answer = new byte[64];
            var read = await caller.GetStream().ReadAsync(answer);
            Assert.StartsWith("HTTP/1.1 100", Encoding.ASCII.GetString(answer, 0, read), StringComparison.Ordinal);
        }

        Assert.False(_stage.Platform.Get<ForegroundLoad>().IsCrowded);
        callers.ForEach(caller => caller.Dispose());
    }

    [Fact]
    public async Task A_json_body_signed_by_its_digest_is_a_message_too()
    {
        var body = Encoding.UTF8.GetBytes($$"""{"MessageSid":"SM_json","From":"{{Sender}}","Body":"as json"}""");
        var url = $"{_channel.WebhookUrl}?bodySHA256={Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(body))}";
        using var request = new HttpRequestMessage(HttpMethod.Post, url) { Content = new ByteArrayContent(body) };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        request.Headers.TryAddWithoutValidation(TwilioSignature.Header, TwilioSignature.Sign(FakeTwilio.AuthToken, url, []));
        using var answer = await _stage.Http.SendAsync(request);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.Equal("as json", await _stage.ValueAsync<string>("SELECT content FROM channels.inbound_messages"));
    }

    private async Task ChangeAsync(ChannelInput change) =>
        Assert.True((await _stage.Platform.Get<ManageChannels>().ChangeAsync(_stage.System, _channel.Id, change, AgentPlatform.Api.IfMatch.Any, CancellationToken.None)).IsOk);

    private async Task AssertNothingStoredAsync() => Assert.Equal(0, await _stage.CountAsync(
        """
        SELECT (SELECT count(*) FROM channels.inbound_messages) + (SELECT count(*) FROM channels.webhook_logs) + (SELECT count(*) FROM conversations.messages)
             + (SELECT count(*) FROM contacts.customer_profiles) + (SELECT count(*) FROM work.items WHERE kind = 'conversation.turn') + (SELECT count(*) FROM channels.webhook_traffic) + (SELECT count(*) FROM channels.inbox)
        """));
}
