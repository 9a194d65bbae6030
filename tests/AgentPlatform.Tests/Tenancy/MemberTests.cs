using AgentPlatform.Identity;
using AgentPlatform.Postgres;
using AgentPlatform.Tests.Api;
using Npgsql;

namespace AgentPlatform.Tests.Tenancy;

public sealed class MemberTests : IAsyncLifetime
{
    private TestApi _api = null!;

    public async Task InitializeAsync() => _api = await TestApi.StartAsync();

    public async Task DisposeAsync() => await _api.DisposeAsync();

    [Fact]
    [Behaviour("mk-workspace-owner-member")]
    public async Task Creating_a_tenant_makes_its_creator_the_owner_and_gives_a_key_for_it()
    {
        var created = await _api.PostAsync("/api/v1/tenants", new { name = "Second", slug = "second" });
        var key = created.Json.GetProperty("api_key").GetString();

        Assert.Equal(201, created.Status);
        var member = Assert.Single((await _api.GetAsync("/api/v1/members", key)).Json.GetProperty("items").EnumerateArray());
        Assert.Equal((_api.Tenant.OwnerId, "owner"), (member.GetProperty("user_id").GetGuid(), member.GetProperty("role").GetString()));
        var mine = (await _api.GetAsync("/api/v1/tenants")).Json.GetProperty("items").EnumerateArray().Select(t => t.GetProperty("name").GetString());
        Assert.Equal(["Second", "Acme"], mine);
    }

    [Fact]
    [Behaviour("mk-workspace-member-unique")]
    public async Task A_user_is_a_member_at_most_once()
    {
        var first = await _api.PostAsync("/api/v1/members", new { email = "ada@example.test" });
        var second = await _api.PostAsync("/api/v1/members", new { email = "ADA@example.test", role = "admin" });

        Assert.Equal((201, "member"), (first.Status, first.Json.GetProperty("role").GetString()));
        Assert.Equal((409, "already_member"), (second.Status, second.Code));
    }

    [Fact]
    [Behaviour("mk-workspace-roles")]
    public async Task Only_owners_and_admins_manage_members_and_only_owners_manage_owners()
    {
        var member = await _api.KeyAsync("member");
        var admin = await _api.KeyAsync("admin");
        var owner = (await _api.GetAsync("/api/v1/members")).Json.GetProperty("items").EnumerateArray().Single(m => m.GetProperty("role").GetString() == "owner").GetProperty("id").GetGuid();

        Assert.Equal("managers_only", (await _api.PostAsync("/api/v1/members", new { email = "x@example.test" }, member)).Code);
        Assert.Equal(201, (await _api.PostAsync("/api/v1/members", new { email = "x@example.test" }, admin)).Status);
        Assert.Equal("owner_only", (await _api.PostAsync("/api/v1/members", new { email = "y@example.test", role = "owner" }, admin)).Code);
        Assert.Equal("owner_only", (await _api.SendAsync(HttpMethod.Patch, $"/api/v1/members/{owner}", new { role = "member" }, admin)).Code);
        Assert.Equal("owner_only", (await _api.SendAsync(HttpMethod.Delete, $"/api/v1/members/{owner}", key: admin)).Code);
        Assert.Equal(400, (await _api.PostAsync("/api/v1/members", new { email = "z@example.test", role = "king" }, admin)).Status);
    }

    [Fact]
    [Behaviour("mk-workspace-roles")]
    public async Task A_viewer_reads_and_cannot_write_not_even_past_the_API()
    {
        var (viewer, key) = await _api.MemberAsync("viewer");

        Assert.Equal(200, (await _api.GetAsync("/api/v1/agents", key)).Status);
        Assert.Equal("read_only_role", (await _api.PostAsync("/api/v1/agents", new { name = "X" }, key)).Code);
        var actor = new Actor(_api.Tenant.TenantId, viewer, "viewer");
        Assert.Equal(0, await _api.Platform.AsAsync(actor, tx => tx.ExecuteAsync("UPDATE tenancy.agents SET name = 'X'", [], CancellationToken.None)));
        Assert.Equal(0, await _api.Platform.AsAsync(actor, tx => tx.ExecuteAsync("DELETE FROM tenancy.agents", [], CancellationToken.None)));
        var refused = await Assert.ThrowsAsync<PostgresException>(() => _api.Platform.AsAsync(actor, tx => tx.ExecuteAsync(
            "INSERT INTO tenancy.agents (tenant_id, id, name) VALUES ($1, gen_random_uuid(), 'X')", [actor.TenantId], CancellationToken.None)));
        Assert.Equal(PostgresErrorCodes.InsufficientPrivilege, refused.SqlState);
    }

    [Fact]
    [Behaviour("mk-workspace-last-owner")]
    public async Task The_last_owner_can_be_neither_removed_nor_demoted_nor_leave()
    {
        var owner = (await _api.GetAsync("/api/v1/members")).Json.GetProperty("items")[0].GetProperty("id").GetGuid();

        Assert.Equal("last_owner", (await _api.SendAsync(HttpMethod.Patch, $"/api/v1/members/{owner}", new { role = "admin" })).Code);
        Assert.Equal("last_owner", (await _api.SendAsync(HttpMethod.Delete, $"/api/v1/members/{owner}")).Code);

        var second = (await _api.PostAsync("/api/v1/members", new { email = "second@example.test", role = "owner" })).Json;
        Assert.Equal(204, (await _api.SendAsync(HttpMethod.Delete, $"/api/v1/members/{owner}")).Status);
        Assert.Equal(second.GetProperty("user_id").GetGuid(), await _api.Platform.Postgres.ScalarAsync<Guid>("SELECT owner_id FROM tenancy.tenants WHERE id = $1", _api.Tenant.TenantId));
    }

    [Fact]
    [Behaviour("mk-workspace-last-owner")]
    public async Task Two_owners_who_remove_each_other_at_once_leave_one()
    {
        var (secondUser, _) = await _api.MemberAsync("owner");
        var (first, second) = (_api.Owner, new Actor(_api.Tenant.TenantId, secondUser, "owner"));

        await using var a = _api.Platform.Database.Begin(first);
        await using var b = _api.Platform.Database.Begin(second);
        await RemoveAsync(a, second.UserId);
        var waiting = RemoveAsync(b, first.UserId);
        await a.CommitAsync(CancellationToken.None);
        var error = await Assert.ThrowsAsync<PostgresException>(() => waiting);

        Assert.Equal("last_owner_stays", error.ConstraintName);
        Assert.Equal(1L, await _api.Platform.Postgres.ScalarAsync<long>("SELECT count(*) FROM tenancy.workspace_members WHERE tenant_id = $1 AND role = 'owner'", first.TenantId));
    }

    [Fact]
    public async Task Everybody_may_leave()
    {
        var (userId, key) = await _api.MemberAsync("member");
        var id = (await _api.GetAsync("/api/v1/members", key)).Json.GetProperty("items").EnumerateArray().Single(m => m.GetProperty("user_id").GetGuid() == userId).GetProperty("id").GetGuid();

        Assert.Equal(204, (await _api.SendAsync(HttpMethod.Delete, $"/api/v1/members/{id}", key: key)).Status);
        Assert.Equal(401, (await _api.GetAsync("/api/v1/agents", key)).Status);
    }

    [Fact]
    [Behaviour("mk-workspace-roles")]
    public async Task Nobody_leaves_by_a_key_that_another_made_for_them()
    {
        var (boss, bossKey) = await _api.MemberAsync("owner");
        var admin = await _api.KeyAsync("admin");
        var made = (await _api.PostAsync("/api/v1/keys", new { name = "Hers", user_id = boss }, admin)).Json.GetProperty("secret").GetString();
        var path = $"/api/v1/members/{await MemberIdAsync(boss)}";

        Assert.Equal((403, "owner_only"), await _api.SendAsync(HttpMethod.Delete, path, key: made) is var refused ? (refused.Status, refused.Code) : default);
        Assert.Equal(204, (await _api.SendAsync(HttpMethod.Delete, path, key: bossKey)).Status);
    }

    [Theory]
    [InlineData("member")]
    [InlineData("admin")]
    [Behaviour("mk-workspace-last-owner")]
    public async Task The_last_owner_stays_whatever_role_the_key_has_and_another_hands_the_tenant_over(string role)
    {
        var weak = await OwnKeyAsync(_api.Tenant.OwnerId, role);
        var path = $"/api/v1/members/{await MemberIdAsync(_api.Tenant.OwnerId)}";
        Assert.Equal((409, "last_owner"), await _api.SendAsync(HttpMethod.Delete, path, key: weak) is var refused ? (refused.Status, refused.Code) : default);

        var (second, _) = await _api.MemberAsync("owner");
        Assert.Equal(204, (await _api.SendAsync(HttpMethod.Delete, path, key: weak)).Status);

        Assert.Equal(second, await _api.Platform.Postgres.ScalarAsync<Guid>("SELECT owner_id FROM tenancy.tenants WHERE id = $1", _api.Tenant.TenantId));
    }

    [Fact]
    [Behaviour("mk-workspace-last-owner")]
    public async Task An_owner_whose_account_is_closed_or_who_is_suspended_is_no_owner_that_is_left()
    {
        var (_, closedKey) = await _api.MemberAsync("owner");
        var mine = $"/api/v1/members/{await MemberIdAsync(_api.Tenant.OwnerId)}";
        Assert.Equal(204, (await _api.SendAsync(HttpMethod.Delete, "/api/v1/users/me", key: closedKey)).Status);
        Assert.Equal("last_owner", (await _api.SendAsync(HttpMethod.Delete, mine)).Code);

        var (second, secondKey) = await _api.MemberAsync("owner");
        Assert.Equal(200, (await _api.PostAsync($"{mine}/suspend", new { reason = "left" }, secondKey)).Status);

        Assert.Equal(second, await _api.Platform.Postgres.ScalarAsync<Guid>("SELECT owner_id FROM tenancy.tenants WHERE id = $1", _api.Tenant.TenantId));
        Assert.Equal(400, (await _api.SendAsync(HttpMethod.Patch, $"/api/v1/tenants/{_api.Tenant.TenantId}", new { owner_id = _api.Tenant.OwnerId }, secondKey)).Status);
    }

    [Fact]
    public async Task A_key_that_may_only_read_does_not_leave_for_its_member()
    {
        await _api.MemberAsync("owner");
        var own = (await _api.GetAsync("/api/v1/members")).Json.GetProperty("items").EnumerateArray().Single(m => m.GetProperty("user_id").GetGuid() == _api.Tenant.OwnerId);
        var key = (await _api.PostAsync("/api/v1/keys", new { name = "Dashboard", role = "viewer" })).Json.GetProperty("secret").GetString();

        Assert.Equal(403, (await _api.SendAsync(HttpMethod.Delete, $"/api/v1/members/{own.GetProperty("id").GetGuid()}", key: key)).Status);
    }

    [Fact]
    public async Task A_viewer_leaves_and_it_is_told()
    {
        var (vera, key) = await _api.MemberAsync("viewer");
        var (id, other) = (await MemberIdAsync(vera), await MemberIdAsync(_api.Tenant.OwnerId));

        Assert.Equal("managers_only", (await _api.SendAsync(HttpMethod.Delete, $"/api/v1/members/{other}", key: key)).Code);
        Assert.Equal(204, (await _api.SendAsync(HttpMethod.Delete, $"/api/v1/members/{id}", key: key)).Status);

        Assert.Equal(1L, await _api.Platform.Postgres.ScalarAsync<long>("SELECT count(*) FROM events.events WHERE event_type = 'member.removed'"));
    }

    [Fact]
    public async Task Who_is_suspended_twice_at_once_is_suspended_once()
    {
        var id = await MemberIdAsync((await _api.MemberAsync("member")).UserId);
        await using var holder = new NpgsqlConnection(_api.Platform.Postgres.AdminConnectionString);
        await holder.OpenAsync();
        await using var hold = await holder.BeginTransactionAsync();
        await using (var row = new NpgsqlCommand("SELECT 1 FROM tenancy.workspace_members WHERE id = $1 FOR UPDATE", holder, hold) { Parameters = { new() { Value = id } } })
        {
            await row.ExecuteScalarAsync();
        }

        var both = Enumerable.Range(0, 2).Select(n => _api.PostAsync($"/api/v1/members/{id}/suspend", new { reason = $"reason {n}" })).ToArray();
        await Eventually.SeeAsync(
            () => _api.Platform.Postgres.ScalarAsync<long>("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"), waiting => waiting == 2);
        await hold.CommitAsync();

        Assert.Equal([200, 409], (await Task.WhenAll(both)).Select(a => a.Status).Order());
        Assert.Equal(1L, await _api.Platform.Postgres.ScalarAsync<long>("SELECT count(*) FROM events.events WHERE event_type = 'member.suspended'"));
    }

    private async Task<Guid> MemberIdAsync(Guid user) =>
        (await _api.GetAsync("/api/v1/members")).Json.GetProperty("items").EnumerateArray().Single(m => m.GetProperty("user_id").GetGuid() == user).GetProperty("id").GetGuid();

    private async Task<string> OwnKeyAsync(Guid user, string role) => (await _api.Platform.AsAsync(
        _api.Owner, tx => _api.Platform.Get<KeyRing>().IssueAsync(tx, user, new NewApiKey("Own", role), CancellationToken.None))).Secret;

    private static Task RemoveAsync(Transaction tx, Guid userId) =>
        tx.ExecuteAsync("DELETE FROM tenancy.workspace_members WHERE tenant_id = $1 AND user_id = $2", [tx.TenantId, userId], CancellationToken.None);
}
