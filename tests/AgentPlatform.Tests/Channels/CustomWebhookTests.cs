using System.Net;
using System.Text;
using System.Text.Json;
using AgentPlatform.Channels.Custom;
using AgentPlatform.Channels.Manage;
using AgentPlatform.Kernel;
using AgentPlatform.Tests.Sandbox;

namespace AgentPlatform.Tests.Channels;

/// <summary>Custom webhooks, in and out.</summary>
public sealed class CustomWebhookTests : IAsyncLifetime
{
    private const string Secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLasw";

    private ChannelStage _stage = null!;
    private FakeWebhookReceiver _receiver = null!;
    private ChannelView _channel = null!;

    public async Task InitializeAsync()
    {
        _receiver = await FakeWebhookReceiver.StartAsync();
        _stage = await ChannelStage.StartAsync(null, ("Messaging:MaxAttempts", "3"));
        _channel = await CreateAsync(_receiver.Address);
    }

    public async Task DisposeAsync()
    {
        await _stage.DisposeAsync();
        await _receiver.DisposeAsync();
    }

    [Fact]
    [Behaviour("bb-webhook-hmac", "bb-webhook-log-content")]
    public async Task A_signed_message_is_answered_by_a_signed_call_that_is_logged_without_its_signature()
    {
        using var answer = await _stage.CustomAsync(_channel, Secret, new { from = "user-1", name = "Jane", text = "hello" }, "msg_in");
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        await _stage.SettleAsync();
        var call = Assert.Single(_receiver.Calls);
        Assert.True(WebhookSignature.Verify(
            [Secret], call.Headers["webhook-id"], call.Headers["webhook-timestamp"], call.Headers["webhook-signature"], Encoding.UTF8.GetBytes(call.Body), TimeProvider.System.GetUtcNow()));
        var data = JsonSerializer.Deserialize<JsonElement>(call.Body).GetProperty("data");
        Assert.Equal(("You said: hello", "user-1", "msg_in"), (data.GetProperty("text").GetString(), data.GetProperty("to").GetString(), data.GetProperty("in_reply_to").GetString()));
        Assert.Equal(1, await _stage.CountAsync(
            $"""
            SELECT count(*) FROM channels.webhook_logs
            WHERE direction = 'outbound' AND event = 'message.created' AND method = 'POST' AND url = '{_receiver.Address}' AND status = 'delivered' AND attempts = 1
              AND response_status = 200 AND response_body = 'noted' AND response_time >= 0 AND completed_at IS NOT NULL
              AND request_headers ->> 'webhook-signature' = '***' AND request_headers ->> 'webhook-id' LIKE 'msg_%' AND request_body -> 'data' ->> 'text' = 'You said: hello'
            """));
    }

    [Fact]
    [Behaviour("bb-webhook-log-retry")]
    public async Task A_failed_delivery_is_retried_with_the_same_id_and_growing_delay_and_logged_on_one_row()
    {
        _receiver.Next(500).Next(503);
        using var answer = await _stage.CustomAsync(_channel, Secret, new { from = "user-1", text = "hello" });
        await _stage.SettleAsync();
        Assert.Equal(3, _receiver.Calls.Count);
        Assert.Single(_receiver.Calls.Select(c => c.Headers["webhook-id"]).Distinct());
        Assert.Equal(1, await _stage.CountAsync("SELECT count(*) FROM channels.webhook_logs WHERE direction = 'outbound' AND attempts = 3 AND status = 'delivered' AND next_retry_at IS NULL AND completed_at IS NOT NULL"));
    }

    [Fact]
    [Behaviour("bb-webhook-log-retry")]
    public async Task A_delivery_that_keeps_failing_is_given_up()
    {
        _receiver.Next(500).Next(500).Next(500);
        using var answer = await _stage.CustomAsync(_channel, Secret, new { from = "user-1", text = "hello" });
        await _stage.SettleAsync();
        Assert.Equal(1, await _stage.CountAsync(
            "SELECT count(*) FROM channels.webhook_logs WHERE direction = 'outbound' AND attempts = 3 AND status = 'failed' AND error IS NOT NULL AND completed_at IS NOT NULL AND response_status = 500"));
        Assert.Equal(1, await _stage.CountAsync("SELECT count(*) FROM messaging.message_queue WHERE status = 'failed' AND failure = 'exhausted'"));
    }

    [Fact]
    [Behaviour("bb-webhook-log-retry")]
    public async Task While_it_waits_the_log_says_when_it_is_tried_again()
    {
        _receiver.Next(429, retryAfter: 86_400);
        using var answer = await _stage.CustomAsync(_channel, Secret, new { from = "user-1", text = "hello" });
        await _stage.Platform.DrainAsync();
        Assert.Equal(1, await _stage.CountAsync("SELECT count(*) FROM channels.webhook_logs WHERE status = 'retrying' AND next_retry_at BETWEEN now() + interval '290 seconds' AND now() + interval '376 seconds' AND completed_at IS NULL"));
    }

    [Fact]
    public async Task An_endpoint_that_is_gone_is_not_called_again()
    {
        _receiver.Next(410);
        using var first = await _stage.CustomAsync(_channel, Secret, new { from = "user-1", text = "one" });
        await _stage.SettleAsync();
        using var second = await _stage.CustomAsync(_channel, Secret, new { from = "user-1", text = "two" });
        await _stage.SettleAsync();
        Assert.Single(_receiver.Calls);
        Assert.False((await _stage.Platform.Get<ManageChannels>().FindAsync(_stage.System, _channel.Id, CancellationToken.None)).Value.OutboundEnabled);
        Assert.Equal(1, await _stage.CountAsync("SELECT count(*) FROM messaging.message_queue WHERE failure = 'outbound_disabled'"));
    }

    [Fact]
    [Behaviour("bb-webhook-hmac")]
    public async Task During_a_rotation_both_secrets_serve_and_afterwards_only_the_new_one()
    {
        var rotate = _stage.Platform.Get<RotateChannel>();
        var rotated = (await rotate.SecretAsync(_stage.System, _channel.Id, new Rotation(1), CancellationToken.None)).Value;
        using var byOld = await _stage.CustomAsync(_channel, Secret, new { from = "u", text = "1" });
        using var byNew = await _stage.CustomAsync(_channel, rotated.Secret!, new { from = "u", text = "2" });
        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.OK), (byOld.StatusCode, byNew.StatusCode));
        Assert.Equal(2, rotated.Channel.Secrets.GetArrayLength());
        Assert.DoesNotContain(rotated.Secret!, Json.Text(rotated.Channel));
        Assert.Equal(0, await _stage.CountAsync($"SELECT count(*) FROM channels.user_webhooks WHERE user_webhooks::text LIKE '%{Secret}%' OR user_webhooks::text LIKE '%{rotated.Secret}%'"));

        var final = (await rotate.SecretAsync(_stage.System, _channel.Id, new Rotation(0), CancellationToken.None)).Value;
        using var late = await _stage.CustomAsync(_channel, rotated.Secret!, new { from = "u", text = "3" });
        using var good = await _stage.CustomAsync(_channel, final.Secret!, new { from = "u", text = "4" });
        Assert.Equal((HttpStatusCode.Forbidden, HttpStatusCode.OK), (late.StatusCode, good.StatusCode));
    }

    [Fact]
    public async Task A_stale_or_forged_message_is_refused()
    {
        using var stale = await _stage.CustomAsync(_channel, Secret, new { from = "u", text = "x" }, at: TimeProvider.System.GetUtcNow().AddMinutes(-6));
        using var forged = await _stage.CustomAsync(_channel, "whsec_AAAAAAAAAAAAAAAAAAAAAAAA", new { from = "u", text = "x" });
        Assert.Equal((HttpStatusCode.Forbidden, HttpStatusCode.Forbidden), (stale.StatusCode, forged.StatusCode));
        Assert.Equal(0, await _stage.CountAsync("SELECT count(*) FROM channels.inbound_messages"));
    }

    [Fact]
    public async Task A_plain_hmac_needs_an_id_in_the_signed_body()
    {
        using var without = await PlainAsync("""{"from":"u","text":"x"}""");
        using var with = await PlainAsync("""{"id":"1","from":"u","text":"x"}""");
        using var replayed = await PlainAsync("""{"id":"1","from":"u","text":"x"}""", id: "unsigned");
        Assert.Equal((HttpStatusCode.BadRequest, HttpStatusCode.OK, HttpStatusCode.OK), (without.StatusCode, with.StatusCode, replayed.StatusCode));
        Assert.Equal(1, await _stage.CountAsync("SELECT count(*) FROM channels.inbound_messages"));
    }

    [Theory]
    [InlineData("""[1]""")]
    [InlineData("""{"text":"no sender"}""")]
    [InlineData("""{"from":"u"}""")]
    [InlineData("""{"from":"u","text":7}""")]
    [InlineData("""{"from":"u","text":"x","attachments":[{"url":"file:///etc/passwd"}]}""")]
    [InlineData("""{"from":"u","from":"v","text":"x"}""")]
    [InlineData("""{"from":""")]
    public async Task What_is_not_the_documented_json_is_malformed(string body)
    {
        using var answer = await _stage.CustomAsync(_channel, Secret, body);
        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        Assert.Equal(0, await _stage.CountAsync("SELECT count(*) FROM channels.inbound_messages"));
    }

    [Fact]
    [Behaviour("bb-inbound-store")]
    public async Task Structured_data_and_files_are_kept_as_what_they_are()
    {
        using var data = await _stage.CustomAsync(_channel, Secret, new { from = "u", data = new { choice = "b", n = 2 } });
        using var audio = await _stage.CustomAsync(_channel, Secret, new { from = "u", attachments = new[] { new { url = "https://x.test/a.mp3", content_type = "audio/mpeg" } } });
        Assert.Equal(1, await _stage.CountAsync("SELECT count(*) FROM channels.inbound_messages WHERE message_type = 'structured' AND content_parsed ->> 'choice' = 'b'"));
        Assert.Equal(1, await _stage.CountAsync("SELECT count(*) FROM channels.inbound_messages WHERE message_type = 'audio' AND has_attachments"));
    }

    [Fact]
    public async Task A_private_target_is_never_called_unless_a_setting_allows_it()
    {
        await using var guarded = await ChannelStage.StartAsync(null, ("Channels:Custom:AllowPrivateTargets", "false"));
        var channel = await guarded.ChannelAsync(new ChannelInput("custom_webhook", "Hook") { Secret = Secret, OutboundConfig = Json.Of(new { url = _receiver.Address.Replace("127.0.0.1", "localhost", StringComparison.Ordinal) }) });
        using var answer = await guarded.CustomAsync(channel, Secret, new { from = "u", text = "x" });
        await guarded.SettleAsync();
        Assert.Empty(_receiver.Calls);
        Assert.Equal(1, await guarded.CountAsync("SELECT count(*) FROM channels.outbound_messages WHERE delivery_status = 'failed' AND error_code = 'target_not_public'"));
    }

    private Task<ChannelView> CreateAsync(string url) =>
        _stage.ChannelAsync(new ChannelInput("custom_webhook", "Hook") { Secret = Secret, OutboundConfig = Json.Of(new { url }), RateLimitPerMinute = 1000, RateLimitPerHour = 1000 });

    private async Task<HttpResponseMessage> PlainAsync(string body, string? id = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, _channel.WebhookUrl) { Content = new StringContent(body, Encoding.UTF8, "application/json") };
        if (id is not null)
        {
            request.Headers.Add(WebhookSignature.IdHeader, id);
        }

        request.Headers.Add(WebhookSignature.PlainHeader, WebhookSignature.SignPlain(Secret, Encoding.UTF8.GetBytes(body)));
        return await _stage.Http.SendAsync(request);
    }
}
