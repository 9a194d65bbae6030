using System.Text.Json;
using AgentPlatform.Audit;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Tests.Api;
using Npgsql;

namespace AgentPlatform.Tests.Audit;

/// <summary>Who changed what: written by the database in the transaction of the change, and by nobody afterwards.</summary>
public sealed class AuditLogTests : IAsyncLifetime
{
    private const string Agent = "audit-test/1.0";

    private TestApi _api = null!;

    public async Task InitializeAsync() => _api = await TestApi.StartAsync(null, ("Api:TrustedProxies:0", "127.0.0.1"));

    public async Task DisposeAsync() => await _api.DisposeAsync();

    [Fact]
    [Behaviour("bb-audit-log", "mk-audit-log")]
    public async Task A_change_is_logged_with_who_made_it_from_where_and_what_was_before_and_after()
    {
        var made = await SendAsync(HttpMethod.Put, "/api/v1/budgets/tenant", new { daily_budget = 10 });
        var id = made.Json.GetProperty("id").GetString();
        await SendAsync(HttpMethod.Put, "/api/v1/budgets/tenant", new { daily_budget = 25 });
        await SendAsync(HttpMethod.Put, "/api/v1/budgets/tenant", new { daily_budget = 25 });
        await SendAsync(HttpMethod.Delete, $"/api/v1/budgets/{id}", null);

        var entries = await ListAsync("?entity_type=costs.cost_budgets");

        Assert.Equal(["delete", "update", "create"], entries.Select(e => e.GetProperty("action").GetString()));
        Assert.All(entries, e =>
        {
            Assert.Equal((id, _api.Tenant.OwnerId, "203.0.113.7", Agent), (
                e.GetProperty("entity_id").GetString(), e.GetProperty("user_id").GetGuid(), e.GetProperty("ip_address").GetString(), e.GetProperty("user_agent").GetString()));
            Assert.Equal(_api.Tenant.ApiKeyId, e.GetProperty("metadata").GetProperty("api_key_id").GetGuid());
            Assert.Equal(32, e.GetProperty("metadata").GetProperty("trace_id").GetString()!.Length);
        });
        Assert.Equal(("""{"daily_budget": 10.00}""", """{"daily_budget": 25.00}"""), (Plain(entries[1], "old_values"), Plain(entries[1], "new_values")));
        Assert.Equal((JsonValueKind.Null, JsonValueKind.Null), (entries[2].GetProperty("old_values").ValueKind, entries[0].GetProperty("new_values").ValueKind));
        Assert.Equal((10m, 25m), (entries[2].GetProperty("new_values").GetProperty("daily_budget").GetDecimal(), entries[0].GetProperty("old_values").GetProperty("daily_budget").GetDecimal()));
        var read = await _api.GetAsync($"/api/v1/audit-logs/{entries[1].GetProperty("id").GetString()}");
        Assert.Equal((200, entries[1].GetRawText()), (read.Status, read.Json.GetRawText()));
    }

    [Fact]
    [Behaviour("bb-audit-log", "mk-audit-log")]
    public async Task Nobody_changes_or_deletes_what_is_logged()
    {
        await SendAsync(HttpMethod.Post, "/api/v1/keys", new { name = "CI" });

        foreach (var table in new[] { "audit_logs", "security_audit_log" })
        {
            foreach (var change in new[] { $"UPDATE audit.{table} SET user_agent = 'none'", $"DELETE FROM audit.{table}" })
            {
                Assert.Equal(PostgresErrorCodes.InsufficientPrivilege, (await Assert.ThrowsAsync<PostgresException>(() => _api.Platform.AsAsync(_api.Owner, tx => tx.ExecuteAsync(change, [], default)))).SqlState);
                Assert.Equal(PostgresErrorCodes.RestrictViolation, (await Assert.ThrowsAsync<PostgresException>(() => _api.Platform.Postgres.ScalarAsync<object>(change))).SqlState);
            }

            Assert.Equal(1, await _api.Platform.Postgres.ScalarAsync<long>($"SELECT count(*) FROM audit.{table}"));
        }
    }

    [Fact]
    public async Task Nobody_logs_a_change_in_anothers_name()
    {
        const string forge =
            """
            INSERT INTO audit.audit_logs (tenant_id, id, user_id, action, entity_type, new_values)
            VALUES (kernel.current_tenant_id(), gen_random_uuid(), $1, 'create', 'agents.rules', '{}')
            """;

        var refused = await Assert.ThrowsAsync<PostgresException>(() => _api.Platform.AsAsync(_api.Owner, tx => tx.ExecuteAsync(forge, [TimeProvider.System.NewId()], default)));

        Assert.Equal(PostgresErrorCodes.InsufficientPrivilege, refused.SqlState);
    }

    [Fact]
    public async Task What_proves_an_identity_is_not_in_it()
    {
        var key = (await SendAsync(HttpMethod.Post, "/api/v1/keys", new { name = "CI" })).Json.GetProperty("secret").GetString()!;
        var channel = (await SendAsync(HttpMethod.Post, "/api/v1/channels", new { channel_type = "custom_webhook", channel_name = "Hook", agent_id = _api.Tenant.AgentId })).Json.GetProperty("channel");
        var rotated = await SendAsync(HttpMethod.Post, $"/api/v1/channels/{channel.GetProperty("id").GetString()}/secret", new { secret = "new-secret-of-mine" });
        var model = await SendAsync(HttpMethod.Post, "/api/v1/models", new { name = "m", provider = "openai", model = "gpt", api_key = "sk-the-key-of-the-model", input_price = 1, output_price = 1 });
        Assert.Equal((200, 201), (rotated.Status, model.Status));

        var log = await _api.Platform.Postgres.ScalarAsync<string>("SELECT string_agg(l::text, ' ') FROM audit.audit_logs AS l");

        foreach (var secret in new[]
        {
            key, channel.GetProperty("webhook_token").GetString()!, "new-secret-of-mine", "sk-the-key-of-the-model",
            await _api.Platform.Postgres.ScalarAsync<string>("SELECT secret_hash FROM identity.api_keys WHERE name = 'CI'"),
            await _api.Platform.Postgres.ScalarAsync<string>("SELECT secret_keys -> 0 ->> 'sealed' FROM channels.user_webhooks"),
            await _api.Platform.Postgres.ScalarAsync<string>("SELECT api_key_sealed FROM models.llm_models"),
        })
        {
            Assert.DoesNotContain(secret, log, StringComparison.Ordinal);
        }

        var rotation = (await ListAsync("?entity_type=channels.user_webhooks&action=update"))[0];
        Assert.Equal(("""{"secret_keys": "***"}""", """{"secret_keys": "***"}"""), (Plain(rotation, "old_values"), Plain(rotation, "new_values")));
    }

    [Theory]
    [InlineData("""{"max_tokens": 5, "token_budget": 1, "tokens": 2, "keys": []}""", """{"keys": [], "tokens": 2, "max_tokens": 5, "token_budget": 1}""")]
    [InlineData("""{"a": [{"Authorization": "Bearer x"}, {"X-Api-Key": "k"}], "b": {"accessToken": "t", "client_secret": null}}""", """{"a": [{"Authorization": "***"}, {"X-Api-Key": "***"}], "b": {"accessToken": "***", "client_secret": null}}""")]
    [InlineData("""{"password": {"nested": 1}, "token_hash": "h", "hidden": 1, "empty": {}}""", """{"empty": {}, "hidden": "***", "password": "***", "token_hash": "***"}""")]
    public async Task Secrets_are_masked_by_their_names_however_deep(string value, string masked) =>
        Assert.Equal(masked, await _api.Platform.Postgres.ScalarAsync<string>("SELECT audit.masked($1::jsonb, '{hidden}')::text", value));

    [Fact]
    public async Task What_the_platform_does_itself_and_what_follows_from_a_change_is_not_logged()
    {
        var made = await SendAsync(HttpMethod.Post, "/api/v1/channels", new { channel_type = "sms", channel_name = "Texts" });
        await _api.Platform.AsAsync(Actor.System(_api.Tenant.TenantId), tx => tx.ExecuteAsync("UPDATE channels.user_webhooks SET is_verified = true, verified_at = now()", [], default));
        var member = (await SendAsync(HttpMethod.Post, "/api/v1/members", new { email = "ada@example.test" })).Json;
        await SendAsync(HttpMethod.Post, "/api/v1/keys", new { name = "Hers", user_id = member.GetProperty("user_id").GetGuid(), role = "member" });
        await SendAsync(HttpMethod.Delete, $"/api/v1/members/{member.GetProperty("id").GetString()}", null);

        Assert.Equal(201, made.Status);
        Assert.Equal(["create"], (await ListAsync("?entity_type=channels.user_webhooks")).Select(e => e.GetProperty("action").GetString()));
        Assert.Equal(["delete", "create"], (await ListAsync("?entity_type=tenancy.workspace_members")).Select(e => e.GetProperty("action").GetString()));
        Assert.Equal(["create"], (await ListAsync("?entity_type=identity.api_keys")).Select(e => e.GetProperty("action").GetString()));
    }

    [Fact]
    [Behaviour("bb-audit-log")]
    public async Task It_is_found_by_user_entity_action_and_time_page_by_page_and_by_owners_and_admins_only()
    {
        var (adminId, admin) = await _api.MemberAsync("admin");
        await SendAsync(HttpMethod.Put, "/api/v1/budgets/tenant", new { daily_budget = 1 }, admin);
        await SendAsync(HttpMethod.Put, "/api/v1/budgets/tenant", new { daily_budget = 2 });
        await SendAsync(HttpMethod.Put, "/api/v1/budgets/tenant", new { daily_budget = 3 });
        var all = await ListAsync("?entity_type=costs.cost_budgets");
        var id = all[0].GetProperty("entity_id").GetString();
        var middle = Uri.EscapeDataString(all[1].GetProperty("created_at").GetString()!);

        Assert.Equal(["create"], (await ListAsync($"?user_id={adminId}")).Select(e => e.GetProperty("action").GetString()));
        Assert.Equal(2, (await ListAsync($"?entity_type=costs.cost_budgets&entity_id={id}&action=update")).Count);
        Assert.Equal(2, (await ListAsync($"?entity_id={id}&from={middle}")).Count);
        Assert.Equal(["create"], (await ListAsync($"?entity_id={id}&to={middle}")).Select(e => e.GetProperty("action").GetString()));
        var first = await _api.GetAsync($"/api/v1/audit-logs?entity_id={id}&limit=2", admin);
        var second = await _api.GetAsync($"/api/v1/audit-logs?entity_id={id}&limit=2&cursor={first.Json.GetProperty("next_cursor").GetString()}", admin);
        Assert.Equal(all.Select(e => e.GetRawText()), first.Json.GetProperty("items").EnumerateArray().Concat(second.Json.GetProperty("items").EnumerateArray()).Select(e => e.GetRawText()));
        Assert.Equal(400, (await _api.GetAsync("/api/v1/audit-logs?action=forget")).Status);

        var member = await _api.MemberAsync("member");
        var refused = await _api.GetAsync("/api/v1/audit-logs", member.Key);
        Assert.Equal((403, "managers_only"), (refused.Status, refused.Code));
        Assert.Equal(0, await _api.Platform.AsAsync(new Actor(_api.Tenant.TenantId, member.UserId, "member"), tx => tx.SingleAsync<long>("SELECT count(*) FROM audit.audit_logs", [], default)));
        var stranger = (await _api.Platform.ProvisionAsync()).ApiKey;
        Assert.Equal((404, "audit_log_not_found"), await CodeAsync($"/api/v1/audit-logs/{all[0].GetProperty("id").GetString()}", stranger));
    }

    [Fact]
    public async Task It_is_kept_for_400_days()
    {
        await SendAsync(HttpMethod.Put, "/api/v1/budgets/tenant", new { daily_budget = 1 });
        await _api.Platform.Postgres.ScalarAsync<int>(
            """
            INSERT INTO audit.audit_logs (tenant_id, id, user_id, action, entity_type, new_values, created_at)
            SELECT $1, gen_random_uuid(), $2, 'create', 'aged', '{}', now() - age FROM unnest('{401 days,399 days}'::interval[]) AS age RETURNING 1
            """, _api.Tenant.TenantId, _api.Tenant.OwnerId);

        Assert.Equal(1, await _api.Platform.Get<AuditRetention>().PruneAsync(default));

        Assert.Single(await ListAsync("?entity_type=aged"));
        Assert.Single(await ListAsync("?entity_type=costs.cost_budgets"));
    }

    private Task<ApiAnswer> SendAsync(HttpMethod method, string path, object? body, string? key = null) =>
        _api.SendAsync(method, path, body, key, ("X-Forwarded-For", "203.0.113.7"), ("User-Agent", Agent));

    private async Task<IReadOnlyList<JsonElement>> ListAsync(string query) =>
        [.. (await _api.GetAsync($"/api/v1/audit-logs{query}")).Json.GetProperty("items").EnumerateArray()];

    private async Task<(int, string)> CodeAsync(string path, string key) => await _api.GetAsync(path, key) is var answer ? (answer.Status, answer.Code) : default;

    private static string Plain(JsonElement entry, string name) => entry.GetProperty(name).GetRawText().Replace("\":", "\": ", StringComparison.Ordinal);
}
