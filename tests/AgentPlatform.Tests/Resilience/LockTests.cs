using AgentPlatform.Postgres;
using AgentPlatform.Resilience;
using AgentPlatform.Tests.Api;

namespace AgentPlatform.Tests.Resilience;

public sealed class LockTests : IAsyncLifetime
{
    private TestApi _api = null!;

    public async Task InitializeAsync() => _api = await TestApi.StartAsync();

    public async Task DisposeAsync() => await _api.DisposeAsync();

    [Fact]
    [Behaviour("mk-distributed-lock")]
    public async Task A_lock_admits_one_holder_of_all_hosts_that_ask_at_once_and_others_when_it_is_released()
    {
        await using var other = _api.Platform.Twin();
        var asked = await Task.WhenAll(Enumerable.Range(0, 12).Select(i => AcquireAsync(i % 2 == 0 ? _api.Platform : other, "invoice", "17", $"host {i % 2}")));

        var held = Assert.Single(asked.OfType<HeldLock>());
        Assert.InRange(held.ExpiresAt - TimeProvider.System.GetUtcNow(), TimeSpan.FromSeconds(25), TimeSpan.FromSeconds(31));
        Assert.NotNull(await AcquireAsync(other, "invoice", "18"));
        Assert.NotNull(await AcquireAsync(other, "order", "17"));

        Assert.True(await ReleaseAsync(other, held.Id, held.Token));
        var next = await AcquireAsync(other, "invoice", "17");
        Assert.True(next!.Fence > held.Fence);
        Assert.NotEqual(held.Token, next.Token);
    }

    [Fact]
    [Behaviour("mk-distributed-lock")]
    public async Task Only_its_holder_can_renew_or_release_it_and_nobody_who_has_lost_it()
    {
        var held = (await AcquireAsync(_api.Platform, "invoice", "17"))!;
        Assert.False(await ReleaseAsync(_api.Platform, held.Id, Guid.Empty));
        Assert.Null(await RenewAsync(held.Id, Guid.Empty));
        Assert.True((await RenewAsync(held.Id, held.Token, TimeSpan.FromMinutes(5)))!.ExpiresAt > held.ExpiresAt);

        await ExpireAsync();
        Assert.Null(await RenewAsync(held.Id, held.Token));
        Assert.False(await ReleaseAsync(_api.Platform, held.Id, held.Token));
        var successor = (await AcquireAsync(_api.Platform, "invoice", "17"))!;

        // The former holder comes late, with what was once the proof.
        Assert.True(successor.Fence > held.Fence);
        Assert.False(await ReleaseAsync(_api.Platform, held.Id, held.Token));
        Assert.False(await ReleaseAsync(_api.Platform, successor.Id, held.Token));
        Assert.Null(await AcquireAsync(_api.Platform, "invoice", "17"));
    }

    [Fact]
    [Behaviour("mk-distributed-lock")]
    public async Task A_lock_whose_holder_died_is_free_after_thirty_seconds_and_not_before()
    {
        await AcquireAsync(_api.Platform, "invoice", "17");
        await _api.Platform.Postgres.ScalarAsync<long>("WITH u AS (UPDATE resilience.locks SET acquired_at = acquired_at - interval '29 seconds', expires_at = expires_at - interval '29 seconds' RETURNING 1) SELECT count(*) FROM u");
        Assert.Null(await AcquireAsync(_api.Platform, "invoice", "17"));

        await _api.Platform.Postgres.ScalarAsync<long>("WITH u AS (UPDATE resilience.locks SET acquired_at = acquired_at - interval '1 second', expires_at = expires_at - interval '1 second' RETURNING 1) SELECT count(*) FROM u");
        Assert.NotNull(await AcquireAsync(_api.Platform, "invoice", "17"));
    }

    [Fact]
    public async Task A_tenants_workers_take_locks_by_the_api_and_operators_see_and_break_them()
    {
        var taken = await _api.PostAsync("/api/v1/locks", new { resource_type = "crm", resource_id = "acct-1", holder = "exporter", ttl_seconds = 60 });
        Assert.Equal(201, taken.Status);
        var (id, token) = (taken.Json.GetProperty("id").GetGuid(), taken.Json.GetProperty("token").GetGuid());
        Assert.Equal((409, "lock_held"), Problem(await _api.PostAsync("/api/v1/locks", new { resource_type = "crm", resource_id = "acct-1" })));
        Assert.Equal(200, (await _api.PostAsync($"/api/v1/locks/{id}/renew", new { token, ttl_seconds = 120 })).Status);
        Assert.Equal((409, "lock_not_held"), Problem(await _api.PostAsync($"/api/v1/locks/{id}/release", new { token = Guid.Empty })));
        Assert.Equal((400, "validation_failed"), Problem(await _api.PostAsync("/api/v1/locks", new { resource_type = "circuit", resource_id = "x", ttl_seconds = 0 })));

        var one = await _api.GetAsync(taken.Header("Location")!);
        Assert.Equal((200, "exporter"), (one.Status, one.Json.GetProperty("holder").GetString()));
        Assert.DoesNotContain(token.ToString(), one.Body, StringComparison.Ordinal);

        var listed = await _api.GetAsync("/api/v1/locks?resource_type=crm");
        var shown = Assert.Single(listed.Json.GetProperty("items").EnumerateArray());
        Assert.Equal(("exporter", false), (shown.GetProperty("holder").GetString(), shown.GetProperty("expired").GetBoolean()));
        Assert.DoesNotContain(token.ToString(), listed.Body, StringComparison.Ordinal);

        // Another tenant's lock of the same name is another lock, and its operators see none of ours.
        var stranger = await _api.Platform.ProvisionAsync("Other");
        Assert.Equal(404, (await _api.SendAsync(HttpMethod.Delete, $"/api/v1/locks/{id}", key: stranger.ApiKey)).Status);
        Assert.Equal(404, (await _api.GetAsync($"/api/v1/locks/{id}", stranger.ApiKey)).Status);
        Assert.Equal(201, (await _api.PostAsync("/api/v1/locks", new { resource_type = "crm", resource_id = "acct-1" }, stranger.ApiKey)).Status);

        Assert.Equal(200, (await _api.SendAsync(HttpMethod.Delete, $"/api/v1/locks/{id}")).Status);
        Assert.Equal((409, "lock_not_held"), Problem(await _api.PostAsync($"/api/v1/locks/{id}/renew", new { token })));
        var again = await _api.PostAsync("/api/v1/locks", new { resource_type = "crm", resource_id = "acct-1" });
        Assert.Equal(204, (await _api.PostAsync($"/api/v1/locks/{again.Json.GetProperty("id").GetGuid()}/release", new { token = again.Json.GetProperty("token").GetGuid() })).Status);
        Assert.Empty((await _api.GetAsync("/api/v1/locks")).Json.GetProperty("items").EnumerateArray());
        Assert.Equal(1L, await _api.Platform.Postgres.ScalarAsync<long>("SELECT count(*) FROM events.events WHERE event_type = 'lock.force_released'"));
    }

    private Task<HeldLock?> AcquireAsync(TestPlatform platform, string type, string id, string holder = "test") =>
        platform.AsAsync(_api.Owner, tx => platform.Get<LockKeeper>().AcquireAsync(tx, type, id, holder, null, default));

    private Task<bool> ReleaseAsync(TestPlatform platform, Guid id, Guid token) =>
        platform.AsAsync(_api.Owner, tx => platform.Get<LockKeeper>().ReleaseAsync(tx, id, token, default));

    private Task<HeldLock?> RenewAsync(Guid id, Guid token, TimeSpan? ttl = null) =>
        _api.Platform.AsAsync(_api.Owner, tx => _api.Platform.Get<LockKeeper>().RenewAsync(tx, id, token, ttl, default));

    private Task<int> ExpireAsync() => _api.Platform.AsAsync(_api.Owner, tx => tx.ExecuteAsync(
        "UPDATE resilience.locks SET acquired_at = now() - interval '2 minutes', expires_at = now() - interval '1 second'", [], default));

    private static (int, string) Problem(ApiAnswer answer) => (answer.Status, answer.Status >= 400 ? answer.Code : answer.Body);
}
