using System.Text.Json;
using AgentPlatform.Identity;

namespace AgentPlatform.Tests.Identity;

public sealed class LoginTests : IAsyncLifetime
{
    private LoginStage _stage = null!;

    public async Task InitializeAsync() => _stage = await LoginStage.StartAsync();

    public async Task DisposeAsync() => await _stage.DisposeAsync();

    [Fact]
    [Behaviour("bb-user-password-bcrypt")]
    public async Task A_password_is_stored_as_a_bcrypt_hash_only_and_no_answer_holds_it()
    {
        var ada = await _stage.PersonAsync("admin");
        var answer = await _stage.LogInAsync(ada.Email);
        var token = Access(answer.Json.GetProperty("session"));
        var hash = await _stage.Api.Platform.Postgres.ScalarAsync<string>("SELECT password_hash FROM identity.credentials WHERE user_id = $1", ada.UserId);

        Assert.True(BCrypt.Net.BCrypt.Verify(LoginStage.Password, hash));
        Assert.StartsWith("$2", hash, StringComparison.Ordinal);
        string[] answers =
        [
            answer.Body, (await _stage.Api.GetAsync("/api/v1/users/me", token)).Body, (await _stage.Api.GetAsync("/api/v1/members", token)).Body,
            (await _stage.Api.GetAsync("/api/v1/auth/sessions", token)).Body, (await _stage.Api.GetAsync("/api/v1/auth/login-attempts", token)).Body,
            (await _stage.Api.GetAsync("/api/v1/audit-logs", token)).Body, (await _stage.Api.GetAsync("/api/v1/security-audit-log", token)).Body,
        ];
        Assert.All(answers, body => Assert.False(body.Contains(hash, StringComparison.Ordinal) || body.Contains(LoginStage.Password, StringComparison.Ordinal) || body.Contains("password_hash", StringComparison.Ordinal)));
        Assert.Equal(0L, await _stage.Api.Platform.Postgres.ScalarAsync<long>(
            """
            SELECT (SELECT count(*) FROM identity.sessions s WHERE strpos(s::text, $1) > 0 OR strpos(s::text, $2) > 0)
                 + (SELECT count(*) FROM identity.refresh_tokens t WHERE strpos(t::text, $2) > 0)
                 + (SELECT count(*) FROM identity.login_attempts a WHERE strpos(a::text, $3) > 0)
            """, token, answer.Json.GetProperty("session").GetProperty("refresh_token").GetString()!, LoginStage.Password));
    }

    [Fact]
    public async Task An_access_token_serves_where_a_key_does_with_the_members_role_and_tenant()
    {
        var vera = await _stage.PersonAsync("viewer");
        var session = await _stage.SessionAsync(vera.Email);
        var token = Access(session);

        Assert.Equal(("viewer", _stage.Api.Tenant.TenantId), (session.GetProperty("role").GetString(), session.GetProperty("tenant_id").GetGuid()));
        var read = await _stage.Api.GetAsync("/api/v1/agents", token);
        Assert.Equal((200, "100000"), (read.Status, read.Header("RateLimit-Limit")));
        Assert.Equal("read_only_role", (await _stage.Api.PostAsync("/api/v1/agents", new { name = "X" }, token)).Code);
        var ada = Access(await _stage.SessionAsync((await _stage.PersonAsync("admin")).Email));
        Assert.Equal(201, (await _stage.Api.PostAsync("/api/v1/agents", new { name = "X" }, ada)).Status);
        Assert.Equal(204, (await _stage.Api.PostAsync("/api/v1/auth/logout", null, token)).Status);
    }

    [Theory]
    [InlineData("")]
    [InlineData("wrong password 123")]
    [InlineData("correct horse battery ")]
    public async Task Whatever_is_wrong_is_answered_alike(string wrong)
    {
        var ada = await _stage.PersonAsync();
        var guest = await _stage.PersonAsync(password: null);
        var password = wrong.Length == 0 ? "x" : wrong;
        var answers = new[] { await _stage.LogInAsync(ada.Email, password), await _stage.LogInAsync(guest.Email, password), await _stage.LogInAsync("nobody@example.test", password) };

        Assert.All(answers, a => Assert.Equal((401, "invalid_credentials"), (a.Status, a.Code)));
        Assert.Single(answers.Select(a => a.Json.GetProperty("title").GetString()).Distinct());
        Assert.Equal((400, "validation_failed"), await _stage.LogInAsync("nobody", "x") is var bad ? (bad.Status, bad.Code) : default);
    }

    [Fact]
    public async Task Tokens_that_are_none_are_refused()
    {
        foreach (var token in new[] { "aps_", "aps_nonsense", $"aps_{new string('A', 22)}_{new string('A', 43)}" })
        {
            Assert.Equal(401, (await _stage.Api.GetAsync("/api/v1/agents", token)).Status);
        }

        foreach (var token in new[] { "", "apr_x", $"apr_{new string('A', 22)}_{new string('A', 43)}" })
        {
            Assert.Equal((401, "invalid_refresh_token"), await _stage.RefreshAsync(token) is var refused ? (refused.Status, refused.Code) : default);
        }
    }

    [Fact]
    [Behaviour("bb-user-last-signed-in", "mk-user-last-login")]
    public async Task Each_success_moves_the_last_sign_in_and_a_failure_does_not()
    {
        var ada = await _stage.PersonAsync();
        Assert.Null(await LastLoginAsync(ada));
        var first = await _stage.SessionAsync(ada.Email);
        var at = await LastLoginAsync(ada);
        _stage.Clock.By += TimeSpan.FromSeconds(5);
        await _stage.LogInAsync(ada.Email, "wrong password 123");
        Assert.Equal(at, await LastLoginAsync(ada));
        await _stage.SessionAsync(ada.Email);

        Assert.True(await LastLoginAsync(ada) >= at!.Value.AddSeconds(5));
        var shown = (await _stage.Api.GetAsync("/api/v1/users/me", Access(first))).Json.GetProperty("last_login_at").GetDateTimeOffset();
        Assert.Equal(await LastLoginAsync(ada), shown);
    }

    [Fact]
    [Behaviour("bb-user-suspension")]
    public async Task A_suspended_member_is_shut_out_at_once_and_let_in_again_when_it_is_lifted()
    {
        var ada = await _stage.PersonAsync();
        var (session, key) = (await _stage.SessionAsync(ada.Email), await KeyOfAsync(ada));
        var path = $"/api/v1/members/{ada.MemberId}";
        Assert.Equal(400, (await _stage.Api.PostAsync($"{path}/suspend", new { reason = " " })).Status);

        var suspended = await _stage.Api.PostAsync($"{path}/suspend", new { reason = "left the team" });

        Assert.Equal((200, "left the team"), (suspended.Status, suspended.Json.GetProperty("suspension_reason").GetString()));
        Assert.NotEqual(JsonValueKind.Null, (await _stage.Api.GetAsync(path)).Json.GetProperty("suspended_at").ValueKind);
        Assert.Equal(401, (await _stage.Api.GetAsync("/api/v1/agents", Access(session))).Status);
        Assert.Equal(401, (await _stage.Api.GetAsync("/api/v1/agents", key)).Status);
        Assert.Equal((401, "invalid_credentials"), await _stage.LogInAsync(ada.Email) is var refused ? (refused.Status, refused.Code) : default);
        Assert.Equal("no_tenant", (await _stage.AttemptsAsync("?success=false"))[0].GetProperty("failure_reason").GetString());
        Assert.Equal("already_suspended", (await _stage.Api.PostAsync($"{path}/suspend", new { reason = "again" })).Code);

        Assert.Equal(200, (await _stage.Api.PostAsync($"{path}/reinstate", null)).Status);

        Assert.Equal(200, (await _stage.Api.GetAsync("/api/v1/agents", Access(session))).Status);
        Assert.Equal(200, (await _stage.LogInAsync(ada.Email)).Status);
        Assert.Equal("not_suspended", (await _stage.Api.PostAsync($"{path}/reinstate", null)).Code);
    }

    [Fact]
    [Behaviour("bb-user-suspension")]
    public async Task A_refresh_token_of_a_suspended_member_is_refused_and_nobody_suspends_themselves_or_above_them()
    {
        var (ada, bob) = (await _stage.PersonAsync("admin"), await _stage.PersonAsync("member"));
        var session = await _stage.SessionAsync(bob.Email);
        var (boss, member) = (Access(await _stage.SessionAsync(ada.Email)), Access(session));

        Assert.Equal("managers_only", (await _stage.Api.PostAsync($"/api/v1/members/{ada.MemberId}/suspend", new { reason = "no" }, member)).Code);
        Assert.Equal("own_membership", (await _stage.Api.PostAsync($"/api/v1/members/{ada.MemberId}/suspend", new { reason = "no" }, boss)).Code);
        var owner = (await _stage.Api.GetAsync("/api/v1/members")).Json.GetProperty("items").EnumerateArray().Single(m => m.GetProperty("role").GetString() == "owner").GetProperty("id").GetGuid();
        Assert.Equal("owner_only", (await _stage.Api.PostAsync($"/api/v1/members/{owner}/suspend", new { reason = "no" }, boss)).Code);
        Assert.Equal(200, (await _stage.Api.PostAsync($"/api/v1/members/{bob.MemberId}/suspend", new { reason = "left" }, boss)).Status);

        Assert.Equal(401, (await _stage.RefreshAsync(session.GetProperty("refresh_token").GetString()!)).Status);
    }

    [Fact]
    public async Task Two_owners_who_suspend_each_other_leave_one()
    {
        var (ada, bob) = (await _stage.PersonAsync("owner"), await _stage.PersonAsync("owner"));
        await _stage.Api.Platform.Postgres.ScalarAsync<object>(
            "UPDATE tenancy.workspace_members SET role = 'admin' WHERE user_id = $1 RETURNING id", _stage.Api.Tenant.OwnerId);
        var (adas, bobs) = (Access(await _stage.SessionAsync(ada.Email)), Access(await _stage.SessionAsync(bob.Email)));

        await Task.WhenAll(
            _stage.Api.PostAsync($"/api/v1/members/{bob.MemberId}/suspend", new { reason = "mutiny" }, adas),
            _stage.Api.PostAsync($"/api/v1/members/{ada.MemberId}/suspend", new { reason = "mutiny" }, bobs));

        Assert.Equal(1L, await _stage.Api.Platform.Postgres.ScalarAsync<long>("SELECT count(*) FROM tenancy.workspace_members WHERE role = 'owner' AND suspended_at IS NULL"));
    }

    [Fact]
    public async Task Who_works_in_several_tenants_names_one_and_gets_to_no_other()
    {
        var ada = await _stage.PersonAsync();
        var other = await _stage.Api.Platform.ProvisionAsync("Other");
        await _stage.Api.PostAsync("/api/v1/members", new { email = ada.Email, role = "viewer" }, other.ApiKey);

        var asked = await _stage.LogInAsync(ada.Email);

        Assert.Equal((200, "choose_tenant", JsonValueKind.Null), (asked.Status, asked.Json.GetProperty("status").GetString(), asked.Json.GetProperty("session").ValueKind));
        var choices = asked.Json.GetProperty("tenants").EnumerateArray().ToDictionary(t => t.GetProperty("id").GetGuid(), t => t.GetProperty("slug").GetString()!);
        Assert.Equal([_stage.Api.Tenant.TenantId, other.TenantId], choices.Keys);
        var chosen = (await _stage.LogInAsync(ada.Email, tenant: choices[other.TenantId])).Json.GetProperty("session");
        Assert.Equal((other.TenantId, "viewer"), (chosen.GetProperty("tenant_id").GetGuid(), chosen.GetProperty("role").GetString()));
        Assert.Equal(401, (await _stage.LogInAsync(ada.Email, tenant: "somewhere-else")).Status);
        Assert.Equal(401, (await _stage.LogInAsync(ada.Email, "wrong password 123", tenant: choices[other.TenantId])).Status);
        // Neither tenant's managers see that she signed in to the other.
        Assert.DoesNotContain(await _stage.AttemptsAsync(), a => a.GetProperty("success").GetBoolean());
        Assert.Single((await _stage.Api.GetAsync("/api/v1/auth/login-attempts?success=true", other.ApiKey)).Json.GetProperty("items").EnumerateArray());
    }

    [Fact]
    public async Task An_id_names_its_tenant_also_where_the_slug_of_another_looks_like_it()
    {
        var ada = await _stage.PersonAsync();
        var other = await _stage.Api.Platform.ProvisionAsync("Other");
        await _stage.Api.PostAsync("/api/v1/members", new { email = ada.Email }, other.ApiKey);
        await _stage.Api.SendAsync(HttpMethod.Patch, $"/api/v1/tenants/{other.TenantId}", new { slug = _stage.Api.Tenant.TenantId.ToString() }, other.ApiKey);

        var chosen = await _stage.LogInAsync(ada.Email, tenant: _stage.Api.Tenant.TenantId.ToString());

        Assert.Equal(_stage.Api.Tenant.TenantId, chosen.Json.GetProperty("session").GetProperty("tenant_id").GetGuid());
    }

    [Fact]
    public async Task A_request_that_is_repeated_after_a_refresh_gets_its_answer_again()
    {
        var ada = await _stage.PersonAsync("admin");
        var session = await _stage.SessionAsync(ada.Email);
        var first = await _stage.Api.PostAsync("/api/v1/keys", new { name = "CI" }, Access(session), "same");
        var fresh = (await _stage.RefreshAsync(session.GetProperty("refresh_token").GetString()!)).Json;

        var again = await _stage.Api.PostAsync("/api/v1/keys", new { name = "CI" }, Access(fresh), "same");

        Assert.Equal((201, first.Body, "true"), (again.Status, again.Body, again.Header("Idempotent-Replayed")));
    }

    private async Task<string> KeyOfAsync(Person person) => (await _stage.Api.Platform.AsAsync(
        _stage.Api.Owner, tx => _stage.Api.Platform.Get<KeyRing>().IssueAsync(tx, person.UserId, new NewApiKey("Test", "member"), default))).Secret;

    private static string Access(JsonElement session) => session.GetProperty("access_token").GetString()!;

    private async Task<DateTimeOffset?> LastLoginAsync(Person person) =>
        await _stage.Api.Platform.Postgres.ScalarAsync<object>("SELECT last_login_at FROM identity.credentials WHERE user_id = $1", person.UserId) is DateTime at ? new DateTimeOffset(at) : null;
}
