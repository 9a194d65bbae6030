using System.Text.Json;
using AgentPlatform.Api;
using AgentPlatform.Identity;
using AgentPlatform.Postgres;
using AgentPlatform.Tests.Api;

namespace AgentPlatform.Tests.Audit;

/// <summary>Sensitive operations, done and refused.</summary>
public sealed class SecurityLogTests : IAsyncLifetime
{
    private static readonly Origin Desk = new("203.0.113.7", "browser");

    private TestApi _api = null!;

    public async Task InitializeAsync() => _api = await TestApi.StartAsync();

    public async Task DisposeAsync() => await _api.DisposeAsync();

    [Fact]
    [Behaviour("bb-security-audit")]
    public async Task What_was_done_is_logged_with_the_thing_it_was_done_to_and_where_from()
    {
        var key = await SendAsync(HttpMethod.Post, "/api/v1/keys", new { name = "CI" });
        var keyId = key.Json.GetProperty("id").GetString();
        await SendAsync(HttpMethod.Delete, $"/api/v1/keys/{keyId}", null);
        var channel = (await SendAsync(HttpMethod.Post, "/api/v1/channels", new { channel_type = "custom_webhook", channel_name = "Hook" })).Json.GetProperty("channel").GetProperty("id").GetString();
        await SendAsync(HttpMethod.Post, $"/api/v1/channels/{channel}/secret", new { });
        await SendAsync(HttpMethod.Post, $"/api/v1/channels/{channel}/token", new { });
        var member = (await SendAsync(HttpMethod.Post, "/api/v1/members", new { email = "ada@example.test" })).Json.GetProperty("id").GetString();
        await SendAsync(HttpMethod.Patch, $"/api/v1/members/{member}", new { role = "admin" });
        await SendAsync(HttpMethod.Delete, $"/api/v1/members/{member}", null);

        var entries = await ListAsync();

        Assert.Equal(
            [
                ("member.remove", "member", member), ("member.change_role", "member", member), ("member.add", "member", member), ("channel.rotate_token", "channel", channel),
                ("channel.rotate_secret", "channel", channel), ("channel.create", "channel", channel), ("key.revoke", "api_key", keyId), ("key.issue", "api_key", keyId),
            ],
            entries.Select(e => (e.GetProperty("action").GetString()!, e.GetProperty("resource_type").GetString()!, e.GetProperty("resource_id").GetString())));
        Assert.All(entries, e =>
        {
            Assert.Equal((true, _api.Tenant.OwnerId, "127.0.0.1", "audit-test/1.0", JsonValueKind.Null), (
                e.GetProperty("success").GetBoolean(), e.GetProperty("user_id").GetGuid(), e.GetProperty("ip_address").GetString(), e.GetProperty("user_agent").GetString(),
                e.GetProperty("error_message").ValueKind));
            Assert.Equal(_api.Tenant.ApiKeyId, e.GetProperty("details").GetProperty("api_key_id").GetGuid());
        });
        Assert.Equal((201, "POST", "/api/v1/keys/"), (
            entries[^1].GetProperty("details").GetProperty("status").GetInt32(), entries[^1].GetProperty("details").GetProperty("method").GetString(),
            entries[^1].GetProperty("details").GetProperty("route").GetString()));
        Assert.DoesNotContain(key.Json.GetProperty("secret").GetString()!, Assert.Single(await ListAsync("?action=key.issue")).GetRawText(), StringComparison.Ordinal);
        Assert.Equal(200, (await _api.GetAsync($"/api/v1/security-audit-log/{entries[0].GetProperty("id").GetString()}")).Status);
    }

    [Fact]
    [Behaviour("bb-security-audit")]
    public async Task What_was_refused_is_logged_with_the_reason_although_it_left_nothing_else()
    {
        var (memberId, member) = await _api.MemberAsync("member");
        var (viewerId, viewer) = await _api.MemberAsync("viewer");
        var narrow = await _api.KeyAsync("admin", "agents:read");
        await SendAsync(HttpMethod.Post, "/api/v1/members", new { email = "eve@example.test" }, member);
        await SendAsync(HttpMethod.Post, "/api/v1/keys", new { name = "Mine" }, viewer);
        await SendAsync(HttpMethod.Delete, $"/api/v1/keys/{_api.Tenant.ApiKeyId}", null, narrow);
        await SendAsync(HttpMethod.Delete, $"/api/v1/keys/{viewerId}", null);
        await SendAsync(HttpMethod.Post, "/api/v1/keys", new { name = "" });

        var failed = await ListAsync("?success=false");

        Assert.Equal(
            [("key.issue", "validation_failed"), ("key.revoke", "key_not_found"), ("key.revoke", "missing_scope"), ("key.issue", "read_only_role"), ("member.add", "managers_only")],
            failed.Select(e => (e.GetProperty("action").GetString()!, e.GetProperty("details").GetProperty("code").GetString()!)));
        Assert.Equal("Only owners and admins manage members.", failed[^1].GetProperty("error_message").GetString());
        Assert.Equal((memberId, "127.0.0.1"), (failed[^1].GetProperty("user_id").GetGuid(), failed[^1].GetProperty("ip_address").GetString()));
        Assert.Equal(_api.Tenant.ApiKeyId.ToString(), failed[2].GetProperty("resource_id").GetString());
        Assert.Equal((403, "managers_only"), await _api.GetAsync("/api/v1/security-audit-log", member) is var refused ? (refused.Status, refused.Code) : default);
    }

    [Fact]
    [Behaviour("bb-security-audit")]
    public async Task Who_signs_in_is_logged_and_so_is_who_tries_with_a_key_that_serves_no_more()
    {
        var authenticator = _api.Platform.Get<Authenticator>();
        var created = await _api.PostAsync("/api/v1/keys", new { name = "CI" });
        var (secret, id) = (created.Json.GetProperty("secret").GetString()!, created.Json.GetProperty("id").GetString()!);
        Assert.True((await authenticator.SignInAsync(secret, "sign-in", Desk, default)).IsOk);
        await _api.SendAsync(HttpMethod.Delete, $"/api/v1/keys/{id}");
        Assert.Equal("invalid_api_key", (await authenticator.SignInAsync(secret, "sign-in", Desk, default)).Problem!.Code);
        Assert.False((await authenticator.SignInAsync($"{secret[..^1]}_", "sign-in", Desk, default)).IsOk);

        var signIns = await ListAsync("?action=sign_in");

        Assert.Equal(
            [(false, "a key that was revoked"), (true, null)],
            signIns.Select(e => (e.GetProperty("success").GetBoolean(), e.GetProperty("error_message").GetString())));
        Assert.All(signIns, e => Assert.Equal(
            (id, "203.0.113.7", "browser"), (e.GetProperty("resource_id").GetString(), e.GetProperty("ip_address").GetString(), e.GetProperty("user_agent").GetString())));
    }

    [Fact]
    public async Task Failing_over_and_over_does_not_fill_the_log()
    {
        var (_, member) = await _api.MemberAsync("member");
        for (var i = 0; i < 12; i++)
        {
            await SendAsync(HttpMethod.Post, "/api/v1/members", new { email = "eve@example.test" }, member);
        }

        Assert.Equal(10, (await ListAsync("?success=false")).Count);
    }

    [Fact]
    public async Task A_tenant_can_be_deleted_and_its_logs_go_with_it()
    {
        await SendAsync(HttpMethod.Post, "/api/v1/keys", new { name = "CI" });

        Assert.Equal(204, (await SendAsync(HttpMethod.Delete, $"/api/v1/tenants/{_api.Tenant.TenantId}", null)).Status);

        Assert.Equal(0, await _api.Platform.Postgres.ScalarAsync<long>("SELECT (SELECT count(*) FROM audit.audit_logs) + (SELECT count(*) FROM audit.security_audit_log)"));
    }

    private Task<ApiAnswer> SendAsync(HttpMethod method, string path, object? body, string? key = null) => _api.SendAsync(method, path, body, key, ("User-Agent", "audit-test/1.0"));

    private async Task<IReadOnlyList<JsonElement>> ListAsync(string query = "") =>
        [.. (await _api.GetAsync($"/api/v1/security-audit-log{query}")).Json.GetProperty("items").EnumerateArray().Where(e => e.GetProperty("user_agent").ValueKind != JsonValueKind.Null)];
}
