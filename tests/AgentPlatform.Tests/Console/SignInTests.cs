using System.Net;
using AgentPlatform.Identity;
using AgentPlatform.Identity.Login;
using AgentPlatform.Postgres;

namespace AgentPlatform.Tests.Console;

[Collection("Console")]
public sealed class SignInTests(ConsoleSite site)
{
    [Fact]
    public async Task A_key_opens_a_session_whose_cookie_no_script_and_no_other_site_can_use()
    {
        var tenant = await site.TenantAsync();
        using var client = site.Client();
        using var answer = await client.SubmitAsync("/console/sign-in?return=%2Fsimulator", "/console/sign-in", ("key", $" {tenant.ApiKey} "), ("return", "/simulator"));
        Assert.Equal(HttpStatusCode.SeeOther, answer.StatusCode);
        Assert.Equal("/simulator", answer.Headers.Location!.ToString());
        var cookie = Assert.Single(answer.Headers.GetValues("Set-Cookie"), c => c.StartsWith("agentplatform_session=", StringComparison.Ordinal));
        Assert.Contains("httponly", cookie, StringComparison.OrdinalIgnoreCase);
        Assert.Contains("samesite=strict", cookie, StringComparison.OrdinalIgnoreCase);
        Assert.Contains("expires=", cookie, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("secure", cookie, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain(tenant.ApiKey, cookie, StringComparison.Ordinal);
        Assert.DoesNotContain(tenant.TenantId.ToString(), cookie, StringComparison.Ordinal);
        using var page = await client.GetAsync("/console");
        Assert.Equal(HttpStatusCode.OK, page.StatusCode);
    }

    [Theory]
    [InlineData("")]
    [InlineData("ap_wrong")]
    [InlineData("ap_AAAAAAAA_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
    [InlineData("' OR 1=1 --")]
    public async Task A_wrong_key_is_refused_and_not_repeated(string key)
    {
        using var client = site.Client();
        using var answer = await client.SubmitAsync("/console/sign-in", "/console/sign-in", ("key", key));
        var html = await answer.Content.ReadAsStringAsync();
        Assert.Equal(HttpStatusCode.Unauthorized, answer.StatusCode);
        Assert.Contains("role=\"alert\"", html, StringComparison.Ordinal);
        Assert.True(key.Length == 0 || !html.Contains(key, StringComparison.Ordinal));
        Assert.Empty(client.Cookies.GetCookies(site.Address).Where(c => c.Name == "agentplatform_session"));
    }

    [Fact]
    public async Task A_form_without_its_token_is_refused()
    {
        var tenant = await site.TenantAsync();
        using var stranger = site.Client();
        using var signIn = await stranger.PostAsync("/console/sign-in", ("key", tenant.ApiKey));
        Assert.Equal(HttpStatusCode.BadRequest, signIn.StatusCode);
        Assert.False(signIn.Headers.TryGetValues("Set-Cookie", out var cookies) && cookies.Any(c => c.StartsWith("agentplatform_session", StringComparison.Ordinal)));

        using var client = await site.SignedInAsync(tenant.ApiKey);
        foreach (var action in new[] { "/simulator", $"/simulator/{ConsoleSite.NewId()}/messages", "/console/sign-out" })
        {
            using var answer = await client.PostAsync(action, ("agent", $"{tenant.AgentId}"), ("text", "hello"));
            Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        }
    }

    [Fact]
    public async Task The_token_of_another_operator_is_refused()
    {
        var (mine, theirs) = (await site.TenantAsync(), await site.TenantAsync());
        using var client = await site.SignedInAsync(mine.ApiKey);
        using var other = await site.SignedInAsync(theirs.ApiKey);
        var token = await other.TokenAsync("/simulator");
        using var answer = await client.PostAsync("/simulator", ("form_token", token), ("agent", $"{mine.AgentId}"), ("text", "hello"));
        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
    }

    [Fact]
    public async Task Without_a_session_pages_lead_to_the_sign_in_and_come_back()
    {
        using var client = site.Client();
        using var page = await client.GetAsync("/simulator?agent=1");
        Assert.Equal(HttpStatusCode.Redirect, page.StatusCode);
        Assert.Equal("/console/sign-in?return=%2Fsimulator%3Fagent%3D1", page.Headers.Location!.OriginalString);
        using var stream = new HttpRequestMessage(HttpMethod.Get, $"/simulator/{ConsoleSite.NewId()}/events") { Headers = { { "Accept", "text/event-stream" } } };
        using var refused = await client.Http.SendAsync(stream);
        Assert.Equal(HttpStatusCode.Unauthorized, refused.StatusCode);
    }

    [Theory]
    [InlineData("https://evil.example/")]
    [InlineData("//evil.example/")]
    [InlineData("/\\evil.example/")]
    [InlineData("javascript:alert(1)")]
    [InlineData("/\n/evil.example")]
    public async Task Signing_in_leads_nowhere_else(string target)
    {
        var tenant = await site.TenantAsync();
        using var client = site.Client();
        using var answer = await client.SubmitAsync("/console/sign-in", "/console/sign-in", ("key", tenant.ApiKey), ("return", target));
        Assert.Equal("/console", answer.Headers.Location!.OriginalString);
    }

    [Fact]
    public async Task Signing_out_ends_the_session()
    {
        var tenant = await site.TenantAsync();
        using var client = await site.SignedInAsync(tenant.ApiKey);
        using var answer = await client.SubmitAsync("/console", "/console/sign-out");
        Assert.Equal(HttpStatusCode.SeeOther, answer.StatusCode);
        using var page = await client.GetAsync("/console");
        Assert.Equal(HttpStatusCode.Redirect, page.StatusCode);
    }

    [Fact]
    public async Task A_revoked_key_ends_its_sessions_at_once()
    {
        var tenant = await site.TenantAsync();
        using var client = await site.SignedInAsync(tenant.ApiKey);
        var owner = new Actor(tenant.TenantId, tenant.OwnerId, "owner");
        await site.Platform.AsAsync(owner, tx => site.Platform.Get<KeyRing>().RevokeAsync(tx, tenant.ApiKeyId, CancellationToken.None));
        using var page = await client.GetAsync("/console");
        Assert.Equal(HttpStatusCode.Redirect, page.StatusCode);
    }

    [Fact]
    public async Task A_password_opens_a_session_of_its_own_which_signing_out_ends_for_good()
    {
        var tenant = await site.TenantAsync();
        var email = await PasswordAsync(tenant);
        using var client = site.Client();
        using var wrong = await client.SubmitAsync("/console/sign-in", "/console/sign-in", ("email", email), ("password", "wrong password 123"));
        Assert.Equal(HttpStatusCode.Unauthorized, wrong.StatusCode);
        Assert.Contains("login-error", await wrong.Content.ReadAsStringAsync(), StringComparison.Ordinal);

        using var entered = await client.SubmitAsync("/console/sign-in", "/console/sign-in", ("email", email.ToUpperInvariant()), ("password", Password), ("return", "/simulator"));

        Assert.Equal((HttpStatusCode.SeeOther, "/simulator"), (entered.StatusCode, entered.Headers.Location!.ToString()));
        var cookie = client.Cookies.GetCookies(site.Address).Single(c => c.Name == "agentplatform_session").Value;
        using var page = await client.GetAsync("/console");
        Assert.Equal(HttpStatusCode.OK, page.StatusCode);
        using var left = await client.SubmitAsync("/console", "/console/sign-out");
        Assert.Equal("signed_out", await site.Platform.Postgres.ScalarAsync<string>("SELECT end_reason FROM identity.sessions WHERE user_id = $1", tenant.OwnerId));
        using var kept = new HttpRequestMessage(HttpMethod.Get, "/console") { Headers = { { "Cookie", $"agentplatform_session={cookie}" } } };
        using var stranger = site.Client();
        using var answer = await stranger.Http.SendAsync(kept);
        Assert.Equal(HttpStatusCode.Redirect, answer.StatusCode);
    }

    [Fact]
    public async Task Who_works_in_several_workspaces_chooses_one()
    {
        var (first, second) = (await site.TenantAsync("First"), await site.TenantAsync("Second"));
        var email = await PasswordAsync(first);
        await site.Platform.Postgres.ScalarAsync<object>(
            "INSERT INTO tenancy.workspace_members (tenant_id, id, user_id) VALUES ($1, gen_random_uuid(), $2) RETURNING id", second.TenantId, first.OwnerId);
        var slug = await site.Platform.Postgres.ScalarAsync<string>("SELECT slug FROM tenancy.tenants WHERE id = $1", second.TenantId);
        using var client = site.Client();

        using var asked = await client.SubmitAsync("/console/sign-in", "/console/sign-in", ("email", email), ("password", Password));
        var html = await asked.Content.ReadAsStringAsync();
        using var entered = await client.SubmitAsync("/console/sign-in", "/console/sign-in", ("email", email), ("password", Password), ("tenant", slug));

        Assert.Contains($"<option value=\"{slug}\">Second</option>", html, StringComparison.Ordinal);
        Assert.DoesNotContain(Password, html, StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.SeeOther, entered.StatusCode);
        Assert.Equal(second.TenantId, await site.Platform.Postgres.ScalarAsync<Guid>("SELECT tenant_id FROM identity.sessions WHERE user_id = $1", first.OwnerId));
    }

    [Fact]
    public async Task A_form_that_a_mailed_link_opened_is_taken_from_who_is_signed_in()
    {
        var tenant = await site.TenantAsync();
        var link = (await site.Platform.AsAsync(
            Actor.System(tenant.TenantId), tx => site.Platform.Get<PasswordLinks>().IssueAsync(tx, new PasswordNotice(tenant.OwnerId, PasswordLinks.Reset), CancellationToken.None)))!;
        using var client = await site.SignedInAsync(tenant.ApiKey);
        foreach (var (path, field) in new[]
        {
            ($"/console/password/{link.Token}", ("password", Password)), ("/console/password", ("email", "nobody@example.test")), ("/console/sign-in", ("key", tenant.ApiKey)),
        })
        {
            // The page comes across sites: without the cookie. Its form is sent on ours: with it.
            var session = client.Cookies.GetCookies(site.Address).Single(c => c.Name == "agentplatform_session");
            session.Expired = true;
            var token = await client.TokenAsync(path);
            client.Cookies.Add(site.Address, new Cookie(session.Name, session.Value));

            using var answer = await client.PostAsync(path, ("form_token", token), field);

            Assert.True(answer.StatusCode is HttpStatusCode.OK or HttpStatusCode.SeeOther, $"{path}: {answer.StatusCode}");
        }

        using var left = await client.SubmitAsync("/console", "/console/sign-out");
        Assert.Equal(HttpStatusCode.SeeOther, left.StatusCode);
    }

    [Fact]
    public async Task The_log_of_a_page_that_failed_has_no_token()
    {
        var token = new string('5', 64);
        using var client = site.Client();
        await site.Platform.Postgres.ScalarAsync<object>("ALTER TABLE identity.password_reset_tokens RENAME COLUMN used_at TO gone; SELECT ''");
        using var failed = await client.GetAsync($"/console/password/{token}");
        await site.Platform.Postgres.ScalarAsync<object>("ALTER TABLE identity.password_reset_tokens RENAME COLUMN gone TO used_at; SELECT ''");

        Assert.Equal(HttpStatusCode.InternalServerError, failed.StatusCode);
        await Eventually.SeeAsync(() => Task.FromResult(site.HostOutput), output => output.Contains("The page /console/password/{token} failed", StringComparison.Ordinal));
        Assert.Contains("The page /console/password/{token} failed", site.HostOutput, StringComparison.Ordinal);
        Assert.DoesNotContain(token, site.HostOutput, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_link_sets_a_password_in_the_browser_once()
    {
        var tenant = await site.TenantAsync();
        var link = (await site.Platform.AsAsync(
            Actor.System(tenant.TenantId), tx => site.Platform.Get<PasswordLinks>().IssueAsync(tx, new PasswordNotice(tenant.OwnerId, PasswordLinks.Reset), CancellationToken.None)))!;
        var path = $"/console/password/{link.Token}";
        using var client = site.Client();

        using var shortOne = await client.SubmitAsync(path, path, ("password", "short"));
        using var set = await client.SubmitAsync(path, path, ("password", Password));
        using var again = await client.GetAsync(path);
        using var asked = await client.SubmitAsync("/console/password", "/console/password", ("email", "nobody@example.test"));

        Assert.Equal((HttpStatusCode.BadRequest, HttpStatusCode.OK, HttpStatusCode.Gone), (shortOne.StatusCode, set.StatusCode, again.StatusCode));
        Assert.Contains("on its way", await asked.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_session_is_known_to_every_host_and_secure_where_the_public_address_is()
    {
        var tenant = await site.TenantAsync();
        using var client = await site.SignedInAsync(tenant.ApiKey);
        var session = client.Cookies.GetCookies(site.Address).Single(c => c.Name == "agentplatform_session").Value;
        await using var second = await site.AnotherHostAsync(("PublicBaseUrl", "https://agents.example"));
        using var page = new HttpRequestMessage(HttpMethod.Get, "/console") { Headers = { { "Cookie", $"agentplatform_session={session}" } } };
        using var answer = await second.Client.SendAsync(page);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);

        using var there = site.Client(second.Client.BaseAddress!);
        using var form = await there.GetAsync("/console/sign-in");
        Assert.All(form.Headers.GetValues("Set-Cookie"), cookie => Assert.Contains("secure", cookie, StringComparison.OrdinalIgnoreCase));
    }

    [Fact]
    public async Task A_tampered_cookie_is_no_session()
    {
        var tenant = await site.TenantAsync();
        using var client = await site.SignedInAsync(tenant.ApiKey);
        var cookie = client.Cookies.GetCookies(site.Address).Single(c => c.Name == "agentplatform_session");
        cookie.Value = cookie.Value[..^4] + "AAAA";
        using var page = await client.GetAsync("/console");
        Assert.Equal(HttpStatusCode.Redirect, page.StatusCode);
    }

    [Fact]
    public async Task A_key_that_may_only_read_sees_and_does_not_send()
    {
        var tenant = await site.TenantAsync();
        var owner = new Actor(tenant.TenantId, tenant.OwnerId, "owner");
        var key = await site.Platform.AsAsync(owner, tx => site.Platform.Get<KeyRing>().IssueAsync(tx, tenant.OwnerId, new NewApiKey("wallboard", "viewer"), CancellationToken.None));
        using var client = await site.SignedInAsync(key.Secret);
        var html = await client.Http.GetStringAsync(new Uri("/simulator", UriKind.Relative));
        Assert.Contains("not write in them", html, StringComparison.Ordinal);
        using var answer = await client.SubmitAsync("/simulator", "/simulator", ("agent", $"{tenant.AgentId}"), ("text", "hello"));
        Assert.Equal(HttpStatusCode.Forbidden, answer.StatusCode);
    }

    [Fact]
    public async Task A_key_for_something_else_sees_nothing()
    {
        var tenant = await site.TenantAsync();
        var owner = new Actor(tenant.TenantId, tenant.OwnerId, "owner");
        var key = await site.Platform.AsAsync(owner, tx =>
            site.Platform.Get<KeyRing>().IssueAsync(tx, tenant.OwnerId, new NewApiKey("import", "owner") { Scopes = ["contacts:write"] }, CancellationToken.None));
        using var client = await site.SignedInAsync(key.Secret);
        using var answer = await client.GetAsync("/console");
        Assert.Equal(HttpStatusCode.Forbidden, answer.StatusCode);
    }

    [Fact]
    public async Task The_keys_that_seal_sessions_are_no_tenants_to_read()
    {
        var tenant = await site.TenantAsync();
        using var client = await site.SignedInAsync(tenant.ApiKey);
        Assert.True(await site.Platform.Postgres.ScalarAsync<long>("SELECT count(*) FROM identity.data_protection_keys") > 0);
        var refused = await Assert.ThrowsAsync<Npgsql.PostgresException>(() => site.Platform.AsAsync(
            new Actor(tenant.TenantId, tenant.OwnerId, "owner"), tx => tx.QueryAsync<string>("SELECT xml FROM identity.data_protection_keys", [], CancellationToken.None)));
        Assert.Equal(Npgsql.PostgresErrorCodes.InsufficientPrivilege, refused.SqlState);
    }

    private const string Password = "correct horse battery";

    /// <summary>The owner's address, with a password.</summary>
    private async Task<string> PasswordAsync(AgentPlatform.Tenancy.ProvisionedTenant tenant)
    {
        await site.Platform.Postgres.ScalarAsync<object>(
            "INSERT INTO identity.credentials (user_id, password_hash, password_changed_at) VALUES ($1, $2, now()) RETURNING user_id",
            tenant.OwnerId, BCrypt.Net.BCrypt.HashPassword(Password, 10));
        return await site.Platform.Postgres.ScalarAsync<string>("SELECT email FROM identity.users WHERE id = $1", tenant.OwnerId);
    }
}
