using System.Text.Json;
using AgentPlatform.Identity;

namespace AgentPlatform.Tests.Identity;

public sealed class LoginSessionTests : IAsyncLifetime
{
    private LoginStage _stage = null!;

    public async Task InitializeAsync() => _stage = await LoginStage.StartAsync();

    public async Task DisposeAsync() => await _stage.DisposeAsync();

    [Fact]
    [Behaviour("bb-session-expiry")]
    public async Task A_session_past_its_end_is_refused_however_fresh_its_tokens_are_and_purged()
    {
        var ada = await _stage.PersonAsync();
        var session = await _stage.SessionAsync(ada.Email);
        Assert.Equal("timestamp with time zone", await _stage.Api.Platform.Postgres.ScalarAsync<string>(
            "SELECT data_type FROM information_schema.columns WHERE table_schema = 'identity' AND table_name = 'sessions' AND column_name = 'expires_at'"));
        await _stage.Api.Platform.Get<IdentityRetention>().PruneAsync(default);
        Assert.Equal(200, (await _stage.Api.GetAsync("/api/v1/agents", Access(session))).Status);

        await _stage.Api.Platform.Postgres.ScalarAsync<object>("UPDATE identity.sessions SET expires_at = now() - interval '1 s' WHERE id = $1 RETURNING 1::text", Id(session));

        Assert.Equal((401, "invalid_access_token"), await _stage.Api.GetAsync("/api/v1/agents", Access(session)) is var refused ? (refused.Status, refused.Code) : default);
        Assert.Equal(401, (await _stage.RefreshAsync(Refresh(session))).Status);
        await _stage.Api.Platform.Get<IdentityRetention>().PruneAsync(default);
        Assert.Equal(0L, await _stage.Api.Platform.Postgres.ScalarAsync<long>(
            "SELECT (SELECT count(*) FROM identity.sessions) + (SELECT count(*) FROM identity.refresh_tokens)"));
    }

    [Fact]
    [Behaviour("mk-session-store")]
    public async Task The_store_tells_ones_sessions_and_signing_out_or_the_end_of_the_access_makes_them_invalid()
    {
        var ada = await _stage.PersonAsync();
        var (desk, phone) = (await _stage.SessionAsync(ada.Email), await _stage.SessionAsync(ada.Email));
        var listed = (await _stage.Api.GetAsync("/api/v1/auth/sessions", Access(desk))).Json.GetProperty("items").EnumerateArray().ToList();
        Assert.Equal([Id(phone), Id(desk)], listed.Select(s => s.GetProperty("id").GetGuid()));
        Assert.Equal(("203.0.113.7", "browser/1.0", JsonValueKind.Null), (
            listed[0].GetProperty("ip_address").GetString(), listed[0].GetProperty("user_agent").GetString(), listed[0].GetProperty("ended_at").ValueKind));

        Assert.Equal(204, (await _stage.Api.PostAsync("/api/v1/auth/logout", null, Access(desk))).Status);

        Assert.Equal(401, (await _stage.Api.GetAsync("/api/v1/agents", Access(desk))).Status);
        Assert.Equal(401, (await _stage.RefreshAsync(Refresh(desk))).Status);
        Assert.Equal(200, (await _stage.Api.GetAsync("/api/v1/agents", Access(phone))).Status);
        _stage.Clock.By += TimeSpan.FromMinutes(16);
        Assert.Equal(401, (await _stage.Api.GetAsync("/api/v1/agents", Access(phone))).Status);
        Assert.Equal("no_session", (await _stage.Api.PostAsync("/api/v1/auth/logout", null)).Code);
    }

    [Fact]
    public async Task One_ends_ones_own_sessions_and_nobody_elses()
    {
        var (ada, bob) = (await _stage.PersonAsync("admin"), await _stage.PersonAsync());
        var (adas, bobs) = (await _stage.SessionAsync(ada.Email), await _stage.SessionAsync(bob.Email));

        Assert.Equal((404, "session_not_found"), await _stage.Api.SendAsync(HttpMethod.Delete, $"/api/v1/auth/sessions/{Id(bobs)}", key: Access(adas)) is var none ? (none.Status, none.Code) : default);
        Assert.Single((await _stage.Api.GetAsync("/api/v1/auth/sessions", Access(adas))).Json.GetProperty("items").EnumerateArray());
        Assert.Equal(204, (await _stage.Api.SendAsync(HttpMethod.Delete, $"/api/v1/auth/sessions/{Id(bobs)}", key: Access(bobs))).Status);

        Assert.Equal(401, (await _stage.Api.GetAsync("/api/v1/agents", Access(bobs))).Status);
        Assert.Equal(200, (await _stage.Api.GetAsync("/api/v1/agents", Access(adas))).Status);
    }

    [Fact]
    [Behaviour("mk-refresh-token-rotation")]
    public async Task A_refresh_token_serves_once_and_one_that_comes_back_ends_its_session()
    {
        var ada = await _stage.PersonAsync();
        var first = await _stage.SessionAsync(ada.Email);

        var second = (await _stage.RefreshAsync(Refresh(first))).Json;

        Assert.NotEqual((Access(first), Refresh(first)), (Access(second), Refresh(second)));
        Assert.Equal(401, (await _stage.Api.GetAsync("/api/v1/agents", Access(first))).Status);
        Assert.Equal(200, (await _stage.Api.GetAsync("/api/v1/agents", Access(second))).Status);
        Assert.Equal(1L, await _stage.Api.Platform.Postgres.ScalarAsync<long>("SELECT count(*) FROM identity.refresh_tokens WHERE used_at IS NULL"));

        Assert.Equal((401, "invalid_refresh_token"), await _stage.RefreshAsync(Refresh(first)) is var refused ? (refused.Status, refused.Code) : default);

        Assert.Equal(401, (await _stage.RefreshAsync(Refresh(second))).Status);
        Assert.Equal(401, (await _stage.Api.GetAsync("/api/v1/agents", Access(second))).Status);
        var threat = Assert.Single(await _stage.ThreatsAsync());
        Assert.Equal(("reused_refresh_token", Id(first)), (threat.GetProperty("event_type").GetString(), threat.GetProperty("resource_id").GetGuid()));
    }

    [Fact]
    [Behaviour("bb-user-suspension")]
    public async Task A_refresh_while_suspended_uses_up_no_token()
    {
        var ada = await _stage.PersonAsync();
        var session = await _stage.SessionAsync(ada.Email);
        await _stage.Api.PostAsync($"/api/v1/members/{ada.MemberId}/suspend", new { reason = "leave" });
        Assert.Equal(401, (await _stage.RefreshAsync(Refresh(session))).Status);

        await _stage.Api.PostAsync($"/api/v1/members/{ada.MemberId}/reinstate", null);

        Assert.Equal(200, (await _stage.RefreshAsync(Refresh(session))).Status);
        Assert.Empty(await _stage.ThreatsAsync());
    }

    [Fact]
    [Behaviour("mk-refresh-token-rotation")]
    public async Task Of_two_that_refresh_at_once_one_does()
    {
        var session = await _stage.SessionAsync((await _stage.PersonAsync()).Email);

        var answers = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => _stage.RefreshAsync(Refresh(session))));

        Assert.Equal([200, 401, 401, 401], answers.Select(a => a.Status).Order());
    }

    private static string Access(JsonElement session) => session.GetProperty("access_token").GetString()!;

    private static string Refresh(JsonElement session) => session.GetProperty("refresh_token").GetString()!;

    private static Guid Id(JsonElement session) => session.GetProperty("session_id").GetGuid();
}
