using System.Text.Json;
using AgentPlatform.Kernel;
using AgentPlatform.Tests.Api;

namespace AgentPlatform.Tests.Channels;

/// <summary>Channels through the API, as an operator manages them.</summary>
public sealed class ManageChannelsTests : IAsyncLifetime
{
    private TestApi _api = null!;

    public async Task InitializeAsync() => _api = await TestApi.StartAsync(null, ("PublicBaseUrl", "https://hooks.example.com"));

    public async Task DisposeAsync() => await _api.DisposeAsync();

    [Fact]
    [Behaviour("bb-webhook-register")]
    public async Task An_agent_has_up_to_three_channels_each_with_its_own_random_token_and_address()
    {
        var sms = await CreateAsync("sms");
        var mail = await CreateAsync("email");
        var custom = await CreateAsync("custom_webhook");
        Assert.Equal([1, 2, 3], new[] { sms, mail, custom }.Select(c => c.GetProperty("channel_order").GetInt32()));
        Assert.Equal(3, new[] { sms, mail, custom }.Select(c => c.GetProperty("webhook_token").GetGuid()).Distinct().Count());
        Assert.Equal($"https://hooks.example.com/webhooks/twilio/{sms.GetProperty("webhook_token").GetString()}/sms", sms.GetProperty("webhook_url").GetString());
        Assert.Equal($"https://hooks.example.com/webhooks/twilio/{sms.GetProperty("webhook_token").GetString()}/status", sms.GetProperty("status_url").GetString());

        Assert.Equal("too_many_channels", (await PostAsync("sms", "Fourth")).Code);
        Assert.Equal(400, (await PostAsync("fax", "Fax")).Status);
        Assert.Equal(400, (await _api.PostAsync("/api/v1/channels", new { channel_type = "sms", channel_name = "x", channel_order = 4 })).Status);
    }

    [Fact]
    public async Task A_secret_is_shown_once_and_never_again()
    {
        var made = await PostAsync("custom_webhook", "Hook");
        Assert.Equal(201, made.Status);
        var secret = made.Json.GetProperty("secret").GetString()!;
        Assert.StartsWith("whsec_", secret);
        var id = made.Json.GetProperty("channel").GetProperty("id").GetGuid();
        var read = await _api.GetAsync($"/api/v1/channels/{id}");
        Assert.DoesNotContain(secret, read.Body);
        Assert.DoesNotContain("sealed", read.Body);
        Assert.Equal($"…{secret[^4..]}", read.Json.GetProperty("secrets")[0].GetProperty("hint").GetString());
    }

    [Fact]
    public async Task What_rests_in_the_inbox_is_listed_asked_for_again_and_discarded()
    {
        var channel = (await CreateAsync("sms")).GetProperty("id").GetGuid();
        var id = TimeProvider.System.NewId();
        await _api.Platform.Postgres.ScalarAsync<int>(
            """
            INSERT INTO channels.inbox (tenant_id, webhook_id, external_message_id, id, sender_identifier, message, request, attempts, last_error, received_at)
            VALUES ($1, $2, 'SM1', $3, '+14155550100', '{"content": "in confidence"}', '{}', 10, 'out of order', now()) RETURNING 1
            """, _api.Tenant.TenantId, channel, id);

        var listed = await _api.GetAsync($"/api/v1/inbox?channel_id={channel}");
        var resting = Assert.Single(listed.Json.GetProperty("items").EnumerateArray());
        Assert.Equal((id, 10, "out of order"), (resting.GetProperty("id").GetGuid(), resting.GetProperty("attempts").GetInt32(), resting.GetProperty("last_error").GetString()));
        Assert.DoesNotContain("in confidence", listed.Body);
        Assert.Equal(403, (await _api.GetAsync("/api/v1/inbox", await _api.KeyAsync("member", "channels:read"))).Status);
        Assert.Equal(403, (await _api.PostAsync($"/api/v1/inbox/{id}/retry", null, await _api.KeyAsync("member", "messages:read"))).Status);

        var asked = await _api.PostAsync($"/api/v1/inbox/{id}/retry", null);
        Assert.Equal((200, 0), (asked.Status, asked.Json.GetProperty("attempts").GetInt32()));
        Assert.Equal(204, (await _api.SendAsync(HttpMethod.Delete, $"/api/v1/inbox/{id}")).Status);
        Assert.Equal(404, (await _api.SendAsync(HttpMethod.Delete, $"/api/v1/inbox/{id}")).Status);
        Assert.Equal(404, (await _api.PostAsync($"/api/v1/inbox/{id}/retry", null)).Status);
    }

    [Fact]
    [Behaviour("bb-webhook-primary")]
    public async Task Exactly_one_channel_is_primary()
    {
        var first = await CreateAsync("sms");
        var second = await CreateAsync("email");
        Assert.True(first.GetProperty("is_primary").GetBoolean());
        Assert.False(second.GetProperty("is_primary").GetBoolean());

        Assert.Equal(200, (await _api.PostAsync($"/api/v1/channels/{Id(second)}/primary", new { })).Status);
        Assert.Equal([Id(second)], await PrimariesAsync());
        Assert.Equal(204, (await _api.SendAsync(HttpMethod.Delete, $"/api/v1/channels/{Id(second)}")).Status);
        Assert.Equal([Id(first)], await PrimariesAsync());
    }

    [Fact]
    [Behaviour("bb-webhook-verify-code")]
    public async Task The_code_that_went_out_verifies_the_channel_and_no_other_does()
    {
        var channel = await CreateAsync("sms");
        var path = $"/api/v1/channels/{Id(channel)}";
        Assert.False(channel.GetProperty("is_verified").GetBoolean());
        Assert.Equal("no_code_pending", (await _api.PostAsync($"{path}/verify", new { code = "123456" })).Code);

        Assert.Equal(400, (await _api.PostAsync($"{path}/verification", new { to = "nobody" })).Status);
        var sent = await _api.PostAsync($"{path}/verification", new { to = "+14155550100" });
        Assert.Equal((200, "outbox"), (sent.Status, sent.Json.GetProperty("provider").GetString()));
        var code = await CodeAsync();
        Assert.Equal("wrong_code", (await _api.PostAsync($"{path}/verify", new { code = code == "000000" ? "000001" : "000000" })).Code);

        await _api.Platform.Postgres.ScalarAsync<long>("WITH u AS (UPDATE channels.user_webhooks SET verification_code_expires_at = now() RETURNING 1) SELECT count(*) FROM u");
        Assert.Equal("code_expired", (await _api.PostAsync($"{path}/verify", new { code })).Code);

        await _api.PostAsync($"{path}/verification", new { to = "+14155550100" });
        var verified = await _api.PostAsync($"{path}/verify", new { code = await CodeAsync() });
        Assert.True(verified.Json.GetProperty("is_verified").GetBoolean());
        Assert.NotEqual(JsonValueKind.Null, verified.Json.GetProperty("verified_at").ValueKind);
        Assert.Equal("no_code_pending", (await _api.PostAsync($"{path}/verify", new { code })).Code);
    }

    [Fact]
    [Behaviour("bb-webhook-verify-code")]
    public async Task Codes_cannot_be_guessed_by_trying()
    {
        var path = $"/api/v1/channels/{Id(await CreateAsync("sms"))}";
        await _api.PostAsync($"{path}/verification", new { to = "+14155550100" });
        var code = await CodeAsync();
        for (var i = 0; i < 5; i++)
        {
            Assert.Equal("wrong_code", (await _api.PostAsync($"{path}/verify", new { code = "wrong" })).Code);
        }

        Assert.Equal("too_many_guesses", (await _api.PostAsync($"{path}/verify", new { code })).Code);
    }

    [Fact]
    public async Task A_change_wants_the_version_it_was_based_on()
    {
        var path = $"/api/v1/channels/{Id(await CreateAsync("sms"))}";
        var read = await _api.GetAsync(path);
        var etag = read.Header("ETag")!;
        var changed = await _api.SendAsync(HttpMethod.Patch, path, new { channel_name = "Renamed", rate_limit_per_minute = 5, tags = new[] { "vip" }, metadata = new { a = 1 } }, null, ("If-Match", etag));
        Assert.Equal((200, "Renamed", 5), (changed.Status, changed.Json.GetProperty("channel_name").GetString(), changed.Json.GetProperty("rate_limit_per_minute").GetInt32()));
        Assert.Equal(412, (await _api.SendAsync(HttpMethod.Patch, path, new { channel_name = "Again" }, null, ("If-Match", etag))).Status);
        Assert.Equal(400, (await _api.SendAsync(HttpMethod.Patch, path, new { rate_limit_per_minute = 0 })).Status);
        Assert.Equal(400, (await _api.SendAsync(HttpMethod.Patch, path, new { provider_config = new { auth_token = "x" } })).Status);
    }

    [Fact]
    public async Task A_test_message_and_the_lists_show_what_went_out()
    {
        var channel = await CreateAsync("sms");
        var test = await _api.PostAsync($"/api/v1/channels/{Id(channel)}/test", new { to = "+14155550100", text = "ping" });
        Assert.Equal("sent", test.Json.GetProperty("delivery_status").GetString());
        var listed = (await _api.GetAsync($"/api/v1/outbound-messages?channel_id={Id(channel)}&status=sent")).Json.GetProperty("items");
        Assert.Equal(("ping", "test"), (listed[0].GetProperty("content").GetString(), listed[0].GetProperty("message_type").GetString()));
        Assert.Equal(0, (await _api.GetAsync("/api/v1/inbound-messages")).Json.GetProperty("items").GetArrayLength());
        Assert.Equal(0, (await _api.GetAsync("/api/v1/webhook-logs")).Json.GetProperty("items").GetArrayLength());
    }

    [Fact]
    public async Task Another_tenants_channel_is_as_if_it_did_not_exist()
    {
        var id = Id(await CreateAsync("sms"));
        var stranger = (await _api.Platform.ProvisionAsync("Other")).ApiKey;
        Assert.Equal(404, (await _api.GetAsync($"/api/v1/channels/{id}", stranger)).Status);
        Assert.Equal(404, (await _api.SendAsync(HttpMethod.Delete, $"/api/v1/channels/{id}", key: stranger)).Status);
        Assert.Equal(404, (await _api.PostAsync($"/api/v1/channels/{id}/token", new { }, stranger)).Status);
        Assert.Equal(0, (await _api.GetAsync("/api/v1/channels", stranger)).Json.GetProperty("items").GetArrayLength());
    }

    private Task<ApiAnswer> PostAsync(string type, string name) => _api.PostAsync("/api/v1/channels", new { channel_type = type, channel_name = name });

    private async Task<JsonElement> CreateAsync(string type)
    {
        var made = await PostAsync(type, $"My {type}");
        Assert.Equal(201, made.Status);
        return made.Json.GetProperty("channel");
    }

    private async Task<IEnumerable<Guid>> PrimariesAsync() =>
        (await _api.GetAsync("/api/v1/channels")).Json.GetProperty("items").EnumerateArray().Where(c => c.GetProperty("is_primary").GetBoolean()).Select(Id);

    private Task<string> CodeAsync() =>
        _api.Platform.Postgres.ScalarAsync<string>("SELECT left(content, 6) FROM channels.outbound_messages WHERE message_type = 'verification' ORDER BY id DESC LIMIT 1");

    private static Guid Id(JsonElement channel) => channel.GetProperty("id").GetGuid();
}
