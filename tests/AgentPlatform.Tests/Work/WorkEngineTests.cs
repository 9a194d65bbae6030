using AgentPlatform.Postgres;
using AgentPlatform.Work;
using AgentPlatform.Work.Operate;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Npgsql;

namespace AgentPlatform.Tests.Work;

public class WorkEngineTests : IAsyncLifetime
{
    private readonly Recorder _recorder = new();
    private TestPlatform _platform = null!;
    private Actor _tenant = null!;

    public async Task InitializeAsync()
    {
        _platform = await StartAsync(services => services
            .AddSingleton(_recorder)
            .AddWorkHandler<RecordingHandler>("test.record", kind => kind.MaxAttempts = 3));
        _tenant = await _platform.NewTenantAsync();
    }

    public virtual async Task DisposeAsync() => await _platform.DisposeAsync();

    [Fact]
    public async Task Work_enqueued_in_a_rolled_back_transaction_never_runs()
    {
        await using (var tx = _platform.Database.Begin(_tenant))
        {
            _platform.Get<WorkQueue>().Enqueue(tx, new NewWork("test.record", "a", new { }));
            await tx.ExecuteAsync("SELECT 1", [], default);
        }

        Assert.Equal(0, await _platform.DrainAsync());
    }

    [Fact]
    public async Task The_same_key_is_enqueued_once()
    {
        await EnqueueAsync("a");
        await EnqueueAsync("a");
        Assert.Equal(1, await _platform.DrainAsync());
        await EnqueueAsync("a");
        Assert.Equal(0, await _platform.DrainAsync());
    }

    [Fact]
    public async Task A_failing_item_is_retried_with_backoff_and_dies_after_its_last_attempt()
    {
        _recorder.Next = (_, _) => throw new InvalidOperationException("boom");
        await EnqueueAsync("a");
        for (var attempt = 1; attempt <= 3; attempt++)
        {
            await _platform.DrainAsync();
            Assert.Equal(attempt, _recorder.Runs.Count);
            await MakeDueAsync();
        }

        Assert.Equal("dead|3|InvalidOperationException: boom", await StateAsync("a"));
        Assert.Equal(["a: InvalidOperationException: boom"], _recorder.Deaths);
        Assert.Equal(0, await _platform.DrainAsync());
    }

    [Fact]
    public async Task A_retry_is_not_early()
    {
        _recorder.Next = (_, _) => Task.FromResult<WorkOutcome>(new WorkOutcome.Retry("later", TimeSpan.FromHours(1)));
        await EnqueueAsync("a");
        await _platform.DrainAsync();
        Assert.Equal(0, await _platform.DrainAsync());
        Assert.Equal("ready|1|later", await StateAsync("a"));
    }

    [Fact]
    public async Task A_database_that_went_away_is_not_an_attempt()
    {
        _recorder.Next = (_, _) => throw new NpgsqlException("Exception while reading from stream", new EndOfStreamException());
        await EnqueueAsync("a");
        await _platform.DrainAsync();
        Assert.Equal("ready|0|", await StateAsync("a"));
    }

    [Fact]
    public async Task A_snooze_is_not_an_attempt()
    {
        _recorder.Next = (_, _) => Task.FromResult<WorkOutcome>(new WorkOutcome.Snooze(TimeSpan.FromHours(1)));
        await EnqueueAsync("a");
        await _platform.DrainAsync();
        Assert.Equal("ready|0|", await StateAsync("a"));
    }

    [Fact]
    public async Task Items_of_one_serial_key_run_alone_and_in_order_while_others_overlap()
    {
        var overlap = 0;
        var running = 0;
        _recorder.Next = async (item, ct) =>
        {
            if (item.Key.StartsWith('s'))
            {
                overlap = Math.Max(overlap, Interlocked.Increment(ref running));
                await Task.Yield();
                Interlocked.Decrement(ref running);
            }

            return new WorkOutcome.Done();
        };
        for (var i = 0; i < 20; i++)
        {
            await EnqueueAsync($"s{i:00}", "conversation:1");
            await EnqueueAsync($"p{i:00}");
        }

        Assert.Equal(40, await _platform.DrainAsync());
        Assert.Equal(1, overlap);
        var serial = _recorder.Runs.Where(k => k.StartsWith('s')).ToList();
        Assert.Equal(serial.Order(StringComparer.Ordinal), serial);
    }

    [Fact]
    public async Task A_waiting_retry_holds_back_what_follows_it_in_its_serial_key()
    {
        _recorder.Next = (item, _) => Task.FromResult<WorkOutcome>(item.Key == "1" ? new WorkOutcome.Retry("no", TimeSpan.FromHours(1)) : new WorkOutcome.Done());
        await EnqueueAsync("1", "k");
        await EnqueueAsync("2", "k");
        Assert.Equal(1, await _platform.DrainAsync());
        Assert.Equal(["1"], _recorder.Runs);
    }

    [Fact]
    public async Task An_expired_lease_is_taken_over_as_an_interruption_and_the_old_claim_cannot_complete()
    {
        var leases = _platform.Get<WorkLeases>();
        await EnqueueAsync("a");
        var first = Assert.Single(await leases.CompleteAndClaimAsync([], 10, default));
        Assert.Empty(await leases.CompleteAndClaimAsync([], 10, default));
        await _platform.Postgres.LoseWorkersAsync();

        var second = Assert.Single(await leases.CompleteAndClaimAsync([], 10, default));
        Assert.Equal((1, 1, first.Fence + 1), (second.Attempt, second.Interruptions, second.Fence));

        await using var tx = _platform.Database.Begin(_tenant);
        first.Settle(tx, new WorkOutcome.Done());
        Assert.True(LeaseLostException.Means(await Assert.ThrowsAsync<PostgresException>(() => tx.CommitAsync(default))));
        await leases.CompleteAndClaimAsync([Settlement.Of(first, new WorkOutcome.Done())], 0, default);
        Assert.Equal("running|1|", await StateAsync("a"));
        await leases.CompleteAndClaimAsync([Settlement.Of(second, new WorkOutcome.Done())], 0, default);
        Assert.Equal("done|1|", await StateAsync("a"));
    }

    [Fact]
    public async Task Renewal_keeps_what_runs_in_this_process_and_lets_the_rest_run_out()
    {
        var leases = _platform.Get<WorkLeases>();
        await EnqueueAsync("a");
        var item = Assert.Single(await leases.CompleteAndClaimAsync([], 10, default));
        await _platform.Postgres.LoseWorkersAsync();
        Assert.Empty(await leases.RenewAsync([], default));
        Assert.Equal([item.Id], await leases.RenewAsync([item], default));
        Assert.Empty(await leases.CompleteAndClaimAsync([], 10, default));
        await _platform.Postgres.LoseWorkersAsync();
        await leases.RenewAsync([], default);
        Assert.Equal([item.Id], (await leases.CompleteAndClaimAsync([], 10, default)).Select(i => i.Id));
    }

    [Fact]
    public async Task The_business_change_and_the_completion_commit_together_or_not_at_all()
    {
        _recorder.Next = async (item, ct) =>
        {
            await using var tx = _platform.Database.Begin(_tenant);
            _platform.Get<WorkQueue>().Enqueue(tx, new NewWork("test.record", "effect", new { }) { RunAt = DateTimeOffset.MaxValue });
            item.Settle(tx, new WorkOutcome.Done());
            if (item.Attempt == 1)
            {
                throw new InvalidOperationException("crash before the commit");
            }

            await tx.CommitAsync(ct);
            return WorkOutcome.Settled;
        };
        await EnqueueAsync("a");
        await _platform.DrainAsync();
        Assert.Equal(1L, await _platform.Postgres.ScalarAsync<long>("SELECT count(*) FROM work.items"));
        await MakeDueAsync();
        await _platform.DrainAsync();
        Assert.Equal("done|2|InvalidOperationException: crash before the commit", await StateAsync("a"));
        Assert.Equal("ready|0|", await StateAsync("effect"));
    }

    [Fact]
    public async Task A_cancelled_item_never_runs_and_a_finished_one_cannot_be_cancelled()
    {
        var queue = _platform.Get<WorkQueue>();
        await EnqueueAsync("a");
        Assert.True(await _platform.AsAsync(_tenant, tx => queue.CancelAsync(tx, "test.record", "a", "not wanted", default)));
        Assert.Equal(0, await _platform.DrainAsync());
        Assert.False(await _platform.AsAsync(_tenant, tx => queue.CancelAsync(tx, "test.record", "a", "not wanted", default)));
    }

    [Fact]
    public async Task Two_processes_share_the_items_and_run_each_once()
    {
        var other = new WorkLeases(_platform.Database, _platform.Get<WorkKinds>(), _platform.Get<WorkMetrics>(), _platform.Get<VacuumAlarm>(), Options.Create(new WorkOptions()), TimeProvider.System);
        for (var i = 0; i < 50; i++)
        {
            await EnqueueAsync($"{i}");
        }

        // A claim may find that another under way has what it wanted; what is left is the next one's.
        var ids = new List<long>();
        for (var round = 0; round < 5 && ids.Count < 50; round++)
        {
            var claims = await Task.WhenAll(Enumerable.Range(0, 10).Select(i => (i % 2 == 0 ? _platform.Get<WorkLeases>() : other).CompleteAndClaimAsync([], 20, default)));
            ids.AddRange(claims.SelectMany(c => c).Select(i => i.Id));
        }

        Assert.Equal(50, ids.Count);
        Assert.Equal(50, ids.Distinct().Count());
    }

    [Fact]
    public async Task Finished_items_are_forgotten_after_their_retention_and_dead_ones_are_kept()
    {
        _recorder.Next = (item, _) => Task.FromResult<WorkOutcome>(item.Key == "dead" ? new WorkOutcome.Dead("no") : new WorkOutcome.Done());
        await EnqueueAsync("done");
        await EnqueueAsync("dead");
        await EnqueueAsync("recent");
        await _platform.DrainAsync();
        await _platform.Postgres.ScalarAsync<long>("WITH u AS (UPDATE work.items SET finished_at = now() - interval '8 days' WHERE key <> 'recent' RETURNING 1) SELECT count(*) FROM u");
        Assert.Equal(1, await _platform.Get<WorkRetention>().PruneAsync(default));
        Assert.Equal(2L, await _platform.Postgres.ScalarAsync<long>("SELECT count(*) FROM work.items"));
    }

    private protected virtual Task<TestPlatform> StartAsync(Action<IServiceCollection> configure) => TestPlatform.StartAsync(configure);

    private Task EnqueueAsync(string key, string? serialKey = null) =>
        _platform.AsAsync(_tenant, tx =>
        {
            _platform.Get<WorkQueue>().Enqueue(tx, new NewWork("test.record", key, new { key }) { SerialKey = serialKey });
            return Task.CompletedTask;
        });

    private Task MakeDueAsync() => _platform.Postgres.ScalarAsync<long>("WITH u AS (UPDATE work.items SET run_at = now() WHERE run_at < 'infinity' RETURNING 1) SELECT count(*) FROM u");

    private Task<string> StateAsync(string key) =>
        _platform.Postgres.ScalarAsync<string>("SELECT state || '|' || attempts || '|' || coalesce(last_error, '') FROM work.items WHERE key = $1", key);

    internal sealed class Recorder
    {
        internal Func<WorkItem, CancellationToken, Task<WorkOutcome>> Next { get; set; } = (_, _) => Task.FromResult<WorkOutcome>(new WorkOutcome.Done());

        internal System.Collections.Concurrent.ConcurrentQueue<string> Runs { get; } = new();

        internal System.Collections.Concurrent.ConcurrentQueue<string> Deaths { get; } = new();
    }

    internal sealed class RecordingHandler(Recorder recorder) : IWorkHandler
    {
        public Task<WorkOutcome> HandleAsync(WorkItem item, CancellationToken ct)
        {
            recorder.Runs.Enqueue(item.Key);
            return recorder.Next(item, ct);
        }

        public Task OnDeadAsync(WorkItem item, string error, Transaction tx, CancellationToken ct)
        {
            recorder.Deaths.Enqueue($"{item.Key}: {error}");
            return Task.CompletedTask;
        }
    }
}
