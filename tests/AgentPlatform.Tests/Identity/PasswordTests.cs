using System.Text.Json;
using AgentPlatform.Contacts;
using AgentPlatform.Identity.Login;
using Npgsql;

namespace AgentPlatform.Tests.Identity;

public sealed class PasswordTests : IAsyncLifetime
{
    private const string Another = "staple battery horse";

    private LoginStage _stage = null!;

    public async Task InitializeAsync() => _stage = await LoginStage.StartAsync();

    public async Task DisposeAsync() => await _stage.DisposeAsync();

    [Fact]
    [Behaviour("bb-reset-token-single-use")]
    public async Task A_link_sets_the_password_once_and_only_its_hash_is_stored()
    {
        var ada = await _stage.PersonAsync();
        var token = await _stage.ResetTokenAsync(ada.Email);
        Assert.Equal(0L, await _stage.Api.Platform.Postgres.ScalarAsync<long>(
            """
            SELECT (SELECT count(*) FROM identity.password_reset_tokens t WHERE strpos(t::text, $1) > 0)
                 + (SELECT count(*) FROM work.items i WHERE strpos(i::text, $1) > 0) + (SELECT count(*) FROM events.events e WHERE strpos(e::text, $1) > 0)
            """, token));
        Assert.Equal(400, (await _stage.CompleteAsync(token, "too short")).Status);
        Assert.Equal(400, (await _stage.CompleteAsync(token, new string('é', 37))).Status);

        Assert.Equal(204, (await _stage.CompleteAsync(token, Another)).Status);

        Assert.Equal((401, 200), ((await _stage.LogInAsync(ada.Email)).Status, (await _stage.LogInAsync(ada.Email, Another)).Status));
        Assert.Equal(1L, await _stage.Api.Platform.Postgres.ScalarAsync<long>(
            "SELECT count(*) FROM identity.password_reset_tokens WHERE token_hash = encode(sha256(convert_to($1, 'UTF8')), 'hex') AND used_at IS NOT NULL", token));
        Assert.Equal((410, "reset_token_over"), await _stage.CompleteAsync(token, LoginStage.Password) is var used ? (used.Status, used.Code) : default);
        Assert.Equal((410, "reset_token_over"), await _stage.CompleteAsync(new string('0', 64), LoginStage.Password) is var unknown ? (unknown.Status, unknown.Code) : default);
        Assert.Equal(200, (await _stage.LogInAsync(ada.Email, Another)).Status);
    }

    [Fact]
    [Behaviour("bb-reset-token-single-use")]
    public async Task A_link_is_over_at_its_time_and_of_two_who_use_it_at_once_one_does()
    {
        var ada = await _stage.PersonAsync();
        var late = await _stage.ResetTokenAsync(ada.Email);
        _stage.Clock.By += TimeSpan.FromMinutes(30);
        Assert.Equal((410, "reset_token_over"), await _stage.CompleteAsync(late, Another) is var over ? (over.Status, over.Code) : default);

        var token = await _stage.ResetTokenAsync(ada.Email);
        var answers = await Task.WhenAll(Enumerable.Range(0, 3).Select(n => _stage.CompleteAsync(token, $"{Another} {n}")));

        Assert.Equal([204, 410, 410], answers.Select(a => a.Status).Order());
    }

    [Fact]
    [Behaviour("bb-reset-token-cascade")]
    public async Task Deleting_a_person_takes_the_reset_and_verification_tokens_along()
    {
        var (ada, bob) = (await _stage.PersonAsync(), await _stage.PersonAsync());
        await _stage.ResetTokenAsync(ada.Email);
        await _stage.ResetTokenAsync(bob.Email);
        // The person whose address a verification token proves is a contact.
        var contact = await _stage.Api.Platform.AsAsync(_stage.Api.Owner, tx => _stage.Api.Platform.Get<ContactDirectory>().GetOrCreateAsync(tx, new ChannelAddress("email", ada.Email), "Ada", default));
        await _stage.Api.Platform.Postgres.ScalarAsync<object>(
            """
            INSERT INTO contacts.email_verification_tokens (tenant_id, id, contact_id, conversation_id, email, token_hash, code_hash, expires_at, created_at)
            VALUES ($1, gen_random_uuid(), $2, gen_random_uuid(), $3, repeat('a', 64), repeat('b', 64), now() + interval '1 hour', now()) RETURNING 1::text
            """, _stage.Api.Tenant.TenantId, contact.Id, ada.Email);

        await _stage.Api.Platform.Postgres.ScalarAsync<object>("DELETE FROM identity.users WHERE id = $1 RETURNING 1::text", ada.UserId);
        await _stage.Api.Platform.Postgres.ScalarAsync<object>("DELETE FROM contacts.channel_identities WHERE profile_id = $1 RETURNING 1::text", contact.Id);
        await _stage.Api.Platform.Postgres.ScalarAsync<object>("DELETE FROM contacts.customer_profiles WHERE id = $1 RETURNING 1::text", contact.Id);

        Assert.Equal(0L, await _stage.Api.Platform.Postgres.ScalarAsync<long>("SELECT count(*) FROM identity.password_reset_tokens WHERE user_id = $1", ada.UserId));
        Assert.Equal(2L, await _stage.Api.Platform.Postgres.ScalarAsync<long>("SELECT count(*) FROM identity.password_reset_tokens WHERE user_id = $1", bob.UserId));
        Assert.Equal(0L, await _stage.Api.Platform.Postgres.ScalarAsync<long>("SELECT count(*) FROM contacts.email_verification_tokens"));
    }

    [Fact]
    [Behaviour("bb-reset-invalidates-sessions")]
    public async Task A_reset_ends_all_sessions_and_other_links_of_the_account_and_nobody_elses()
    {
        var (ada, bob) = (await _stage.PersonAsync(), await _stage.PersonAsync());
        var (session, bobs) = (await _stage.SessionAsync(ada.Email), await _stage.SessionAsync(bob.Email));
        var (first, second) = (await _stage.ResetTokenAsync(ada.Email), await _stage.ResetTokenAsync(ada.Email));

        Assert.Equal(204, (await _stage.CompleteAsync(second, Another)).Status);

        Assert.Equal(410, (await _stage.CompleteAsync(first, LoginStage.Password)).Status);
        Assert.Equal(401, (await _stage.Api.GetAsync("/api/v1/agents", Access(session))).Status);
        Assert.Equal(401, (await _stage.RefreshAsync(session.GetProperty("refresh_token").GetString()!)).Status);
        Assert.Equal(200, (await _stage.Api.GetAsync("/api/v1/agents", Access(bobs))).Status);
        var fresh = Access((await _stage.LogInAsync(ada.Email, Another)).Json.GetProperty("session"));
        Assert.Equal("password_reset", (await _stage.Api.GetAsync("/api/v1/auth/sessions", fresh)).Json.GetProperty("items")[1].GetProperty("end_reason").GetString());
        Assert.Equal(2, (await _stage.Api.GetAsync($"/api/v1/security-audit-log?action=password.reset&user_id={ada.UserId}")).Json.GetProperty("items").GetArrayLength());
    }

    [Fact]
    public async Task Who_asks_for_a_link_is_told_the_same_whoever_it_is_for_and_few_are_sent()
    {
        var ada = await _stage.PersonAsync();
        var before = _stage.Mails.Count();
        // Within a minute a link is asked for once: one begins here.
        _stage.Clock.By += TimeSpan.FromSeconds(65 - _stage.Clock.GetUtcNow().Second);

        var answers = new[] { await _stage.AskAsync(ada.Email.ToUpperInvariant()), await _stage.AskAsync(ada.Email), await _stage.AskAsync("nobody@example.test") };
        await _stage.Api.Platform.DrainAsync();

        Assert.All(answers, a => Assert.Equal((202, ""), (a.Status, a.Body)));
        Assert.Equal(before + 1, _stage.Mails.Count());
        for (var i = 0; i < 4; i++)
        {
            await _stage.ResetTokenAsync(ada.Email);
        }

        // The invitation's among them.
        Assert.Equal(PasswordLinks.MostAnHour, _stage.Mails.Count(m => m.To == ada.Email));
        Assert.Equal(400, (await _stage.AskAsync("nobody")).Status);
    }

    [Fact]
    public async Task Changing_it_takes_the_one_before_and_ends_the_other_sessions()
    {
        var ada = await _stage.PersonAsync("viewer");
        var (here, there) = (await _stage.SessionAsync(ada.Email), await _stage.SessionAsync(ada.Email));
        var link = await _stage.ResetTokenAsync(ada.Email);
        Task<Api.ApiAnswer> ChangeAsync(string current, string? key = null) =>
            _stage.Api.PostAsync("/api/v1/auth/password", new { current_password = current, new_password = Another }, key ?? Access(here));

        Assert.Equal(400, (await ChangeAsync("wrong password 123")).Status);
        Assert.Equal((409, "password_not_set"), await ChangeAsync("anything at all", _stage.Api.Tenant.ApiKey) is var none ? (none.Status, none.Code) : default);
        Assert.Equal(204, (await ChangeAsync(LoginStage.Password)).Status);

        Assert.Equal(200, (await _stage.Api.GetAsync("/api/v1/agents", Access(here))).Status);
        Assert.Equal(401, (await _stage.Api.GetAsync("/api/v1/agents", Access(there))).Status);
        Assert.Equal(410, (await _stage.CompleteAsync(link, LoginStage.Password)).Status);
        Assert.Equal(200, (await _stage.LogInAsync(ada.Email, Another)).Status);
    }

    [Fact]
    [Behaviour("bb-login-lockout")]
    public async Task Guessing_the_password_where_it_is_changed_is_guessing_at_the_sign_in()
    {
        var ada = await _stage.PersonAsync();
        var session = Access(await _stage.SessionAsync(ada.Email));
        Task<Api.ApiAnswer> ChangeAsync(string current) => _stage.Api.PostAsync("/api/v1/auth/password", new { current_password = current, new_password = Another }, session);
        for (var i = 0; i < 5; i++)
        {
            // Not more often than the endpoint may be asked.
            _stage.Clock.By += TimeSpan.FromMinutes(1);
            Assert.Equal(400, (await ChangeAsync($"wrong password {i}")).Status);
        }

        _stage.Clock.By += TimeSpan.FromMinutes(1);
        Assert.Equal((429, "login_blocked"), await ChangeAsync(LoginStage.Password) is var blocked ? (blocked.Status, blocked.Code) : default);
        Assert.Equal((429, "login_blocked"), await _stage.LogInAsync(ada.Email) is var out_ ? (out_.Status, out_.Code) : default);
        Assert.Equal(5, (await _stage.AttemptsAsync($"?email={ada.Email}&success=false")).Count(a => a.GetProperty("failure_reason").GetString() == "wrong_password"));
    }

    [Fact]
    public async Task A_mail_that_did_not_leave_uses_up_no_link_and_is_tried_again_minutes_later()
    {
        var ada = await _stage.PersonAsync(password: null);
        var before = _stage.Mails.Count();
        _stage.Clock.By += TimeSpan.FromMinutes(1);
        await _stage.AskAsync(ada.Email);
        for (var i = 0; i < 4; i++)
        {
            _stage.RefuseMail();
            await _stage.Api.Platform.DrainAsync();
            Assert.Equal(1L, await _stage.Api.Platform.Postgres.ScalarAsync<long>("SELECT count(*) FROM identity.password_reset_tokens WHERE user_id = $1", ada.UserId));
            Assert.True(await _stage.Api.Platform.Postgres.ScalarAsync<bool>(
                $"""
                WITH due AS (UPDATE work.items SET run_at = now() WHERE kind = '{PasswordLinks.NoticeKind}' AND state = 'ready' RETURNING id)
                SELECT bool_and(run_at > now() + interval '{i + 0.5} minutes') FROM work.items WHERE id IN (SELECT id FROM due)
                """));
        }

        Assert.Equal(before, _stage.Mails.Count());
        await _stage.Api.Platform.DrainAsync();

        Assert.Equal(before + 1, _stage.Mails.Count());
        Assert.Equal(204, (await _stage.CompleteAsync(_stage.TokenFor(ada.Email), Another)).Status);
    }

    [Fact]
    public async Task A_password_that_is_right_is_right_also_when_another_sign_in_has_just_hashed_it_anew()
    {
        var ada = await _stage.PersonAsync();
        var database = _stage.Api.Platform.Postgres;
        await using var rehash = new NpgsqlConnection(database.AdminConnectionString);
        await rehash.OpenAsync();
        await using var transaction = await rehash.BeginTransactionAsync();
        await using var set = new NpgsqlCommand("UPDATE identity.credentials SET password_hash = $2 WHERE user_id = $1", rehash, transaction);
        set.Parameters.Add(new NpgsqlParameter { Value = ada.UserId });
        set.Parameters.Add(new NpgsqlParameter { Value = BCrypt.Net.BCrypt.HashPassword(LoginStage.Password, 11) });
        Assert.Equal(1, await set.ExecuteNonQueryAsync());

        var signingIn = _stage.LogInAsync(ada.Email);
        Assert.True(await database.SomebodyWaitsAsync());
        await transaction.CommitAsync();

        Assert.Equal((200, "signed_in"), await signingIn is var answer ? (answer.Status, answer.Json.GetProperty("status").GetString()) : default);
        Assert.True(Assert.Single(await _stage.AttemptsAsync($"?email={ada.Email}")).GetProperty("success").GetBoolean());
    }

    [Fact]
    public void A_cheaper_hash_that_does_not_match_costs_as_much_as_todays()
    {
        static double Work(int cost) => Math.Pow(2, cost);

        foreach (var paid in new[] { 4, 10, 11, 12 })
        {
            var hash = $"$2a${paid:00}${new string('a', 53)}";
            Assert.Equal(Work(12), Work(paid) + Passwords.CostsLeft(hash, 12).Sum(Work));
        }

        Assert.Empty(Passwords.CostsLeft(null, 12));
    }

    [Fact]
    public async Task A_password_that_is_changed_while_somebody_signs_in_with_it_opens_no_session()
    {
        var ada = await _stage.PersonAsync();
        var database = _stage.Api.Platform.Postgres;
        await using var change = new NpgsqlConnection(database.AdminConnectionString);
        await change.OpenAsync();
        await using var transaction = await change.BeginTransactionAsync();
        await using var set = new NpgsqlCommand(
            "UPDATE identity.credentials SET password_hash = overlay(password_hash placing 'AAAA' from 20) WHERE user_id = $1", change, transaction);
        set.Parameters.Add(new NpgsqlParameter { Value = ada.UserId });
        Assert.Equal(1, await set.ExecuteNonQueryAsync());

        var signingIn = _stage.LogInAsync(ada.Email);
        Assert.True(await database.SomebodyWaitsAsync());
        await transaction.CommitAsync();

        Assert.Equal((401, "invalid_credentials"), await signingIn is var refused ? (refused.Status, refused.Code) : default);
        Assert.Equal(0L, await database.ScalarAsync<long>("SELECT count(*) FROM identity.sessions WHERE user_id = $1", ada.UserId));
    }

    [Fact]
    public async Task An_invitation_is_for_who_has_no_password_yet()
    {
        var ada = await _stage.PersonAsync();
        var other = await _stage.Api.Platform.ProvisionAsync("Other");
        var before = _stage.Mails.Count();

        Assert.Equal(201, (await _stage.Api.PostAsync("/api/v1/members", new { email = ada.Email, invite = true }, other.ApiKey)).Status);
        _stage.Clock.By += TimeSpan.FromMinutes(1);
        await _stage.Api.Platform.DrainAsync();

        Assert.Equal(before, _stage.Mails.Count());
    }

    private static string Access(JsonElement session) => session.GetProperty("access_token").GetString()!;
}
