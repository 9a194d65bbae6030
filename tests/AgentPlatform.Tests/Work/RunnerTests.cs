using AgentPlatform.Work;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Npgsql;

namespace AgentPlatform.Tests.Work;

/// <summary>What a process has in hand: ends that cannot be written, items claimed ahead, and completions that ride on a commit.</summary>
public sealed class RunnerTests : IAsyncLifetime
{
    private WorkStage _stage = null!;

    public async Task InitializeAsync() => _stage = await WorkStage.StartAsync(services => services.AddWorkHandler<Settler>("test.settle").AddWorkHandler<Objector>("test.objects"));

    public async Task DisposeAsync() => await _stage.DisposeAsync();

    [Fact]
    public async Task What_ended_while_the_database_was_away_is_completed_with_the_next_round_trip()
    {
        _stage.Ends = _ =>
        {
            _stage.CutOffAsync().GetAwaiter().GetResult();
            return new WorkOutcome.Done();
        };
        await _stage.EnqueueAsync("a");
        await Assert.ThrowsAnyAsync<NpgsqlException>(_stage.Platform.DrainAsync);
        Assert.Equal("running|1|", await _stage.StateAsync("a"));

        await _stage.DrainWhenBackAsync();
        Assert.Equal("done|1|", await _stage.StateAsync("a"));
        Assert.Equal(["a"], _stage.Runs);
    }

    [Fact]
    public async Task A_drain_that_may_claim_no_more_leaves_what_still_runs_to_the_next()
    {
        using var gate = new ManualResetEventSlim();
        using var time = new CancellationTokenSource();
        _stage.Ends = item =>
        {
            Assert.True(item.Key != "long" || gate.Wait(TimeSpan.FromSeconds(60)));
            return new WorkOutcome.Done();
        };
        await _stage.EnqueueAsync("long");
        var first = _stage.Platform.Get<WorkRunner>().DrainAsync(time.Token);
        await Eventually.SeeAsync(() => _stage.StateAsync("long"), state => state == "running|1|");
        await time.CancelAsync();
        await _stage.EnqueueAsync("short");

        var second = _stage.Platform.DrainAsync();
        await first;
        await Eventually.SeeAsync(() => _stage.StateAsync("short"), state => state == "done|1|");
        Assert.False(second.IsCompleted);
        gate.Set();
        await second;

        Assert.Equal("done|1|", await _stage.StateAsync("long"));
        Assert.Equal(["long", "short"], _stage.Runs);
    }

    [Fact]
    public async Task A_drain_that_may_claim_no_more_and_has_no_successor_sees_its_own_to_their_end()
    {
        using var gate = new ManualResetEventSlim();
        using var time = new CancellationTokenSource();
        _stage.Ends = _ =>
        {
            Assert.True(gate.Wait(TimeSpan.FromSeconds(60)));
            return new WorkOutcome.Done();
        };
        await _stage.EnqueueAsync("long");
        var drain = _stage.Platform.Get<WorkRunner>().DrainAsync(time.Token);
        await Eventually.SeeAsync(() => _stage.StateAsync("long"), state => state == "running|1|");

        await time.CancelAsync();
        gate.Set();
        await drain;

        Assert.Equal("done|1|", await _stage.StateAsync("long"));
    }

    [Fact]
    public async Task A_renewal_that_fails_ends_neither_the_renewals_nor_the_drain()
    {
        await using var platform = _stage.Platform.Twin(services => services.AddSingleton(_stage).AddWorkHandler<Settler>("test.settle").AddWorkHandler<Objector>("test.objects"), ("Work:LeaseSeconds", "6"));
        await _stage.EnqueueAsync(new NewWork("test.objects", "lost", new { }));
        var draining = platform.DrainAsync();
        await Eventually.SeeAsync(() => _stage.StateAsync("lost"), state => state == "running|1|");
        await _stage.Platform.Postgres.ScalarAsync<long>("WITH l AS (UPDATE work.items SET owner = gen_random_uuid(), lease_until = now() + interval '1 hour' WHERE key = 'lost' RETURNING 1) SELECT count(*) FROM l");
        await draining;

        await _stage.EnqueueAsync(new NewWork("test.settle", "next", new { }));
        await platform.DrainAsync();
        Assert.Equal(["lost"], _stage.Runs);
    }

    [Fact]
    public async Task A_process_that_takes_over_from_itself_tells_its_two_claims_apart()
    {
        using var gate = new ManualResetEventSlim();
        _stage.Ends = item =>
        {
            Assert.True(item.Interruptions > 0 || gate.Wait(TimeSpan.FromSeconds(60)));
            return new WorkOutcome.Done();
        };
        var leases = _stage.Platform.Get<WorkLeases>();
        await _stage.EnqueueAsync("a");
        var first = Assert.Single(await leases.CompleteAndClaimAsync([], 1, default));
        await _stage.Platform.Postgres.LoseWorkersAsync();
        var second = Assert.Single(await leases.CompleteAndClaimAsync([], 1, default));
        var slots = new WorkSlots(_stage.Platform.Get<WorkExecutor>(), slots: 1, new Signal());

        slots.Run([first]);
        slots.Run([second]);
        Assert.Equal([1, 2], slots.Items.Select(i => i.Fence).Order());
        gate.Set();

        Assert.Equal(0, await Eventually.SeeAsync(() => Task.FromResult(slots.InHand), left => left == 0));
        Assert.Equal([1, 2], slots.TakeEnded().Items.Select(e => e.Fence).Order());
    }

    [Fact]
    public async Task A_claim_that_Postgres_lost_is_made_again_beside_the_run_that_had_begun()
    {
        using var gate = new ManualResetEventSlim();
        _stage.Ends = _ =>
        {
            Assert.True(gate.Wait(TimeSpan.FromSeconds(60)));
            return new WorkOutcome.Done();
        };
        var leases = _stage.Platform.Get<WorkLeases>();
        await _stage.EnqueueAsync("a");
        var lost = Assert.Single(await leases.CompleteAndClaimAsync([], 1, default));
        await _stage.ChangeAsync("UPDATE work.items SET state = 'ready', owner = NULL, lease_until = NULL, started_at = NULL, fence = 0, attempts = 0 WHERE key = 'a'");
        var again = Assert.Single(await leases.CompleteAndClaimAsync([], 1, default));
        Assert.Equal((lost.Id, lost.Fence), (again.Id, again.Fence));
        var slots = new WorkSlots(_stage.Platform.Get<WorkExecutor>(), slots: 1, new Signal());

        slots.Run([lost]);
        slots.Run([again]);
        gate.Set();

        Assert.Equal(0, await Eventually.SeeAsync(() => Task.FromResult(slots.InHand), left => left == 0));
        await leases.CompleteAndClaimAsync(slots.TakeEnded().Items, 0, default);
        Assert.Equal("done|1|", await _stage.StateAsync("a"));
    }

    [Fact]
    public async Task Completing_twice_because_only_the_answer_was_lost_changes_nothing()
    {
        var leases = _stage.Platform.Get<WorkLeases>();
        await _stage.EnqueueAsync("a");
        var item = Assert.Single(await leases.CompleteAndClaimAsync([], 1, default));
        var again = Settlement.Of(item, new WorkOutcome.Retry("no", TimeSpan.FromHours(1)));
        await leases.CompleteAndClaimAsync([again], 0, default);
        await _stage.ChangeAsync("UPDATE work.items SET run_at = 'infinity'");
        await leases.CompleteAndClaimAsync([again], 0, default);
        Assert.Equal("ready|1|no", await _stage.StateAsync("a"));
        Assert.True(await _stage.Platform.Postgres.ScalarAsync<bool>("SELECT run_at = 'infinity' FROM work.items WHERE key = 'a'"));
    }

    [Fact]
    public async Task A_completion_that_travels_with_the_commit_fails_it_when_the_lease_was_lost()
    {
        var leases = _stage.Platform.Get<WorkLeases>();
        await _stage.EnqueueAsync(new NewWork("test.settle", "a", new { }));
        var first = Assert.Single(await leases.CompleteAndClaimAsync([], 1, default));
        await _stage.Platform.Postgres.LoseWorkersAsync();
        Assert.Single(await leases.CompleteAndClaimAsync([], 1, default));

        var lost = await Assert.ThrowsAsync<PostgresException>(() => new Settler(_stage).HandleAsync(first, default));
        Assert.True(LeaseLostException.Means(lost));
        Assert.Equal(0L, await _stage.Platform.Postgres.ScalarAsync<long>("SELECT count(*) FROM work.items WHERE key = 'effect of a'"));
        Assert.Equal("running|1|", await _stage.StateAsync("a"));
    }

    [Fact]
    public async Task A_completion_that_travels_with_the_commit_commits_with_it()
    {
        await _stage.EnqueueAsync(new NewWork("test.settle", "a", new { }));
        await _stage.Platform.DrainAsync();
        Assert.Equal("done|1|", await _stage.StateAsync("a"));
        Assert.Equal("done|1|", await _stage.StateAsync("effect of a"));
    }

    [Fact]
    public async Task What_was_claimed_ahead_goes_back_untried_when_the_process_stops()
    {
        using var stop = new CancellationTokenSource();
        _stage.Ends = _ =>
        {
            stop.Cancel();
            return new WorkOutcome.Done();
        };
        await _stage.EnqueueAsync([.. Enumerable.Range(0, 500).Select(i => $"{i}")]);
        await _stage.Platform.Get<WorkRunner>().DrainAsync(stop.Token);
        const string Counts = "SELECT string_agg(state || ' ' || attempts, ', ' ORDER BY state) FROM (SELECT DISTINCT state, attempts FROM work.items WHERE kind = 'test.play') AS s";
        Assert.Equal("done 1, ready 0", await _stage.Platform.Postgres.ScalarAsync<string>(Counts));
        Assert.Equal((long)_stage.Runs.Count, await _stage.Platform.Postgres.ScalarAsync<long>("SELECT count(*) FROM work.items WHERE kind = 'test.play' AND state = 'done'"));
    }

    [Fact]
    public async Task Work_put_in_by_the_bulk_runs_once_for_each_key_and_in_its_order()
    {
        await _stage.Platform.AsAsync(_stage.Tenant, tx =>
        {
            var queue = _stage.Platform.Get<WorkQueue>();
            queue.EnqueueMany(tx, [.. Enumerable.Range(0, 30).Select(i => new NewWork("test.play", $"{i % 20:00}", new { text = "nul \0" }) { SerialKey = "k" })]);
            Assert.Throws<ArgumentException>(() => queue.EnqueueMany(tx, [new NewWork("test.play", "m", new { }) { MergeKey = "m" }]));
            return Task.CompletedTask;
        });
        await _stage.Platform.DrainAsync();
        Assert.Equal(Enumerable.Range(0, 20).Select(i => $"{i:00}"), _stage.Runs);
    }

    [Fact]
    public async Task Work_put_in_by_the_bulk_keeps_what_each_says_for_itself()
    {
        var later = new DateTimeOffset(2100, 1, 1, 0, 0, 0, TimeSpan.Zero);
        NewWork[] works =
        [
            new("test.play", "plain", new { }),
            new("test.other", "all", new { n = 1 }) { SerialKey = "s", Priority = 7, RunAt = later, MaxAttempts = 9, StartBy = later, ConcurrencyKey = "c" },
        ];
        await PutInManyAsync(works);
        await PutInManyAsync([works[0], works[1] with { Key = "new" }]);

        const string stored =
            """
            SELECT string_agg(concat_ws(' ', kind, key, serial_key, priority, extract(year FROM nullif(run_at, enqueued_at)), max_attempts, payload, extract(year FROM start_by), concurrency_key), '; ' ORDER BY id)
            FROM work.items WHERE kind IN ('test.play', 'test.other')
            """;
        Assert.Equal(
            """test.play plain 50 3 {}; test.other all s 7 2100 9 {"n": 1} 2100 c; test.other new s 7 2100 9 {"n": 1} 2100 c""",
            await _stage.Platform.Postgres.ScalarAsync<string>(stored));
    }

    [Fact]
    public async Task When_looks_have_become_dear_work_is_found_where_its_lane_was_left_and_what_was_passed_over_by_the_next_look()
    {
        _stage.Platform.Get<IOptions<WorkOptions>>().Value.LookAtLeastEverySeconds = 15;
        var other = await _stage.Platform.NewTenantAsync("Other");
        await PutInAsync("a", "now()");
        await _stage.Platform.DrainAsync();
        await DrainBehindALockAsync();

        await PutInAsync("b", "now()");
        await PutInAsync("passed over", "now() - interval '1 hour'");
        await PutInAsync("lost", "now() - interval '1 hour'", other.TenantId);
        await _stage.Platform.Postgres.LoseWorkersAsync("key = 'lost'");
        await _stage.Platform.DrainAsync();
        Assert.Equal(["a", "b", "lost"], _stage.Runs.Order(StringComparer.Ordinal));

        await Eventually.SeeAsync(
            async () =>
            {
                await _stage.Platform.DrainAsync();
                return _stage.Runs.Count;
            },
            runs => runs == 4);
        Assert.Equal("passed over", _stage.Runs.Last());
    }

    private Task PutInManyAsync(NewWork[] works) => _stage.Platform.AsAsync(_stage.Tenant, tx =>
    {
        _stage.Platform.Get<WorkQueue>().EnqueueMany(tx, works);
        return Task.CompletedTask;
    });

    [Fact]
    public async Task However_dear_looks_seem_work_that_nobody_told_of_waits_no_longer_than_the_setting_says()
    {
        _stage.Platform.Get<IOptions<WorkOptions>>().Value.LookAtLeastEverySeconds = 0.25;
        await DrainBehindALockAsync();

        await PutInAsync("told by nobody", "now() - interval '1 hour'");
        await _stage.Platform.DrainAsync();

        Assert.Equal(["told by nobody"], _stage.Runs);
    }

    /// <summary>As another host would that tells nobody.</summary>
    private Task<int> PutInAsync(string key, string runAt, Guid? tenant = null) => _stage.Platform.Postgres.ScalarAsync<int>(
        $$"""
        INSERT INTO work.items (tenant_id, kind, key, max_attempts, run_at, payload) VALUES ($1, 'test.play', $2, 3, {{runAt}}, '{"key": "{{key}}"}') RETURNING 1
        """, tenant ?? _stage.Tenant.TenantId, key);

    /// <summary>A drain whose look takes at least a second.</summary>
    private async Task DrainBehindALockAsync()
    {
        await using var locking = new NpgsqlConnection(_stage.Platform.Postgres.AdminConnectionString);
        await locking.OpenAsync();
        await using var transaction = await locking.BeginTransactionAsync();
        await using var locks = new NpgsqlCommand("LOCK TABLE work.items", locking, transaction);
        await locks.ExecuteNonQueryAsync();
        var draining = _stage.Platform.DrainAsync();
        Assert.True(await _stage.Platform.Postgres.SomebodyWaitsAsync());
        await using var holds = new NpgsqlCommand("SELECT pg_sleep(1)", locking, transaction);
        await holds.ExecuteNonQueryAsync();
        await transaction.CommitAsync();
        await draining;
    }

    /// <summary>Runs until its lease is lost, and fails whoever tells it.</summary>
    internal sealed class Objector(WorkStage stage) : IWorkHandler
    {
        public async Task<WorkOutcome> HandleAsync(WorkItem item, CancellationToken ct)
        {
            var lost = new TaskCompletionSource();
            await using var told = ct.Register(() =>
            {
                lost.SetResult();
                throw new InvalidOperationException("I object.");
            });
            await lost.Task.WaitAsync(TimeSpan.FromSeconds(60), TimeProvider.System, CancellationToken.None);
            stage.Runs.Enqueue(item.Key);
            return new WorkOutcome.Done();
        }
    }

    internal sealed class Settler(WorkStage stage) : IWorkHandler
    {
        public async Task<WorkOutcome> HandleAsync(WorkItem item, CancellationToken ct)
        {
            await using var tx = stage.Platform.Database.Begin(stage.Tenant);
            stage.Platform.Get<WorkQueue>().Enqueue(tx, new NewWork("test.play", $"effect of {item.Key}", new { }));
            item.Settle(tx, new WorkOutcome.Done());
            await tx.CommitAsync(ct);
            return WorkOutcome.Settled;
        }
    }
}
