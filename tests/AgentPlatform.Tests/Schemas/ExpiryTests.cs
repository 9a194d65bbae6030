namespace AgentPlatform.Tests.Schemas;

public sealed class ExpiryTests : IAsyncLifetime
{
    private Stage _stage = null!;

    public async Task InitializeAsync() => _stage = await Stage.StartAsync(Stage.Enrol);

    public async Task DisposeAsync() => await _stage.DisposeAsync();

    [Fact]
    [Behaviour("brain-schema-expiry-sweep")]
    public async Task Expired_caches_that_can_serve_nobody_are_removed_from_the_session_too()
    {
        await _stage.DefineAsync(_stage.Profile);
        await _stage.ReadAsync();
        Assert.True((await _stage.Talk.SessionAsync()).State.SchemaStates.ContainsKey("profile"));
        Assert.Equal((0, 0), await _stage.SweepAsync());

        // Past its time to live, but it would still serve if the directory failed.
        await _stage.ExpireAsync(TimeSpan.FromSeconds(400));
        Assert.Equal((0, 0), await _stage.SweepAsync());
        Assert.Single(await _stage.RowsAsync());

        await _stage.ExpireAsync(TimeSpan.FromSeconds(300));
        Assert.Equal((0, 1), await _stage.SweepAsync());
        Assert.Empty(await _stage.RowsAsync());
        Assert.Empty((await _stage.Talk.SessionAsync()).State.SchemaStates);
        Assert.Single(_stage.Directory.Questions);

        // The talk goes on with the session as it is now.
        await _stage.Talk.SayAsync("enrol in the course");
        Assert.Equal("You are enrolled.", (await _stage.SaidAsync())[^1]);
    }

    [Fact]
    [Behaviour("brain-schema-expiry-sweep")]
    public async Task Expired_caches_that_somebody_waits_for_are_refreshed_not_before_their_time()
    {
        _stage.Knows(null, null);
        await _stage.DefineAsync(_stage.Profile);
        await _stage.Talk.SayAsync("enrol in the course");
        await _stage.ExpireAsync(TimeSpan.FromHours(1));
        await _stage.Talk.InAsync(tx => tx.ExecuteAsync("UPDATE schemas.user_schema_state SET next_refresh_at = $1", [_stage.Clock.GetUtcNow().AddMinutes(1)], default));
        Assert.Equal((0, 0), await _stage.SweepAsync());

        _stage.Clock.Advance(TimeSpan.FromMinutes(1));
        Assert.Equal((1, 0), await _stage.SweepAsync());
        await _stage.SweepAsync();
        await _stage.Talk.Platform.DrainAsync();

        Assert.Equal(2, _stage.Directory.Questions.Count);
        Assert.True(Assert.Single(await _stage.RowsAsync()).CacheExpiresAt > _stage.Clock.GetUtcNow());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_request_that_waits_in_a_session_that_is_over_or_for_an_inactive_schema_asks_nobody(bool over)
    {
        _stage.Knows(null, null);
        await _stage.DefineAsync(_stage.Profile);
        await _stage.Talk.SayAsync("enrol in the course");
        await (over
            ? (Task)_stage.Talk.InAsync(tx => _stage.Talk.Platform.Get<AgentPlatform.Conversations.SessionStore>().EndAsync(tx, _stage.SessionId, "test", default))
            : _stage.Talk.InAsync(tx => tx.ExecuteAsync("UPDATE schemas.brand_schemas SET is_active = false", [], default)));
        await _stage.ExpireAsync(TimeSpan.FromHours(1));

        Assert.Equal(over ? (1, 0) : (0, 1), await _stage.SweepAsync());
        await _stage.Talk.Platform.DrainAsync();

        Assert.Empty(await _stage.RowsAsync());
        Assert.Equal((0, 0), await _stage.SweepAsync());
        Assert.Single(_stage.Directory.Questions);
    }

    [Fact]
    [Behaviour("brain-schema-expiry-sweep")]
    public async Task Expired_caches_are_found_by_their_index()
    {
        await using var tx = _stage.Talk.Platform.Database.BeginWorker();
        tx.Post("SET LOCAL enable_seqscan = off");
        tx.Post("SET LOCAL enable_sort = off");
        var plan = await tx.QueryAsync<string>(
            "EXPLAIN SELECT id FROM schemas.user_schema_state WHERE cache_expires_at <= now() AND (cache_expires_at, id) > ('epoch', '00000000-0000-0000-0000-000000000000') ORDER BY cache_expires_at, id LIMIT 500", [], default);
        Assert.Contains("idx_user_schema_state_cache_expires_at", string.Join('\n', plan), StringComparison.Ordinal);
    }
}
