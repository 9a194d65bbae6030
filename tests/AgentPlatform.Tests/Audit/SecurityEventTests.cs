using System.Text.Json;
using AgentPlatform.Audit;
using AgentPlatform.Channels.Manage;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Tests.Api;
using AgentPlatform.Tests.Sandbox;
using Npgsql;

namespace AgentPlatform.Tests.Audit;

/// <summary>What threatens a tenant, as the platform meets it: folded, located, and resolved once.</summary>
public sealed class SecurityEventTests : IAsyncLifetime
{
    private TestApi _api = null!;

    public async Task InitializeAsync() => _api = await TestApi.StartAsync(null, ("Api:TrustedProxies:0", "127.0.0.0/8"), ("Api:LocationHeaders:country", "CF-IPCountry"));

    public async Task DisposeAsync() => await _api.DisposeAsync();

    [Fact]
    [Behaviour("bb-security-event")]
    public async Task A_key_that_serves_no_more_is_one_event_however_often_it_is_used()
    {
        var (id, secret) = await RevokedKeyAsync();
        await UseAsync(secret, "203.0.113.7", country: "DE");
        await UseAsync(secret, "203.0.113.7", country: "DE");
        await FlushAsync();
        await UseAsync(secret, "203.0.113.8", country: null);

        var found = Assert.Single(await ListAsync());

        Assert.Equal(
            ("revoked_key", "medium", "A request carried a key that was revoked.", "api_key", id, _api.Tenant.OwnerId, 3),
            (Text(found, "event_type"), Text(found, "severity"), Text(found, "description"), Text(found, "resource_type"), Text(found, "resource_id"),
                found.GetProperty("user_id").GetGuid(), found.GetProperty("occurrences").GetInt32()));
        Assert.Equal(("203.0.113.8", "attacker/1.0", JsonValueKind.Null), (Text(found, "ip_address"), Text(found, "user_agent"), found.GetProperty("geo_location").ValueKind));
        Assert.Equal(["203.0.113.7", "203.0.113.8"], found.GetProperty("metadata").GetProperty("addresses").EnumerateArray().Select(a => a.GetString()));
        Assert.False(found.GetProperty("resolved").GetBoolean());
        Assert.True(found.GetProperty("last_seen_at").GetDateTimeOffset() > found.GetProperty("created_at").GetDateTimeOffset());
    }

    [Fact]
    [Behaviour("bb-security-event")]
    public async Task Where_it_came_from_is_what_the_proxy_tells()
    {
        var (_, secret) = await RevokedKeyAsync();
        await UseAsync(secret, "203.0.113.7", country: "DE");

        Assert.Equal("DE", Assert.Single(await ListAsync()).GetProperty("geo_location").GetProperty("country").GetString());
    }

    [Theory]
    [InlineData(1, "low")]
    [InlineData(9, "low")]
    [InlineData(10, "medium")]
    [InlineData(100, "high")]
    [Behaviour("bb-security-event")]
    public async Task What_goes_on_gets_worse(int times, string severity)
    {
        var key = TimeProvider.System.NewId();
        for (var i = 0; i < times; i++)
        {
            _api.Platform.Get<ThreatLog>().Report(new Threat(_api.Tenant.TenantId, "expired_key", "api_key", key, "again"));
        }

        var found = Assert.Single(await ListAsync());

        Assert.Equal((severity, times), (Text(found, "severity"), found.GetProperty("occurrences").GetInt32()));
    }

    [Fact]
    [Behaviour("bb-security-event")]
    public async Task A_severity_that_nobody_told_is_low() => Assert.Equal("low", await _api.Platform.Postgres.ScalarAsync<string>(
        """
        INSERT INTO audit.security_events (tenant_id, id, event_type, description, resource_type, resource_id, created_at, last_seen_at)
        VALUES ($1, gen_random_uuid(), 'expired_key', '', 'api_key', gen_random_uuid(), now(), now()) RETURNING severity
        """, _api.Tenant.TenantId));

    [Fact]
    [Behaviour("bb-security-event")]
    public async Task It_is_resolved_once_and_what_goes_on_is_another()
    {
        var (_, secret) = await RevokedKeyAsync();
        await UseAsync(secret, "203.0.113.7", country: null);
        var id = Text(Assert.Single(await ListAsync()), "id");
        var (adminId, admin) = await _api.MemberAsync("admin");
        var (_, member) = await _api.MemberAsync("member");

        var refused = await _api.PostAsync($"/api/v1/security-events/{id}/resolve", new { notes = "mine" }, member);
        var resolved = await _api.PostAsync($"/api/v1/security-events/{id}/resolve", new { notes = " an old laptop " }, admin);
        var again = await _api.PostAsync($"/api/v1/security-events/{id}/resolve", new { notes = "another story" });

        Assert.Equal((403, "managers_only"), (refused.Status, refused.Code));
        Assert.Equal((200, true, adminId, "an old laptop"), (
            resolved.Status, resolved.Json.GetProperty("resolved").GetBoolean(), resolved.Json.GetProperty("resolved_by").GetGuid(), Text(resolved.Json, "notes")));
        Assert.Equal((409, "already_resolved"), (again.Status, again.Code));
        var read = (await _api.GetAsync($"/api/v1/security-events/{id}")).Json;
        Assert.Equal(resolved.Json.GetRawText(), read.GetRawText());
        Assert.Equal(PostgresErrorCodes.RestrictViolation, (await Assert.ThrowsAsync<PostgresException>(() =>
            _api.Platform.AsAsync(_api.Owner, tx => tx.ExecuteAsync("UPDATE audit.security_events SET notes = 'another story'", [], default)))).SqlState);

        await UseAsync(secret, "203.0.113.7", country: null);
        Assert.Equal([false, true], (await ListAsync()).Select(e => e.GetProperty("resolved").GetBoolean()));
        Assert.NotEqual(id, Text(Assert.Single(await ListAsync("?resolved=false")), "id"));
        Assert.Single((await _api.GetAsync($"/api/v1/audit-logs?entity_type=audit.security_events&user_id={adminId}")).Json.GetProperty("items").EnumerateArray());
    }

    [Fact]
    public async Task It_can_be_resolved_by_two_at_once_but_by_one()
    {
        var (_, secret) = await RevokedKeyAsync();
        await UseAsync(secret, "203.0.113.7", country: null);
        var id = Text(Assert.Single(await ListAsync()), "id");

        var answers = await Task.WhenAll(Enumerable.Range(0, 5).Select(n => _api.PostAsync($"/api/v1/security-events/{id}/resolve", new { notes = $"{n}" })));

        Assert.Equal([200, 409, 409, 409, 409], answers.Select(a => a.Status).Order());
        Assert.Equal((404, "security_event_not_found"), await _api.PostAsync($"/api/v1/security-events/{TimeProvider.System.NewId()}/resolve", new { }) is var none ? (none.Status, none.Code) : default);
    }

    [Fact]
    public async Task A_key_that_expired_and_one_of_a_closed_account_are_told_apart()
    {
        var expired = (await _api.PostAsync("/api/v1/keys", new { name = "Short" })).Json.GetProperty("secret").GetString()!;
        await _api.Platform.Postgres.ScalarAsync<object>("UPDATE identity.api_keys SET expires_at = now() - interval '1 s' WHERE name = 'Short' RETURNING 1::text");
        var (gone, closed) = await _api.MemberAsync("member");
        await _api.Platform.Postgres.ScalarAsync<object>("UPDATE identity.users SET is_active = false WHERE id = $1 RETURNING 1::text", gone);

        await UseAsync(expired, "203.0.113.7", country: null);
        await UseAsync(closed, "203.0.113.7", country: null);
        await UseAsync("ap_AAAAAAAA_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "203.0.113.7", country: null);

        Assert.Equal([("closed_account_key", "medium"), ("expired_key", "low")], (await ListAsync()).Select(e => (Text(e, "event_type")!, Text(e, "severity")!)).Order());
    }

    [Fact]
    [Behaviour("bb-security-event")]
    public async Task Forged_webhooks_pile_up_on_their_channel()
    {
        await using var stage = await ChannelStage.StartAsync();
        var channel = await stage.SmsChannelAsync();
        for (var i = 0; i < 3; i++)
        {
            using var forged = await stage.PostFormAsync(channel.WebhookUrl!, new Dictionary<string, string>(StringComparer.Ordinal) { ["MessageSid"] = $"SM{i}", ["From"] = "+14155550100", ["Body"] = "hi" }, "forged");
            using var status = await stage.PostFormAsync(channel.StatusUrl!, new Dictionary<string, string>(StringComparer.Ordinal) { ["MessageSid"] = $"SM{i}", ["MessageStatus"] = "delivered" }, signature: null);
            Assert.Equal((403, 403), ((int)forged.StatusCode, (int)status.StatusCode));
        }

        using var genuine = await stage.TextAsync(channel, "+14155550100", "hello");
        await stage.Platform.Get<ThreatLog>().FlushAsync(default);

        var found = Assert.Single((await stage.Platform.AsAsync(stage.System, tx => SecurityEvents.ListAsync(tx, new(null, null, null, null, null), new PageRequest(50, null), default))).Items);
        Assert.Equal(
            ("bad_signature", "low", "channel", channel.Id, 6, "127.0.0.1"), (found.EventType, found.Severity, found.ResourceType, found.ResourceId, (int)found.Occurrences, found.IpAddress));
    }

    [Fact]
    public async Task A_token_that_was_rotated_away_is_a_threat_when_its_time_is_over()
    {
        await using var stage = await ChannelStage.StartAsync();
        var channel = await stage.SmsChannelAsync();
        await stage.Platform.Get<RotateChannel>().TokenAsync(stage.System, channel.Id, new Rotation(0), default);

        using var late = await stage.TextAsync(channel, "+14155550100", "hello");
        await stage.Platform.Get<ThreatLog>().FlushAsync(default);

        Assert.Equal(410, (int)late.StatusCode);
        Assert.Equal(1, await stage.Platform.Postgres.ScalarAsync<long>("SELECT count(*) FROM audit.security_events WHERE event_type = 'retired_token' AND resource_id = $1", channel.Id));
    }

    private async Task<(string Id, string Secret)> RevokedKeyAsync()
    {
        var key = (await _api.PostAsync("/api/v1/keys", new { name = "Old" })).Json;
        await _api.SendAsync(HttpMethod.Delete, $"/api/v1/keys/{Text(key, "id")}");
        return (Text(key, "id")!, Text(key, "secret")!);
    }

    private async Task UseAsync(string secret, string from, string? country)
    {
        (string, string)[] headers = [("X-Forwarded-For", from), ("User-Agent", "attacker/1.0"), .. country is null ? [] : new[] { ("CF-IPCountry", country) }];
        Assert.Equal(401, (await _api.SendAsync(HttpMethod.Get, "/api/v1/agents", null, secret, headers)).Status);
    }

    private Task FlushAsync() => _api.Platform.Get<ThreatLog>().FlushAsync(default);

    private async Task<IReadOnlyList<JsonElement>> ListAsync(string query = "")
    {
        await FlushAsync();
        return [.. (await _api.GetAsync($"/api/v1/security-events{query}")).Json.GetProperty("items").EnumerateArray()];
    }

    private static string? Text(JsonElement json, string name) => json.GetProperty(name).GetString();
}
