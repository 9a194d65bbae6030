using AgentPlatform.Work;
using AgentPlatform.Work.Operate;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Tests.Work;

/// <summary>Deadlines, merging, limits and ageing: when work may start, and how much of it at a time.</summary>
public sealed class PolicyTests : IAsyncLifetime
{
    private WorkStage _stage = null!;

    public async Task InitializeAsync() => _stage = await WorkStage.StartAsync();

    public async Task DisposeAsync() => await _stage.DisposeAsync();

    [Fact]
    public async Task Work_that_has_not_started_by_its_deadline_is_cancelled_with_the_reason()
    {
        await _stage.EnqueueAsync(Play("late") with { StartBy = new DateTimeOffset(2026, 1, 2, 3, 4, 5, TimeSpan.Zero) }, Play("early") with { StartBy = DateTimeOffset.MaxValue });
        await _stage.Platform.DrainAsync();
        Assert.Equal("cancelled|0|Not started by 2026-01-02 03:04:05 UTC.", await _stage.StateAsync("late"));
        Assert.Equal(["early"], _stage.Runs);
    }

    [Fact]
    public async Task A_deadline_says_nothing_about_work_that_has_started()
    {
        _stage.Ends = item => item.Attempt == 1 ? new WorkOutcome.Retry("once more") : new WorkOutcome.Done();
        await _stage.EnqueueAsync(Play("a") with { StartBy = DateTimeOffset.MaxValue });
        await _stage.Platform.DrainAsync();
        await _stage.ChangeAsync("UPDATE work.items SET start_by = now() - interval '1 hour'");
        await _stage.DrainDueAsync();
        Assert.Equal("done|2|once more", await _stage.StateAsync("a"));
    }

    [Theory]
    [InlineData(OnWaiting.Keep, "1 at 1 h")]
    [InlineData(OnWaiting.Debounce, "2 at 2 h")]
    [InlineData(OnWaiting.Supersede, "2 at 1 h")]
    public async Task Work_that_waits_is_kept_debounced_or_superseded_by_work_of_its_merge_key(OnWaiting what, string becomes)
    {
        var now = TimeProvider.System.GetUtcNow();
        foreach (var n in new[] { 1, 2 })
        {
            await _stage.EnqueueAsync(new NewWork("test.play", $"{n}", new { n }) { MergeKey = "m", OnWaiting = what, RunAt = now.AddHours(n) });
        }

        Assert.Equal(becomes, await _stage.Platform.Postgres.ScalarAsync<string>(
            "SELECT string_agg((payload ->> 'n') || ' at ' || round(extract(epoch FROM run_at - now()) / 3600) || ' h', ', ') FROM work.items WHERE merge_key = 'm'"));
    }

    [Fact]
    public async Task Work_that_has_started_is_left_alone_and_the_new_work_waits_behind_it_through_a_retry()
    {
        _stage.Ends = item => item is { Key: "1", Attempt: 1 } ? new WorkOutcome.Retry("again") : new WorkOutcome.Done();
        await _stage.EnqueueAsync(Play("1") with { MergeKey = "m" });
        await _stage.Platform.DrainAsync();
        await _stage.EnqueueAsync(Play("2") with { MergeKey = "m", OnWaiting = OnWaiting.Supersede });
        await _stage.EnqueueAsync(Play("2") with { MergeKey = "m", OnWaiting = OnWaiting.Supersede });
        await _stage.DrainDueAsync();
        Assert.Equal(["1", "1", "2"], _stage.Runs.Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task A_full_queue_refuses_callers_who_can_be_told()
    {
        await LimitAsync(new { kind = "test.play", max_waiting = 2 });
        foreach (var (key, refused) in new[] { ("1", null), ("2", null), ("3", "queue_full") })
        {
            var answer = await _stage.Platform.AsAsync(_stage.Tenant, tx => _stage.Platform.Get<WorkQueue>().TryEnqueueAsync(tx, Play(key), default));
            Assert.Equal(refused, answer.Problem?.Code);
        }

        await _stage.Platform.DrainAsync();
        Assert.True((await _stage.Platform.AsAsync(_stage.Tenant, tx => _stage.Platform.Get<WorkQueue>().TryEnqueueAsync(tx, Play("4"), default))).IsOk);
    }

    [Fact]
    public async Task A_redrive_too_many_is_answered_with_queue_full()
    {
        _stage.Ends = _ => new WorkOutcome.Dead("no");
        await _stage.EnqueueAsync("a");
        await _stage.Platform.DrainAsync();
        await LimitAsync(new { kind = "work.redrive", max_waiting = 1 });
        Assert.Equal(202, (await _stage.Api.PostAsync("/api/v1/work/redrives", new { })).Status);
        var refused = await _stage.Api.PostAsync("/api/v1/work/redrives", new { });
        Assert.Equal((429, "queue_full", "10"), (refused.Status, refused.Code, refused.Header("Retry-After")));
    }

    [Theory]
    [InlineData(null, "provider")]
    [InlineData("test.play", null)]
    [InlineData("test.play", "provider")]
    public async Task No_more_than_the_limit_run_at_a_time_on_all_hosts_together(string? kind, string? key)
    {
        await LimitAsync(new { kind, concurrency_key = key, max_running = 2 });
        var limited = Enumerable.Range(0, 10).Select(i => Play($"{i}") with { ConcurrencyKey = "provider" });
        await _stage.EnqueueAsync([.. limited, new NewWork("test.other", "free", new { })]);
        var hosts = Enumerable.Range(0, 4).Select(_ => NewHost()).ToList();

        var claimed = (await Task.WhenAll(hosts.Select(h => h.CompleteAndClaimAsync([], 4, default)))).SelectMany(c => c).ToList();
        claimed.AddRange(await hosts[0].CompleteAndClaimAsync([], 10, default));
        Assert.Equal(["0", "1", "free"], claimed.Select(c => c.Key).Order(StringComparer.Ordinal));

        var next = await hosts[0].CompleteAndClaimAsync([Settlement.Of(claimed.Single(c => c.Key == "0"), new WorkOutcome.Done())], 10, default);
        Assert.Equal(["2"], next.Select(c => c.Key));
    }

    [Fact]
    public async Task No_more_starts_than_the_rate_lets_through_on_all_hosts_together()
    {
        var answer = await _stage.Api.PostAsync("/api/v1/work/limits", new { kind = "test.play", per_second = 0.001, burst = 3 });
        Assert.Equal(3, answer.Json.GetProperty("tokens").GetDouble());
        await _stage.EnqueueAsync([.. Enumerable.Range(0, 10).Select(i => Play($"{i}")), new NewWork("test.other", "free", new { })]);
        var hosts = Enumerable.Range(0, 4).Select(_ => NewHost()).ToList();

        var claimed = (await Task.WhenAll(hosts.Select(h => h.CompleteAndClaimAsync([], 4, default)))).SelectMany(c => c).ToList();
        claimed.AddRange(await hosts[0].CompleteAndClaimAsync([], 10, default));
        Assert.Equal(["0", "1", "2", "free"], claimed.Select(c => c.Key).Order(StringComparer.Ordinal));

        // What ends gives nothing back; what time passes does, and never more than the burst.
        Assert.Empty(await hosts[0].CompleteAndClaimAsync([.. claimed.Select(c => Settlement.Of(c, new WorkOutcome.Done()))], 10, default));
        await _stage.ChangeAsync("UPDATE work.tokens SET refilled_at = refilled_at - interval '1100 seconds'");
        Assert.Equal(["3"], (await hosts[1].CompleteAndClaimAsync([], 10, default)).Select(c => c.Key));
        await _stage.ChangeAsync("UPDATE work.tokens SET refilled_at = refilled_at - interval '1 day'");
        Assert.Equal(3, (await hosts[1].CompleteAndClaimAsync([], 10, default)).Count);
    }

    [Fact]
    public async Task A_drain_waits_for_the_next_token_and_does_all_work_at_its_rate()
    {
        await LimitAsync(new { concurrency_key = "provider", per_second = 50, burst = 1 });
        await _stage.EnqueueAsync([.. Enumerable.Range(0, 6).Select(i => Play($"{i}") with { ConcurrencyKey = "provider" })]);
        var started = TimeProvider.System.GetTimestamp();
        await _stage.Platform.DrainAsync();
        Assert.Equal(6, _stage.Runs.Count);
        Assert.True(TimeProvider.System.GetElapsedTime(started) >= TimeSpan.FromMilliseconds(95), "Five of them waited 20 ms each.");
    }

    [Theory]
    [InlineData("""{"per_second": 0}""")]
    [InlineData("""{"burst": 5, "max_running": 1}""")]
    [InlineData("""{"per_second": 1, "burst": 0}""")]
    public async Task A_rate_that_says_nothing_is_refused(string limit) =>
        Assert.Equal("validation_failed", (await _stage.Api.PostAsync("/api/v1/work/limits", System.Text.Json.JsonSerializer.Deserialize<System.Text.Json.JsonElement>(limit))).Code);

    [Fact]
    public async Task All_limited_work_is_done_in_the_end_and_a_lifted_limit_holds_nothing_back()
    {
        var limit = await LimitAsync(new { concurrency_key = "provider", max_running = 1 });
        await _stage.EnqueueAsync([.. Enumerable.Range(0, 40).Select(i => Play($"{i}") with { ConcurrencyKey = "provider" })]);
        await _stage.Platform.DrainAsync();
        Assert.Equal(40, _stage.Runs.Count);
        Assert.Single((await _stage.Api.GetAsync("/api/v1/work/limits")).Json.GetProperty("items").EnumerateArray());
        Assert.Equal(204, (await _stage.Api.SendAsync(HttpMethod.Delete, $"/api/v1/work/limits/{limit}")).Status);
        Assert.Equal("work_limit_not_found", (await _stage.Api.SendAsync(HttpMethod.Delete, $"/api/v1/work/limits/{limit}")).Code);
        Assert.Equal("validation_failed", (await _stage.Api.PostAsync("/api/v1/work/limits", new { kind = "test.play" })).Code);
    }

    [Theory]
    [InlineData(1, true)]
    [InlineData(5, false)]
    public async Task An_end_under_a_limit_looks_for_whom_the_limit_kept_waiting_and_only_when_it_was_reached(int maxRunning, bool looks)
    {
        await LimitAsync(new { kind = "test.play", max_running = maxRunning });
        await _stage.EnqueueAsync(Play("0"));
        var ending = Assert.Single(await NewHost().CompleteAndClaimAsync([], 1, default));
        await _stage.EnqueueAsync(Play("1"));
        var host = NewHost();

        var ends = new Ends([Settlement.Of(ending, new WorkOutcome.Done())], [ending.Claim!.Id]);
        await host.CompleteAndClaimAsync(ends, 1, new Look(false, false, false, [new Freed(ending.TenantId, null, InLimit: true)]), default);

        Assert.Equal(looks, host.Lanes.Any);
        Assert.Equal(looks ? ["1"] : [], (await host.CompleteAndClaimAsync(Ends.None, 1, Look.Nowhere, default)).Select(c => c.Key));
    }

    [Theory]
    [InlineData(99, "urgent,patient")]
    [InlineData(101, "patient,urgent")]
    public async Task The_least_urgent_overtakes_the_most_urgent_after_a_hundred_minutes_and_not_before(int minutes, string order)
    {
        await _stage.EnqueueAsync(
            Play("urgent") with { Priority = 0 },
            Play("patient") with { Priority = 100, RunAt = TimeProvider.System.GetUtcNow().AddMinutes(-minutes) });
        var leases = _stage.Platform.Get<WorkLeases>();
        var first = Assert.Single(await leases.CompleteAndClaimAsync([], 1, default));
        var second = Assert.Single(await leases.CompleteAndClaimAsync([], 1, default));
        Assert.Equal(order, $"{first.Key},{second.Key}");
    }

    [Fact]
    public async Task A_revived_item_and_a_crashed_later_one_of_its_serial_key_do_not_wait_for_each_other()
    {
        _stage.Ends = item => item.Key == "1" ? new WorkOutcome.Dead("no") : new WorkOutcome.Done();
        await _stage.EnqueueAsync(Play("1") with { SerialKey = "k" });
        await _stage.Platform.DrainAsync();
        await _stage.EnqueueAsync(Play("2") with { SerialKey = "k" });
        Assert.Single(await _stage.Platform.Get<WorkLeases>().CompleteAndClaimAsync([], 1, default));
        await _stage.ChangeAsync("UPDATE work.items SET state = 'ready', finished_at = NULL WHERE key = '1'");
        await _stage.Platform.Postgres.LoseWorkersAsync("key = '2'");
        _stage.Ends = _ => new WorkOutcome.Done();
        await _stage.Platform.DrainAsync();
        Assert.Equal(["1", "2", "1"], _stage.Runs);
    }

    [Fact]
    public async Task Two_claims_that_meet_in_one_serial_key_run_it_once_and_neither_fails()
    {
        await _stage.EnqueueAsync(Play("1") with { SerialKey = "k" }, Play("2") with { SerialKey = "k" }, Play("3"));
        var leases = _stage.Platform.Get<WorkLeases>();
        await using var other = _stage.Platform.Database.Begin(_stage.Tenant);
        await other.ExecuteAsync("UPDATE work.items SET state = 'running', owner = gen_random_uuid(), lease_until = now() + interval '1 hour' WHERE key = '2'", [], default);
        var claim = leases.CompleteAndClaimAsync([], 10, default);
        Assert.True(await _stage.Platform.Postgres.SomebodyWaitsAsync());
        await other.CommitAsync(default);
        Assert.Equal(["3"], (await claim).Select(c => c.Key));
    }

    private WorkLeases NewHost() =>
        new(_stage.Platform.Database, _stage.Platform.Get<WorkKinds>(), _stage.Platform.Get<WorkMetrics>(), _stage.Platform.Get<VacuumAlarm>(), Options.Create(new WorkOptions()), TimeProvider.System);

    private static NewWork Play(string key) => new("test.play", key, new { key });

    private async Task<Guid> LimitAsync(object limit)
    {
        var answer = await _stage.Api.PostAsync("/api/v1/work/limits", limit);
        Assert.Equal(200, answer.Status);
        return answer.Json.GetProperty("id").GetGuid();
    }
}
