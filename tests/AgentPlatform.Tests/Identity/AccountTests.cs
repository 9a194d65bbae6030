using AgentPlatform.Identity;
using AgentPlatform.Postgres;
using AgentPlatform.Tests.Api;
using Npgsql;

namespace AgentPlatform.Tests.Identity;

public sealed class AccountTests : IAsyncLifetime
{
    private TestApi _api = null!;

    public async Task InitializeAsync() => _api = await TestApi.StartAsync();

    public async Task DisposeAsync() => await _api.DisposeAsync();

    [Fact]
    [Behaviour("mk-user-signup-defaults", "bb-user-role-default")]
    public async Task A_new_account_is_free_active_english_and_has_no_preferences()
    {
        var user = (await _api.GetAsync("/api/v1/users/me")).Json;

        Assert.Equal(
            ("free", "active", "en", true, "user", "email", false),
            (user.GetProperty("subscription_tier").GetString(), user.GetProperty("subscription_status").GetString(), user.GetProperty("preferred_language").GetString(),
                user.GetProperty("is_active").GetBoolean(), user.GetProperty("role").GetString(), user.GetProperty("login_method").GetString(),
                user.GetProperty("onboarding_completed").GetBoolean()));
        Assert.Equal(("{}", "{}"), (user.GetProperty("constitution").GetRawText(), user.GetProperty("notification_settings").GetRawText()));
    }

    [Fact]
    [Behaviour("bb-user-email-unique")]
    public async Task An_address_has_one_account_however_it_is_written_and_is_at_most_320_characters()
    {
        var directory = _api.Platform.Get<UserDirectory>();
        var system = Actor.System(_api.Tenant.TenantId);
        var first = await _api.Platform.AsAsync(system, tx => directory.EnsureAsync(tx, "Ada@Example.test", "Ada", CancellationToken.None));

        Assert.Equal(first, await _api.Platform.AsAsync(system, tx => directory.EnsureAsync(tx, "ada@example.TEST", null, CancellationToken.None)));
        var duplicate = await Assert.ThrowsAsync<PostgresException>(() => _api.Platform.Postgres.ScalarAsync<object>(
            "INSERT INTO identity.users (id, email) VALUES (gen_random_uuid(), 'ada@example.test') RETURNING id"));
        Assert.Equal(PostgresErrorCodes.UniqueViolation, duplicate.SqlState);
        Assert.Equal(201, (await _api.PostAsync("/api/v1/members", new { email = $"{new string('a', 308)}@example.com" })).Status);
        Assert.Equal(400, (await _api.PostAsync("/api/v1/members", new { email = $"{new string('a', 309)}@example.com" })).Status);
        Assert.Equal(400, (await _api.PostAsync("/api/v1/members", new { email = (string?)null })).Status);
    }

    [Theory]
    [InlineData("gst_number", "22AAAAA0000A1Z5", 200)]
    [InlineData("gst_number", "22AAAAA0000A1X5", 400)]
    [InlineData("gst_number", "22AAAAA0000A1Z", 400)]
    [InlineData("gst_number", "22AAAAA0000A1Z5\n", 400)]
    [InlineData("pan_number", "ABCDE1234F\n", 400)]
    [InlineData("pan_number", "ABCDE1234F", 200)]
    [InlineData("pan_number", "ABCDE12345", 400)]
    [Behaviour("mk-user-gst-pan")]
    public async Task Tax_numbers_are_checked_when_given(string field, string value, int status)
    {
        var answer = await _api.SendAsync(HttpMethod.Patch, "/api/v1/users/me", new Dictionary<string, string> { [field] = value });

        Assert.Equal(status, answer.Status);
        Assert.Equal(status == 200 ? value : null, (await _api.GetAsync("/api/v1/users/me")).Json.GetProperty(field).GetString());
    }

    [Theory]
    [InlineData("UPDATE identity.users SET subscription_tier = 'gold' RETURNING 1::text")]
    [InlineData("UPDATE identity.users SET subscription_status = 'unknown' RETURNING 1::text")]
    [Behaviour("mk-user-tier-values")]
    public async Task Tiers_and_their_statuses_are_closed_vocabularies(string sql)
    {
        var error = await Assert.ThrowsAsync<PostgresException>(() => _api.Platform.Postgres.ScalarAsync<object>(sql));
        Assert.Equal(PostgresErrorCodes.CheckViolation, error.SqlState);
    }

    [Fact]
    [Behaviour("bb-user-onboarding")]
    public async Task Handing_in_the_business_profile_keeps_one_profile_and_completes_the_onboarding()
    {
        Assert.Equal(404, (await _api.GetAsync("/api/v1/users/me/profile")).Status);

        await _api.SendAsync(HttpMethod.Put, "/api/v1/users/me/profile", new { company_name = "Acme", goals = new[] { "grow" } });
        await _api.SendAsync(HttpMethod.Put, "/api/v1/users/me/profile", new { company_name = "Acme Ltd", employee_count = "10-50" });

        var profile = (await _api.GetAsync("/api/v1/users/me/profile")).Json;
        Assert.Equal(("Acme Ltd", "10-50", "[]"), (profile.GetProperty("company_name").GetString(), profile.GetProperty("employee_count").GetString(), profile.GetProperty("goals").GetRawText()));
        Assert.True((await _api.GetAsync("/api/v1/users/me")).Json.GetProperty("onboarding_completed").GetBoolean());
        Assert.Equal(1L, await _api.Platform.Postgres.ScalarAsync<long>("SELECT count(*) FROM identity.user_profiles"));
    }

    [Fact]
    [Behaviour("bb-user-data-scope")]
    public async Task A_user_changes_only_itself_whatever_the_statement_says()
    {
        var (ada, _) = await _api.MemberAsync("admin");
        var changed = await _api.Platform.AsAsync(new Actor(_api.Tenant.TenantId, ada, "admin"), tx =>
            tx.ExecuteAsync("UPDATE identity.users SET full_name = 'Mallory'", [], CancellationToken.None));

        Assert.Equal(1, changed);
        Assert.NotEqual("Mallory", (await _api.GetAsync("/api/v1/users/me")).Json.GetProperty("full_name").GetString());
    }

    [Fact]
    [Behaviour("mk-updated-at", "bb-updated-at")]
    public async Task A_change_moves_updated_at_and_with_it_the_version()
    {
        var before = await _api.GetAsync("/api/v1/users/me");
        await _api.SendAsync(HttpMethod.Patch, "/api/v1/users/me", new { full_name = "Ada" });
        var after = await _api.GetAsync("/api/v1/users/me");

        Assert.True(after.Json.GetProperty("updated_at").GetDateTimeOffset() > before.Json.GetProperty("updated_at").GetDateTimeOffset());
        Assert.Equal(before.Json.GetProperty("created_at").GetRawText(), after.Json.GetProperty("created_at").GetRawText());
        Assert.NotEqual(before.Header("ETag"), after.Header("ETag"));
    }

    [Fact]
    public async Task An_account_is_not_closed_while_a_tenant_has_no_other_owner_whoever_else_owns_another()
    {
        var (_, second) = await _api.MemberAsync("owner");
        await _api.MemberAsync("admin");
        var own = (await _api.PostAsync("/api/v1/tenants", new { name = "Own", slug = "own" })).Json;

        var refused = await _api.SendAsync(HttpMethod.Delete, "/api/v1/users/me");

        Assert.Equal((409, "last_owner"), (refused.Status, refused.Code));
        Assert.Equal(204, (await _api.SendAsync(HttpMethod.Delete, $"/api/v1/tenants/{own.GetProperty("tenant_id").GetGuid()}", key: own.GetProperty("api_key").GetString())).Status);
        Assert.Equal(204, (await _api.SendAsync(HttpMethod.Delete, "/api/v1/users/me")).Status);
        Assert.Equal("last_owner", (await _api.SendAsync(HttpMethod.Delete, "/api/v1/users/me", key: second)).Code);
    }

    [Fact]
    public async Task Of_two_owners_who_close_their_accounts_at_once_one_stays()
    {
        var (_, second) = await _api.MemberAsync("owner");

        var answers = await Task.WhenAll(_api.SendAsync(HttpMethod.Delete, "/api/v1/users/me"), _api.SendAsync(HttpMethod.Delete, "/api/v1/users/me", key: second));

        Assert.Equal([204, 409], answers.Select(a => a.Status).Order());
    }

    [Fact]
    [Behaviour("mk-user-delete-cascade", "mk-workspace-slug")]
    public async Task Deleting_a_user_takes_the_tenants_it_owns_and_its_memberships_elsewhere()
    {
        var other = await _api.Platform.ProvisionAsync("Other");
        await _api.Platform.Postgres.ScalarAsync<object>(
            "INSERT INTO tenancy.workspace_members (tenant_id, id, user_id) VALUES ($1, gen_random_uuid(), $2) RETURNING id", other.TenantId, _api.Tenant.OwnerId);

        await _api.Platform.Postgres.ScalarAsync<object>("DELETE FROM identity.users WHERE id = $1 RETURNING id", _api.Tenant.OwnerId);

        Assert.Equal(other.TenantId, await _api.Platform.Postgres.ScalarAsync<Guid>("SELECT id FROM tenancy.tenants"));
        Assert.Equal(other.OwnerId, await _api.Platform.Postgres.ScalarAsync<Guid>("SELECT user_id FROM tenancy.workspace_members"));
        Assert.Equal(401, (await _api.GetAsync("/api/v1/agents")).Status);
    }
}
