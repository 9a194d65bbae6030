using AgentPlatform.Identity;
using AgentPlatform.Postgres;
using AgentPlatform.Tests.Api;
using Npgsql;

namespace AgentPlatform.Tests.Identity;

public sealed class ApiKeyTests : IAsyncLifetime
{
    private TestApi _api = null!;

    public async Task InitializeAsync() => _api = await TestApi.StartAsync();

    public async Task DisposeAsync() => await _api.DisposeAsync();

    [Fact]
    [Behaviour("bb-api-keys")]
    public async Task A_key_works_until_it_is_revoked_and_only_its_hash_is_stored()
    {
        var created = await _api.PostAsync("/api/v1/keys", new { name = "CI" });
        var (secret, path) = (created.Json.GetProperty("secret").GetString()!, created.Header("Location")!);

        Assert.Equal(200, (await _api.GetAsync("/api/v1/agents", secret)).Status);
        Assert.StartsWith(created.Json.GetProperty("prefix").GetString()!, secret, StringComparison.Ordinal);
        Assert.DoesNotContain("secret", (await _api.GetAsync(path)).Body, StringComparison.Ordinal);
        Assert.Equal(0L, await _api.Platform.Postgres.ScalarAsync<long>(
            "SELECT count(*) FROM identity.api_keys k WHERE strpos(k::text, $1) > 0", secret[12..]));

        Assert.Equal(204, (await _api.SendAsync(HttpMethod.Delete, path)).Status);
        var refused = await _api.GetAsync("/api/v1/agents", secret);

        Assert.Equal((401, "invalid_api_key", "Bearer"), (refused.Status, refused.Code, refused.Header("WWW-Authenticate")));
        Assert.NotEqual("null", (await _api.GetAsync(path)).Json.GetProperty("revoked_at").ToString());
    }

    [Theory]
    [InlineData("")]
    [InlineData("nonsense")]
    [InlineData("ap_AAAAAAAA_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
    [InlineData("' OR 1=1 --")]
    public async Task A_missing_malformed_or_unknown_key_is_a_401(string key)
    {
        var answer = await _api.GetAsync("/api/v1/agents", key);

        Assert.Equal((401, "invalid_api_key"), (answer.Status, answer.Code));
    }

    [Fact]
    public async Task An_expired_key_is_a_401()
    {
        var secret = (await _api.PostAsync("/api/v1/keys", new { name = "Short", expires_at = DateTime.MaxValue.AddYears(-1) })).Json.GetProperty("secret").GetString();
        await _api.Platform.Postgres.ScalarAsync<object>("UPDATE identity.api_keys SET expires_at = now() - interval '1 s' WHERE name = 'Short' RETURNING 1::text");

        Assert.Equal(401, (await _api.GetAsync("/api/v1/agents", secret)).Status);
        Assert.Equal(400, (await _api.PostAsync("/api/v1/keys", new { name = "Late", expires_at = "2001-01-01T00:00:00Z" })).Status);
    }

    [Fact]
    public async Task A_key_without_the_scope_is_a_403_and_writing_includes_reading()
    {
        var reader = await _api.KeyAsync("admin", "agents:read");
        var writer = await _api.KeyAsync("admin", "agents:write");

        var refused = await _api.PostAsync("/api/v1/agents", new { name = "X" }, reader);

        Assert.Equal((403, "missing_scope"), (refused.Status, refused.Code));
        Assert.Equal(200, (await _api.GetAsync("/api/v1/agents", reader)).Status);
        Assert.Equal(200, (await _api.GetAsync("/api/v1/agents", writer)).Status);
        Assert.Equal(201, (await _api.PostAsync("/api/v1/agents", new { name = "X" }, writer)).Status);
        Assert.Equal(403, (await _api.GetAsync("/api/v1/members", reader)).Status);
    }

    [Fact]
    public async Task A_key_cannot_make_one_that_may_do_more_than_itself()
    {
        var narrow = await _api.KeyAsync("admin", "keys:write", "agents:read");

        Assert.Equal("scope_too_wide", (await _api.PostAsync("/api/v1/keys", new { name = "Wide", scopes = new[] { "*" } }, narrow)).Code);
        Assert.Equal("role_too_high", (await _api.PostAsync("/api/v1/keys", new { name = "High", role = "owner" }, narrow)).Code);
        var made = await _api.PostAsync("/api/v1/keys", new { name = "Same" }, narrow);
        Assert.Equal((201, "admin", 2), (made.Status, made.Json.GetProperty("role").GetString(), made.Json.GetProperty("scopes").GetArrayLength()));
    }

    [Fact]
    public async Task A_key_made_for_another_neither_approves_nor_acts_on_the_account_nor_does_what_is_made_with_it()
    {
        var (bob, own) = await _api.MemberAsync("member");
        var path = $"/api/v1/approvals/{Guid.Empty}/approve";
        Assert.Equal("approval_not_found", (await _api.PostAsync(path, new { }, own)).Code);

        foreach (var scope in new[] { "approvals:write", "account:read", "tenants:write" })
        {
            var asked = await _api.PostAsync("/api/v1/keys", new { name = "His", user_id = bob, role = "member", scopes = new[] { scope } });
            Assert.Equal((403, "scope_not_for_others"), (asked.Status, asked.Code));
        }

        var made = await _api.PostAsync("/api/v1/keys", new { name = "His", user_id = bob, role = "member" });
        var his = made.Json.GetProperty("secret").GetString()!;
        var further = (await _api.PostAsync("/api/v1/keys", new { name = "More", scopes = new[] { "*" } }, his)).Json.GetProperty("secret").GetString()!;

        Assert.Equal(["*", "-approvals", "-account", "-tenants"], made.Json.GetProperty("scopes").EnumerateArray().Select(s => s.GetString()));
        foreach (var key in new[] { his, further })
        {
            Assert.Equal((403, "missing_scope"), ((await _api.PostAsync(path, new { }, key)).Status, (await _api.PostAsync(path, new { }, key)).Code));
            Assert.Equal((403, "missing_scope"), ((await _api.PostAsync($"/api/v1/sop-executions/{Guid.Empty}/approve", new { }, key)).Status, (await _api.GetAsync("/api/v1/approvals", key)).Code));
            foreach (var account in new[] { "/api/v1/users/me", "/api/v1/auth/sessions", "/api/v1/tenants" })
            {
                Assert.Equal((account, "missing_scope"), (account, (await _api.GetAsync(account, key)).Code));
            }

            Assert.Equal((403, "missing_scope"), await _api.SendAsync(HttpMethod.Delete, "/api/v1/users/me", key: key) is var close ? (close.Status, close.Code) : default);
            Assert.Equal(200, (await _api.GetAsync("/api/v1/agents", key)).Status);
        }

        Assert.Equal("scope_too_wide", (await _api.PostAsync("/api/v1/keys", new { name = "Vote", scopes = new[] { "approvals:write" } }, his)).Code);
    }

    [Fact]
    public async Task A_key_that_was_made_for_another_before_lost_the_account_and_the_tenants_by_the_migration()
    {
        var (old, own) = (await _api.KeyAsync("member", "*", "-approvals", "-tenants"), await _api.KeyAsync("member"));
        Assert.Equal(200, (await _api.GetAsync("/api/v1/users/me", old)).Status);

        var migration = await File.ReadAllTextAsync(Rules.Repository.Folder("src/AgentPlatform/Identity/Migrations/006_keys_for_others.sql"));
        await _api.Platform.Postgres.ScalarAsync<int>($"{migration} SELECT 1");

        Assert.Equal("missing_scope", (await _api.GetAsync("/api/v1/users/me", old)).Code);
        Assert.Equal(["*", "-approvals", "-tenants", "-account"], (await _api.GetAsync("/api/v1/keys", old)).Json.GetProperty("items")[0].GetProperty("scopes").EnumerateArray().Select(s => s.GetString()));
        Assert.Equal(200, (await _api.GetAsync("/api/v1/users/me", own)).Status);
    }

    [Fact]
    public async Task A_demoted_users_key_does_no_more_than_the_user_and_a_removed_ones_nothing()
    {
        var (userId, key) = await _api.MemberAsync("admin");
        var member = (await _api.GetAsync("/api/v1/members")).Json.GetProperty("items").EnumerateArray().Single(m => m.GetProperty("user_id").GetGuid() == userId);
        var path = $"/api/v1/members/{member.GetProperty("id").GetGuid()}";

        await _api.SendAsync(HttpMethod.Patch, path, new { role = "viewer" });
        Assert.Equal("read_only_role", (await _api.PostAsync("/api/v1/agents", new { name = "X" }, key)).Code);
        await _api.SendAsync(HttpMethod.Delete, path);

        Assert.Equal(401, (await _api.GetAsync("/api/v1/agents", key)).Status);
    }

    [Fact]
    [Behaviour("mk-user-inactive")]
    public async Task A_closed_accounts_keys_are_all_refused()
    {
        var (_, key) = await _api.MemberAsync("member");

        Assert.Equal(204, (await _api.SendAsync(HttpMethod.Delete, "/api/v1/users/me", key: key)).Status);

        Assert.Equal(401, (await _api.GetAsync("/api/v1/users/me", key)).Status);
        Assert.Equal(200, (await _api.GetAsync("/api/v1/users/me")).Status);
    }

    [Fact]
    [Behaviour("bb-user-data-scope")]
    public async Task Keys_and_requests_are_seen_by_their_user_and_by_admins_only()
    {
        var (ada, adasKey) = await _api.MemberAsync("member");
        var (_, bobsKey) = await _api.MemberAsync("member");
        var boss = await _api.KeyAsync("admin");
        await _api.GetAsync("/api/v1/agents", bobsKey);
        await _api.Platform.Get<RequestLog>().FlushAsync(CancellationToken.None);

        var adas = (await _api.GetAsync("/api/v1/keys", adasKey)).Json.GetProperty("items").EnumerateArray().ToList();
        var bobs = (await _api.GetAsync("/api/v1/keys", bobsKey)).Json.GetProperty("items")[0].GetProperty("id").GetGuid();

        Assert.Equal(ada, Assert.Single(adas).GetProperty("user_id").GetGuid());
        Assert.Equal(4, (await _api.GetAsync("/api/v1/keys", boss)).Json.GetProperty("items").GetArrayLength());
        Assert.Equal(404, (await _api.SendAsync(HttpMethod.Delete, $"/api/v1/keys/{bobs}", key: adasKey)).Status);
        Assert.Equal(0, (await _api.GetAsync($"/api/v1/requests?key_id={bobs}", adasKey)).Json.GetProperty("items").GetArrayLength());
        Assert.Equal(1, (await _api.GetAsync($"/api/v1/requests?key_id={bobs}", boss)).Json.GetProperty("items").GetArrayLength());
    }

    [Fact]
    [Behaviour("bb-api-keys")]
    public async Task Each_request_is_logged_with_its_template_status_and_trace_and_the_key_notes_its_use()
    {
        var (_, key) = await _api.MemberAsync("member");
        await _api.SendAsync(
            HttpMethod.Get, "/api/v1/agents/0197a000-0000-7000-8000-000000000000?token=secret", body: null, key,
            ("User-Agent", "tester/1.0"), ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
        await _api.SendAsync(HttpMethod.Post, "/api/v1/agents", "{", key);
        await _api.Platform.Get<RequestLog>().FlushAsync(CancellationToken.None);

        var logged = (await _api.GetAsync("/api/v1/requests", key)).Json.GetProperty("items").EnumerateArray().ToList();

        Assert.Equal(2, logged.Count);
        Assert.Equal(("POST", 400), (logged[0].GetProperty("method").GetString(), logged[0].GetProperty("status").GetInt32()));
        Assert.Equal(("GET", "/api/v1/agents/{id:guid}", 404), (logged[1].GetProperty("method").GetString(), logged[1].GetProperty("route").GetString(), logged[1].GetProperty("status").GetInt32()));
        Assert.Equal(
            ("0af7651916cd43dd8448eb211c80319c", "tester/1.0", "127.0.0.1"),
            (logged[1].GetProperty("trace_id").GetString(), logged[1].GetProperty("user_agent").GetString(), logged[1].GetProperty("ip_address").GetString()));
        Assert.NotEqual("null", (await _api.GetAsync("/api/v1/keys", key)).Json.GetProperty("items")[0].GetProperty("last_used_at").ToString());
    }

    [Fact]
    public async Task The_request_log_keeps_thirty_days_and_refuses_to_be_rewritten()
    {
        await _api.GetAsync("/api/v1/agents");
        await _api.GetAsync("/api/v1/agents");
        await _api.Platform.Get<RequestLog>().FlushAsync(CancellationToken.None);
        await _api.Platform.Postgres.ScalarAsync<object>(
            """
            WITH off AS MATERIALIZED (SELECT set_config('session_replication_role', 'replica', false))
            UPDATE identity.api_request_logs SET created_at = now() - interval '31 days' FROM off
            WHERE id = (SELECT min(id::text)::uuid FROM identity.api_request_logs) RETURNING 1::text
            """);

        Assert.Equal(1, await _api.Platform.Get<IdentityRetention>().PruneAsync(CancellationToken.None));

        Assert.Equal(1L, await _api.Platform.Postgres.ScalarAsync<long>("SELECT count(*) FROM identity.api_request_logs"));
        foreach (var sql in new[] { "DELETE FROM identity.api_request_logs", "UPDATE identity.api_request_logs SET status = 200" })
        {
            var error = await Assert.ThrowsAsync<PostgresException>(() => _api.Platform.Postgres.ScalarAsync<object>(sql));
            Assert.Equal(PostgresErrorCodes.RestrictViolation, error.SqlState);
        }
    }

    [Fact]
    [Behaviour("mk-rate-user-endpoint")]
    public async Task Requests_over_the_limit_of_an_endpoint_are_429_until_the_window_ends()
    {
        await using var api = await TestApi.StartAsync(settings: ("Api:RequestsPerMinute", "3"));
        var other = await api.KeyAsync("member");
        var statuses = new List<int>();
        for (var i = 0; i < 4; i++)
        {
            statuses.Add((await api.GetAsync("/api/v1/agents")).Status);
        }

        var refused = await api.GetAsync("/api/v1/agents");
        Assert.Equal([200, 200, 200, 429], statuses);
        Assert.Equal("rate_limited", refused.Code);
        Assert.InRange(int.Parse(refused.Header("Retry-After")!, System.Globalization.CultureInfo.InvariantCulture), 1, 60);
        Assert.Equal("0", refused.Header("RateLimit-Remaining"));
        Assert.Equal(200, (await api.GetAsync("/api/v1/keys")).Status);
        Assert.Equal(200, (await api.GetAsync("/api/v1/agents", other)).Status);

        await api.Platform.Postgres.ScalarAsync<object>("UPDATE identity.rate_counters SET expires_at = now() - interval '1 s' RETURNING 1::text");
        Assert.Equal(200, (await api.GetAsync("/api/v1/agents")).Status);
        await api.Platform.Get<IdentityRetention>().PruneAsync(CancellationToken.None);
        Assert.Equal(1L, await api.Platform.Postgres.ScalarAsync<long>("SELECT count(*) FROM identity.rate_counters"));
    }
}
