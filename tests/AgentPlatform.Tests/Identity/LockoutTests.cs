using System.Text.Json;

namespace AgentPlatform.Tests.Identity;

public sealed class LockoutTests : IAsyncLifetime
{
    private LoginStage _stage = null!;

    public async Task InitializeAsync() => _stage = await LoginStage.StartAsync(("Identity:FailuresPerEmail", "3"), ("Identity:FailuresPerIp", "5"));

    public async Task DisposeAsync() => await _stage.DisposeAsync();

    [Fact]
    [Behaviour("bb-login-attempt-log")]
    public async Task Every_attempt_is_logged_good_or_bad_and_by_what_it_failed()
    {
        var ada = await _stage.PersonAsync();
        await _stage.LogInAsync(ada.Email, "wrong password 123", from: "2001:db8::7");
        await _stage.LogInAsync(ada.Email);
        await _stage.LogInAsync("nobody@example.test");

        var attempts = await _stage.AttemptsAsync();

        Assert.Equal(
            [(true, null, "203.0.113.7"), (false, "wrong_password", "2001:db8::7")],
            attempts.Select(a => (a.GetProperty("success").GetBoolean(), a.GetProperty("failure_reason").GetString(), a.GetProperty("ip_address").GetString())));
        Assert.All(attempts, a => Assert.Equal((ada.Email, "browser/1.0"), (a.GetProperty("email").GetString(), a.GetProperty("user_agent").GetString())));
        Assert.Equal("unknown_account", await _stage.Api.Platform.Postgres.ScalarAsync<string>("SELECT failure_reason FROM identity.login_attempts WHERE email = 'nobody@example.test'"));
        Assert.Equal("managers_only", (await _stage.Api.GetAsync("/api/v1/auth/login-attempts", Access((await _stage.LogInAsync(ada.Email)).Json.GetProperty("session")))).Code);
    }

    [Fact]
    [Behaviour("bb-login-lockout")]
    public async Task Failures_on_an_address_block_it_until_the_window_is_over_and_are_a_threat()
    {
        var ada = await _stage.PersonAsync();
        for (var i = 0; i < 3; i++)
        {
            Assert.Equal(401, (await _stage.LogInAsync(ada.Email, "wrong password 123", from: $"198.51.100.{i}")).Status);
        }

        var blocked = await _stage.LogInAsync(ada.Email);

        Assert.Equal((429, "login_blocked"), (blocked.Status, blocked.Code));
        Assert.InRange(int.Parse(blocked.Header("Retry-After")!, System.Globalization.CultureInfo.InvariantCulture), 800, 900);
        Assert.Equal("locked_out", (await _stage.AttemptsAsync())[0].GetProperty("failure_reason").GetString());
        var threat = Assert.Single(await _stage.ThreatsAsync());
        Assert.Equal(("login_lockout", ada.UserId, "203.0.113.7"), (
            threat.GetProperty("event_type").GetString(), threat.GetProperty("user_id").GetGuid(), threat.GetProperty("ip_address").GetString()));

        _stage.Clock.By += TimeSpan.FromMinutes(15);
        Assert.Equal(200, (await _stage.LogInAsync(ada.Email)).Status);
    }

    [Fact]
    [Behaviour("bb-login-lockout")]
    public async Task Failures_from_one_ip_block_it_for_every_address_and_an_unknown_address_is_blocked_as_a_known_one()
    {
        var ada = await _stage.PersonAsync();
        for (var i = 0; i < 5; i++)
        {
            Assert.Equal(401, (await _stage.LogInAsync($"guess{i}@example.test", from: "198.51.100.9")).Status);
        }

        Assert.Equal(429, (await _stage.LogInAsync(ada.Email, from: "198.51.100.9")).Status);
        Assert.Equal(429, (await _stage.LogInAsync("another@example.test", from: "198.51.100.9")).Status);
        Assert.Equal(200, (await _stage.LogInAsync(ada.Email, from: "198.51.100.10")).Status);
        for (var i = 0; i < 3; i++)
        {
            await _stage.LogInAsync("nobody@example.test", from: $"192.0.2.{i}");
        }

        Assert.Equal("login_blocked", (await _stage.LogInAsync("nobody@example.test", from: "192.0.2.9")).Code);
    }

    [Fact]
    [Behaviour("bb-login-lockout")]
    public async Task Many_attempts_at_once_get_no_further_than_many_in_turn_and_a_success_begins_anew()
    {
        var ada = await _stage.PersonAsync();
        var answers = await Task.WhenAll(Enumerable.Range(0, 12).Select(i => _stage.LogInAsync(ada.Email, "wrong password 123", from: $"198.51.100.{i}")));
        Assert.Equal((3, 9), (answers.Count(a => a.Status == 401), answers.Count(a => a.Status == 429)));

        var bob = await _stage.PersonAsync();
        for (var i = 0; i < 3; i++)
        {
            await _stage.LogInAsync(bob.Email, "wrong password 123", from: $"192.0.2.{i}");
            await _stage.LogInAsync(bob.Email, "wrong password 123", from: $"192.0.2.{i}");
            Assert.Equal(200, (await _stage.LogInAsync(bob.Email, from: $"192.0.2.{i}")).Status);
        }
    }

    [Fact]
    [Behaviour("bb-login-lockout")]
    public async Task Who_sets_the_password_by_a_link_is_let_in_at_once()
    {
        var ada = await _stage.PersonAsync();
        for (var i = 0; i < 3; i++)
        {
            await _stage.LogInAsync(ada.Email, "wrong password 123", from: $"198.51.100.{i}");
        }

        Assert.Equal(429, (await _stage.LogInAsync(ada.Email)).Status);
        Assert.Equal(204, (await _stage.CompleteAsync(await _stage.ResetTokenAsync(ada.Email), LoginStage.Password)).Status);

        Assert.Equal(200, (await _stage.LogInAsync(ada.Email)).Status);
    }

    [Fact]
    [Behaviour("bb-login-lockout")]
    public async Task Addresses_of_one_network_of_IPv6_are_one_sender()
    {
        for (var i = 0; i < 5; i++)
        {
            Assert.Equal(401, (await _stage.LogInAsync($"guess{i}@example.test", from: $"2001:db8:0:7:{i}::1")).Status);
        }

        Assert.Equal(429, (await _stage.LogInAsync("guess@example.test", from: "2001:db8:0:7:ffff::9")).Status);
        Assert.Equal(401, (await _stage.LogInAsync("guess@example.test", from: "2001:db8:0:8::9")).Status);
    }

    [Fact]
    public async Task Managers_see_no_attempts_that_meant_another_tenant_nor_those_before_the_member_joined()
    {
        var ada = await _stage.PersonAsync();
        await _stage.LogInAsync(ada.Email, "wrong password 123");
        var other = await _stage.Api.Platform.ProvisionAsync("Other");
        var joined = (await _stage.Api.PostAsync("/api/v1/members", new { email = ada.Email }, other.ApiKey)).Json.GetProperty("id").GetGuid();
        Assert.Equal("choose_tenant", (await _stage.LogInAsync(ada.Email)).Json.GetProperty("status").GetString());
        Assert.Equal(401, (await _stage.LogInAsync(ada.Email, tenant: "somewhere-else")).Status);
        await _stage.Api.PostAsync($"/api/v1/members/{joined}/suspend", new { reason = "left" }, other.ApiKey);
        Assert.Equal(401, (await _stage.LogInAsync(ada.Email, tenant: other.TenantId.ToString())).Status);

        Assert.Equal(["wrong_password"], (await _stage.AttemptsAsync()).Select(a => a.GetProperty("failure_reason").GetString()));
        var others = (await _stage.Api.GetAsync("/api/v1/auth/login-attempts", other.ApiKey)).Json.GetProperty("items").EnumerateArray();
        Assert.Equal(["no_tenant"], others.Select(a => a.GetProperty("failure_reason").GetString()));
    }

    [Fact]
    public async Task A_page_of_attempts_follows_the_one_before_whoever_they_are_of()
    {
        var (ada, bob) = (await _stage.PersonAsync(), await _stage.PersonAsync());
        for (var i = 0; i < 2; i++)
        {
            await _stage.LogInAsync(ada.Email);
            await _stage.LogInAsync(bob.Email, "wrong password 123");
        }

        var seen = new List<string?>();
        for (var (cursor, more) = ("", true); more;)
        {
            var page = (await _stage.Api.GetAsync($"/api/v1/auth/login-attempts?limit=1{cursor}")).Json;
            seen.AddRange(page.GetProperty("items").EnumerateArray().Select(a => a.GetProperty("email").GetString()));
            more = page.GetProperty("next_cursor").ValueKind == JsonValueKind.String;
            cursor = $"&cursor={page.GetProperty("next_cursor").GetString()}";
        }

        Assert.Equal([bob.Email, ada.Email, bob.Email, ada.Email], seen);
    }

    private static string Access(JsonElement session) => session.GetProperty("access_token").GetString()!;
}
