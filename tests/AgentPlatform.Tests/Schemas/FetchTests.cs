using System.Text.Json;
using AgentPlatform.Kernel;
using AgentPlatform.Schemas;
using AgentPlatform.Tests.Sandbox;

namespace AgentPlatform.Tests.Schemas;

public sealed class FetchTests : IAsyncLifetime
{
    private Stage _stage = null!;

    public async Task InitializeAsync() => _stage = await Stage.StartAsync();

    public async Task DisposeAsync() => await _stage.DisposeAsync();

    [Fact]
    [Behaviour("brain-schema-fetch")]
    public async Task A_fetch_calls_the_endpoint_for_this_contact_and_reads_each_key_at_its_path()
    {
        _stage.Knows("ada@example.com", "+14155550100", "Countess");
        await _stage.DefineAsync(_stage.Profile with { ApiHeaders = new() { ["X-Channel"] = "{{channel}}" } });

        var state = (await _stage.ReadAsync()).Value;

        var question = Assert.Single(_stage.Directory.Questions);
        Assert.Equal(("GET", "/people/C-7", "web", ""), (question.Method, question.Path, question.Headers["X-Channel"], question.Body));
        Assert.Equal(["ada@example.com", "+14155550100", "Countess"], new[] { "email", "phone", "nickname" }.Select(key => state.Keys.GetProperty(key).GetProperty("value").GetString()));
        Assert.Equal((_stage.SessionId, _stage.Talk.ContactId, "complete"), (state.SessionId, state.ContactId, state.SchemaStatus));
    }

    [Fact]
    [Behaviour("brain-schema-fetch")]
    public async Task A_method_of_the_schema_is_used_and_a_call_ends_with_its_time()
    {
        Assert.Equal(10, (await _stage.DefineAsync(_stage.Profile with { SchemaId = "defaults" })).ApiTimeoutSeconds);
        await _stage.DefineAsync(_stage.Profile with { ApiMethod = "POST", ApiTimeoutSeconds = 1 });
        _stage.Directory.Hangs();

        var refused = await _stage.ReadAsync();

        Assert.Equal(("schema_unavailable", 502, "timeout: No answer within 1 s."), (refused.Problem?.Code, refused.Problem?.Status, refused.Problem?.Detail));
        var question = Assert.Single(_stage.Directory.Questions);
        Assert.Equal(("POST", "C-7"), (question.Method, JsonSerializer.Deserialize<JsonElement>(question.Body).GetProperty("contact").GetProperty("external_id").GetString()));
    }

    [Theory]
    [Behaviour("brain-schema-auth-bearer")]
    [InlineData("Authorization", $"Bearer {FakeDirectory.Token}")]
    [InlineData("X-Directory-Key", FakeDirectory.Token)]
    public async Task The_token_goes_out_in_the_named_header_and_stays_nowhere_in_plain_text(string header, string sent)
    {
        _stage.Directory.TokenHeader = header;
        var profile = _stage.Profile with { ApiAuth = new(SchemaAuth.Bearer, SchemaAuth.Sealed, header) };
        var defined = await _stage.DefineAsync(profile);
        Assert.True((await _stage.ReadAsync()).IsOk);
        Assert.Equal(sent, Assert.Single(_stage.Directory.Questions).Headers[header]);

        // A mistake in the directory that would write the token into a key.
        _stage.Directory.Next(200, $$$"""{"data":{"nickname":"{{{FakeDirectory.Token}}}"}}""").Next(401, $$"""{"you_sent":"{{FakeDirectory.Token}}"}""");
        Assert.Contains("repeats the token", (await _stage.ReadAsync(force: true)).Value.ApiError, StringComparison.Ordinal);
        await _stage.ReadAsync(force: true);

        Assert.Equal("…oken", defined.TokenHint);
        Assert.DoesNotContain(FakeDirectory.Token, Json.Text(defined), StringComparison.Ordinal);
        Assert.Equal(0, await _stage.Talk.InAsync(tx => tx.SingleAsync<long>(
            """
            SELECT (SELECT count(*) FROM schemas.brand_schemas b WHERE b::text LIKE $1) + (SELECT count(*) FROM schemas.user_schema_state s WHERE s::text LIKE $1)
                 + (SELECT count(*) FROM events.events e WHERE e::text LIKE $1) + (SELECT count(*) FROM conversations.sessions c WHERE c::text LIKE $1)
            """, [$"%{FakeDirectory.Token}%"], default)));
    }

    [Fact]
    [Behaviour("brain-schema-cache-ttl", "brain-schema-session-upsert")]
    public async Task Within_its_time_to_live_a_read_asks_nobody_and_after_it_asks_again_into_the_same_row()
    {
        var schema = await _stage.DefineAsync(_stage.Profile);
        Assert.Equal((300, "on_demand"), (schema.CacheTtlSeconds, schema.RefreshStrategy));
        var first = (await _stage.ReadAsync()).Value;
        Assert.Equal(_stage.Clock.GetUtcNow().AddSeconds(300), first.CacheExpiresAt, TimeSpan.FromMilliseconds(100));

        _stage.Clock.Advance(TimeSpan.FromSeconds(299));
        _stage.Knows("grace@example.com", "+14155550101");
        Assert.Equal("ada@example.com", (await _stage.ReadAsync()).Value.Keys.GetProperty("email").GetProperty("value").GetString());
        Assert.Single(_stage.Directory.Questions);

        _stage.Clock.Advance(TimeSpan.FromSeconds(2));
        var second = (await _stage.ReadAsync()).Value;
        Assert.Equal("grace@example.com", second.Keys.GetProperty("email").GetProperty("value").GetString());
        Assert.Equal(2, _stage.Directory.Questions.Count);
        Assert.Equal(first.Id, second.Id);
        Assert.Equal(second.Id, Assert.Single(await _stage.RowsAsync()).Id);
    }

    [Fact]
    [Behaviour("brain-schema-stale-on-error")]
    public async Task While_the_api_fails_cached_keys_serve_until_they_are_too_old()
    {
        await _stage.DefineAsync(_stage.Profile);
        await _stage.ReadAsync();
        _stage.Directory.Next(503).Next(503).Next(503);

        _stage.Clock.Advance(TimeSpan.FromSeconds(599));
        var stale = (await _stage.ReadAsync()).Value;
        Assert.Equal((Freshness.Stale, "503", "api_error: The endpoint answered 503."), (stale.Freshness, stale.ApiResponseStatus, stale.ApiError));
        Assert.Equal("ada@example.com", stale.Keys.GetProperty("email").GetProperty("value").GetString());

        _stage.Clock.Advance(TimeSpan.FromSeconds(2));
        Assert.Equal("schema_unavailable", (await _stage.ReadAsync()).Problem?.Code);

        await _stage.ChangeAsync(_stage.Profile with { CacheOnError = false });
        Assert.True((await _stage.ReadAsync(force: true)).Problem is { Code: "schema_unavailable" });
        var recovered = (await _stage.ReadAsync()).Value;
        Assert.Equal((Freshness.Fresh, (string?)null), (recovered.Freshness, recovered.ApiError));
    }

    [Fact]
    [Behaviour("brain-schema-stale-on-error")]
    public async Task Without_cache_on_error_nothing_serves_when_the_api_fails()
    {
        await _stage.DefineAsync(_stage.Profile with { CacheOnError = false });
        await _stage.ReadAsync();
        _stage.Clock.Advance(TimeSpan.FromSeconds(301));
        _stage.Directory.Next(503);

        Assert.Equal("schema_unavailable", (await _stage.ReadAsync()).Problem?.Code);
        Assert.Equal(("503", null), Assert.Single((await _stage.RowsAsync()).Select(row => (row.ApiResponseStatus, row.StaleUntil))));
    }

    [Theory]
    [Behaviour("brain-schema-error-handling")]
    [InlineData("404", "empty", 404, "fresh none")]
    [InlineData("4xx", "empty", 410, "fresh none")]
    [InlineData("410", "fail", 410, "refused")]
    [InlineData("api_rejected", "fail", 403, "refused")]
    [InlineData("default", "fail", 500, "refused")]
    [InlineData("5xx", "use_cache", 500, "stale complete")]
    [InlineData("409", "fail", 410, "stale complete")]
    public async Task An_error_has_the_reaction_that_the_schema_gives_it(string name, string reaction, int status, string expected)
    {
        await _stage.DefineAsync(_stage.Profile with { ApiErrorHandling = new() { [name] = reaction } });
        await _stage.ReadAsync();
        _stage.Clock.Advance(TimeSpan.FromSeconds(301));
        _stage.Directory.Next(status);

        var read = await _stage.ReadAsync();

        Assert.Equal(expected, read.IsOk ? $"{read.Value.Freshness.ToString().ToLowerInvariant()} {read.Value.SchemaStatus}" : "refused");
        Assert.Equal(status.ToString(System.Globalization.CultureInfo.InvariantCulture), Assert.Single(await _stage.RowsAsync()).ApiResponseStatus);
    }

    [Fact]
    public async Task A_contact_whom_the_address_does_not_fit_is_not_asked_about()
    {
        await _stage.DefineAsync(_stage.Profile);
        await _stage.Talk.InAsync(tx => tx.ExecuteAsync("UPDATE contacts.customer_profiles SET external_id = NULL", [], default));

        var state = (await _stage.ReadAsync()).Value;

        Assert.Empty(_stage.Directory.Questions);
        Assert.Equal(("none", "not_identified", 0), (state.SchemaStatus, state.ApiResponseStatus, state.SchemaCompletionPercentage));
    }

    [Fact]
    [Behaviour("brain-schema-api-metrics")]
    public async Task Each_fetch_records_when_how_long_with_what_result_and_when_the_next_is_due()
    {
        await _stage.DefineAsync(_stage.Profile);
        _stage.Directory.Slow(() =>
        {
            _stage.Clock.Advance(TimeSpan.FromMilliseconds(250));
            return Task.CompletedTask;
        });
        var good = (await _stage.ReadAsync()).Value;
        Assert.Equal(("200", null), (good.ApiResponseStatus, good.ApiError));
        Assert.InRange(good.ApiResponseTimeMs, 250, 260);
        Assert.Equal(_stage.Clock.GetUtcNow(), good.LastFetchedAt, TimeSpan.FromMilliseconds(100));
        Assert.Equal(good.CacheExpiresAt, good.NextRefreshAt);

        _stage.Clock.Advance(TimeSpan.FromMinutes(6));
        _stage.Directory.Next(422);
        var bad = (await _stage.ReadAsync()).Value;
        Assert.Equal(("422", "api_rejected: The endpoint answered 422."), (bad.ApiResponseStatus, bad.ApiError));
        Assert.Equal(_stage.Clock.GetUtcNow(), bad.LastFetchedAt, TimeSpan.FromMilliseconds(100));
        Assert.Equal(bad.LastFetchedAt.AddMinutes(1), bad.NextRefreshAt);
        Assert.Equal(["schema.fetched", "schema.fetch_failed"], (await _stage.Talk.EventsAsync()).Where(e => e.StartsWith("schema.", StringComparison.Ordinal)));
    }

    [Fact]
    [Behaviour("brain-schema-version-recorded")]
    public async Task What_was_cached_under_another_version_does_not_count()
    {
        Assert.Equal("1.0", (await _stage.DefineAsync(_stage.Profile)).Version);
        Assert.Equal("1.0", (await _stage.ReadAsync()).Value.SchemaVersion);

        var renamed = await _stage.ChangeAsync(_stage.Profile with { SchemaName = "Person" });
        Assert.Equal("1.0", renamed.Version);
        await _stage.ReadAsync();
        Assert.Single(_stage.Directory.Questions);

        var changed = await _stage.ChangeAsync(_stage.Profile with { Keys = [.. _stage.Profile.Keys, new("city", "data.city")] });
        Assert.Equal("1.1", changed.Version);
        _stage.Directory.Next(503);
        Assert.Equal("schema_unavailable", (await _stage.ReadAsync()).Problem?.Code);
        Assert.Equal("1.1", (await _stage.ReadAsync()).Value.SchemaVersion);
        Assert.Equal(3, _stage.Directory.Questions.Count);
        Assert.Equal("2.0", (await _stage.ChangeAsync(_stage.Profile with { Version = "2.0" })).Version);
        Assert.Equal("2.0", (await _stage.ReadAsync()).Value.SchemaVersion);
    }

    [Fact]
    [Behaviour("brain-schema-inactive")]
    public async Task An_inactive_schema_is_not_fetched()
    {
        await _stage.DefineAsync(_stage.Profile with { IsActive = false });

        Assert.Equal("schema_inactive", (await _stage.ReadAsync(force: true)).Problem?.Code);
        Assert.Empty(_stage.Directory.Questions);
        Assert.Empty(await _stage.RowsAsync());
    }

    [Fact]
    public async Task No_connection_is_held_while_the_api_thinks_and_an_open_circuit_is_not_called()
    {
        await _stage.DefineAsync(_stage.Profile with { ApiErrorHandling = new() { ["default"] = "retry" } });
        var idle = -1L;
        _stage.Directory.Slow(async () => idle = await _stage.Talk.InAsync(tx => tx.SingleAsync<long>(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'", [], default)));
        await _stage.ReadAsync();
        Assert.Equal(0, idle);

        for (var i = 0; i < 5; i++)
        {
            _stage.Directory.Next(500);
            await _stage.ReadAsync(force: true);
        }

        var asked = _stage.Directory.Questions.Count;
        var left = (await _stage.ReadAsync(force: true)).Value;
        Assert.Equal(asked, _stage.Directory.Questions.Count);
        Assert.Equal((Freshness.Stale, "circuit_open"), (left.Freshness, left.ApiResponseStatus));
    }
}
