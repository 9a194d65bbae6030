using AgentPlatform.Postgres;
using AgentPlatform.Tenancy;
using AgentPlatform.Tests.Api;
using Npgsql;

namespace AgentPlatform.Tests.Tenancy;

public sealed class TenantTests : IAsyncLifetime
{
    private TestApi _api = null!;

    public async Task InitializeAsync() => _api = await TestApi.StartAsync();

    public async Task DisposeAsync() => await _api.DisposeAsync();

    [Fact]
    [Behaviour("mk-workspace-slug")]
    public async Task A_slug_is_unique_and_a_name_required()
    {
        Assert.Equal(201, (await _api.PostAsync("/api/v1/tenants", new { name = "One", slug = "one" })).Status);
        Assert.Equal((409, "slug_taken"), await CreateAsync("Two", "one"));
        Assert.Equal((400, "validation_failed"), await CreateAsync("  ", "two"));
        Assert.Equal((400, "validation_failed"), await CreateAsync("Three", "Not A Slug"));
        var taken = await _api.SendAsync(HttpMethod.Patch, $"/api/v1/tenants/{_api.Tenant.TenantId}", new { slug = "one" });
        Assert.Equal((409, "slug_taken"), (taken.Status, taken.Code));
    }

    [Theory]
    [InlineData("tenants:write")]
    [InlineData("*", "-costs")]
    public async Task A_key_that_may_not_do_everything_makes_no_tenant_whose_key_may(params string[] scopes)
    {
        var key = await _api.KeyAsync("owner", scopes);

        Assert.Equal((403, "scope_too_wide"), await _api.PostAsync("/api/v1/tenants", new { name = "Wide", slug = "wide" }, key) is var refused ? (refused.Status, refused.Code) : default);
        Assert.Equal(1L, await _api.Platform.Postgres.ScalarAsync<long>("SELECT count(*) FROM tenancy.tenants"));
    }

    [Fact]
    public async Task A_slug_ends_where_it_ends()
    {
        Assert.Equal((400, "validation_failed"), await CreateAsync("Lines", "lines\n"));
        Assert.Equal(400, (await _api.SendAsync(HttpMethod.Patch, $"/api/v1/tenants/{_api.Tenant.TenantId}", new { slug = "lines\n" })).Status);
    }

    [Fact]
    public async Task A_tenant_where_one_is_suspended_is_none_of_ones_tenants()
    {
        var other = await _api.Platform.ProvisionAsync("Other");
        var email = (await _api.GetAsync("/api/v1/users/me")).Json.GetProperty("email").GetString();
        var member = (await _api.PostAsync("/api/v1/members", new { email }, other.ApiKey)).Json.GetProperty("id").GetGuid();
        Assert.Equal((2, 200), ((await MineAsync()).Count, (await _api.GetAsync($"/api/v1/tenants/{other.TenantId}")).Status));

        await _api.PostAsync($"/api/v1/members/{member}/suspend", new { reason = "left" }, other.ApiKey);

        Assert.Equal([_api.Tenant.TenantId], await MineAsync());
        Assert.Equal(404, (await _api.GetAsync($"/api/v1/tenants/{other.TenantId}")).Status);
    }

    [Fact]
    public async Task A_tenant_is_changed_and_handed_over_by_its_owner()
    {
        var path = $"/api/v1/tenants/{_api.Tenant.TenantId}";
        var (admin, adminKey) = await _api.MemberAsync("admin");
        var changed = await _api.SendAsync(HttpMethod.Patch, path, new { name = "Renamed", settings = new { tone = "calm" } }, adminKey);

        Assert.Equal(("Renamed", "calm"), (changed.Json.GetProperty("name").GetString(), changed.Json.GetProperty("settings").GetProperty("tone").GetString()));
        Assert.Equal("managers_only", (await _api.SendAsync(HttpMethod.Patch, path, new { owner_id = admin }, adminKey)).Code);
        Assert.Equal(400, (await _api.SendAsync(HttpMethod.Patch, path, new { owner_id = admin })).Status);
        Assert.Equal(403, (await _api.SendAsync(HttpMethod.Delete, path, key: adminKey)).Status);
        var history = (await _api.GetAsync($"/api/v1/events/history/tenant/{_api.Tenant.TenantId}")).Json.GetProperty("items").EnumerateArray().Select(e => e.GetProperty("event_type").GetString());
        Assert.Equal(["tenant.created", "member.added", "tenant.updated"], history);
    }

    [Fact]
    public async Task Deleting_a_tenant_leaves_nothing_of_it()
    {
        await _api.PostAsync("/api/v1/agents", new { name = "Ada" }, idempotencyKey: "k");

        Assert.Equal(204, (await _api.SendAsync(HttpMethod.Delete, $"/api/v1/tenants/{_api.Tenant.TenantId}")).Status);

        Assert.Equal(401, (await _api.GetAsync("/api/v1/agents")).Status);
        foreach (var table in new[] { "tenancy.tenants", "tenancy.agents", "tenancy.workspace_members", "identity.api_keys", "identity.idempotency_keys", "events.events" })
        {
            Assert.Equal(0L, await _api.Platform.Postgres.ScalarAsync<long>($"SELECT count(*) FROM {table}"));
        }
    }

    [Fact]
    [Behaviour("ps-tenant-scoping")]
    public async Task What_belongs_to_another_tenant_behaves_as_not_found()
    {
        var other = await _api.Platform.ProvisionAsync("Other");

        foreach (var path in new[] { $"/api/v1/tenants/{other.TenantId}", $"/api/v1/agents/{other.AgentId}", $"/api/v1/keys/{other.ApiKeyId}", $"/api/v1/events/history/tenant/{other.TenantId}" })
        {
            Assert.Equal((path, 404), (path, (await _api.GetAsync(path)).Status));
        }

        Assert.Equal(404, (await _api.SendAsync(HttpMethod.Patch, $"/api/v1/agents/{other.AgentId}", new { name = "Mine" })).Status);
        Assert.Equal(404, (await _api.SendAsync(HttpMethod.Delete, $"/api/v1/agents/{other.AgentId}?purge=true")).Status);
        Assert.Equal(404, (await _api.SendAsync(HttpMethod.Delete, $"/api/v1/tenants/{other.TenantId}")).Status);
        Assert.Equal(404, (await _api.SendAsync(HttpMethod.Delete, $"/api/v1/keys/{other.ApiKeyId}")).Status);
        Assert.DoesNotContain(other.AgentId.ToString(), (await _api.GetAsync("/api/v1/agents")).Body, StringComparison.Ordinal);
        Assert.Equal(200, (await _api.GetAsync("/api/v1/agents", other.ApiKey)).Status);
    }

    [Fact]
    [Behaviour("ps-tenant-fk-guard")]
    public async Task A_child_cannot_refer_to_a_parent_of_another_tenant()
    {
        var other = await _api.Platform.ProvisionAsync("Other");

        var error = await Assert.ThrowsAsync<PostgresException>(() => _api.Platform.Postgres.ScalarAsync<object>(
            "INSERT INTO tenancy.instance_configs (tenant_id, agent_id) VALUES ($1, $2) RETURNING 1::text", _api.Tenant.TenantId, other.AgentId));

        Assert.Equal(PostgresErrorCodes.ForeignKeyViolation, error.SqlState);
    }

    [Fact]
    [Behaviour("mk-rls-isolation", "mk-rls-unset-denies", "mk-rls-complete-coverage")]
    public async Task Without_a_tenant_and_a_user_nothing_is_visible_or_writable_not_even_for_the_tables_owner()
    {
        foreach (var sql in new[] { "SELECT count(*) FROM tenancy.agents", "SELECT count(*) FROM identity.users", "SELECT count(*) FROM events.events" })
        {
            await using var owner = new NpgsqlConnection(_api.Platform.Postgres.ConnectionString);
            await owner.OpenAsync();
            await using var asOwner = new NpgsqlCommand(sql, owner);
            Assert.Equal(0L, await asOwner.ExecuteScalarAsync());
            await using var tx = _api.Platform.Database.BeginGateway("");
            Assert.Equal(0, await tx.SingleAsync<long>(sql, [], CancellationToken.None));
        }

        await using var write = _api.Platform.Database.BeginGateway("");
        var refused = await Assert.ThrowsAsync<PostgresException>(() => write.ExecuteAsync(
            "INSERT INTO tenancy.agents (tenant_id, id, name) VALUES ($1, gen_random_uuid(), 'X')", [_api.Tenant.TenantId], CancellationToken.None));
        Assert.Equal(PostgresErrorCodes.InsufficientPrivilege, refused.SqlState);
    }

    [Fact]
    [Behaviour("mk-rls-connection-reuse")]
    public async Task A_pooled_connection_does_not_carry_the_previous_tenant()
    {
        var other = await _api.Platform.ProvisionAsync("Other");
        await using var single = NpgsqlDataSource.Create(_api.Platform.Postgres.ConnectionString + ";Maximum Pool Size=1");
        var database = new Database(single);

        foreach (var (tenantId, agentId) in new[] { (_api.Tenant.TenantId, _api.Tenant.AgentId), (other.TenantId, other.AgentId), (_api.Tenant.TenantId, _api.Tenant.AgentId) })
        {
            await using var tx = database.Begin(Actor.System(tenantId));
            Assert.Equal([agentId], await tx.QueryAsync<Guid>("SELECT id FROM tenancy.agents", [], CancellationToken.None));
        }

        await using var connection = await single.OpenConnectionAsync();
        await using var bare = new NpgsqlCommand("SELECT count(*) FROM tenancy.agents", connection);
        Assert.Equal(0L, await bare.ExecuteScalarAsync());
    }

    [Fact]
    public async Task A_tenant_without_agents_gets_one_when_a_message_needs_a_taker()
    {
        await _api.SendAsync(HttpMethod.Delete, $"/api/v1/agents/{_api.Tenant.AgentId}?purge=true");

        var agent = await _api.Platform.AsAsync(Actor.System(_api.Tenant.TenantId), tx => _api.Platform.Get<AgentDirectory>().DefaultAsync(tx, CancellationToken.None));

        Assert.Equal(("Assistant", true), (agent.Name, agent.Enabled));
    }

    private async Task<IReadOnlyList<Guid>> MineAsync() =>
        [.. (await _api.GetAsync("/api/v1/tenants")).Json.GetProperty("items").EnumerateArray().Select(t => t.GetProperty("id").GetGuid())];

    private async Task<(int, string)> CreateAsync(string name, string slug)
    {
        var answer = await _api.PostAsync("/api/v1/tenants", new { name, slug });
        return (answer.Status, answer.Code);
    }
}
