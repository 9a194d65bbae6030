using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Work;
using AgentPlatform.Work.Operate;
using Npgsql;

namespace AgentPlatform.Tests.Work;

/// <summary>Claims change nothing that an index holds, and leases that ran out are found all the same: by the list of what was claimed together.</summary>
public sealed class ClaimsTests : IAsyncLifetime
{
    private WorkStage _stage = null!;

    public async Task InitializeAsync() => _stage = await WorkStage.StartAsync(services => services.AddWorkHandler<CutShort>("test.cut_short", kind => kind.MaxAttempts = 1)
        .AddWorkHandler<WorkStage.Player>("test.forgetful", kind => kind.ForgetDone = true));

    public async Task DisposeAsync() => await _stage.DisposeAsync();

    [Fact]
    public async Task No_index_of_the_queue_holds_what_a_claim_changes()
    {
        const string held =
            """
            SELECT coalesce(string_agg(DISTINCT i.relname || ' holds ' || a.attname, ', '), 'nothing')
            FROM pg_index AS x
            JOIN pg_class AS i ON i.oid = x.indexrelid
            JOIN pg_depend AS d ON d.classid = 'pg_class'::regclass AND d.objid = i.oid AND d.refobjid = x.indrelid
            JOIN pg_attribute AS a ON a.attrelid = x.indrelid AND a.attnum = d.refobjsubid
            WHERE x.indrelid = 'work.items'::regclass AND a.attname IN ('state', 'owner', 'lease_until', 'started_at', 'fence', 'attempts')
            """;
        Assert.Equal("nothing", await _stage.Platform.Postgres.ScalarAsync<string>(held));
    }

    [Fact]
    public async Task The_new_version_of_a_claimed_row_stands_beside_the_old_one()
    {
        await _stage.EnqueueAsync([.. Enumerable.Range(0, 200).Select(i => $"{i}")]);
        const string pages = "SELECT string_agg((ctid::text::point)[0]::text, ' ' ORDER BY id) FROM work.items WHERE kind = 'test.play'";
        var before = await _stage.Platform.Postgres.ScalarAsync<string>(pages);
        Assert.Equal(200, (await _stage.Platform.Get<WorkLeases>().CompleteAndClaimAsync([], 200, default)).Count);
        Assert.Equal(before, await _stage.Platform.Postgres.ScalarAsync<string>(pages));
    }

    [Fact]
    public async Task A_claim_is_forgotten_when_all_of_it_has_ended()
    {
        await _stage.EnqueueAsync("a", "b");
        var leases = _stage.Platform.Get<WorkLeases>();
        var items = await leases.CompleteAndClaimAsync([], 2, default);
        Assert.Equal("2", await ListAsync());
        var slots = new WorkSlots(_stage.Platform.Get<WorkExecutor>(), slots: 2, new Signal());

        slots.Run(items);
        await Eventually.SeeAsync(() => Task.FromResult(slots.InHand), left => left == 0);
        await leases.CompleteAndClaimAsync(slots.TakeEnded(), 0, Look.Nowhere, default);

        Assert.Equal(("none", "done|1|", "done|1|"), (await ListAsync(), await _stage.StateAsync("a"), await _stage.StateAsync("b")));
    }

    [Fact]
    public async Task A_claim_is_looked_at_for_as_long_as_something_of_it_runs()
    {
        var leases = _stage.Platform.Get<WorkLeases>();
        await _stage.EnqueueAsync("a", "b", "c");
        var claimed = (await leases.CompleteAndClaimAsync([], 3, default)).ToDictionary(i => i.Key);

        // One has ended, one is kept alive, the lease of one has run out.
        await leases.CompleteAndClaimAsync([Settlement.Of(claimed["a"], new WorkOutcome.Done())], 0, default);
        await PassAsync("UPDATE work.items SET lease_until = now() - interval '1 second' WHERE key = 'c'");
        var taken = Assert.Single(await leases.CompleteAndClaimAsync([], 3, default));
        Assert.Equal(("c", 1), (taken.Key, taken.Interruptions));
        Assert.Equal("3, 1", await ListAsync());

        // What was kept alive is found by its first claim when it is not any more.
        await PassAsync("UPDATE work.items SET lease_until = now() - interval '1 second' WHERE key = 'b'");
        Assert.Equal("b", Assert.Single(await leases.CompleteAndClaimAsync([], 3, default)).Key);
        await PassAsync("UPDATE work.items SET state = 'done', owner = NULL, lease_until = NULL, finished_at = now() WHERE state = 'running'");
        Assert.Empty(await leases.CompleteAndClaimAsync([], 3, default));
        Assert.Equal("none", await ListAsync());
    }

    [Fact]
    public async Task An_item_whose_end_could_not_be_written_is_found_by_its_claim()
    {
        await _stage.EnqueueAsync(new NewWork("test.cut_short", "a", new { }));
        await _stage.DrainWhenBackAsync();
        Assert.Equal("running|1|", await _stage.StateAsync("a"));
        // The next round trip forgets the claims of which all has ended; this is none.
        await _stage.Platform.DrainAsync();
        Assert.Equal("1", await ListAsync());

        await PassAsync("UPDATE work.items SET lease_until = now() - interval '1 second'");
        await _stage.Platform.DrainAsync();
        Assert.Equal("dead|1|Cut short.", await _stage.StateAsync("a"));
    }

    [Fact]
    public async Task What_runs_and_was_never_listed_is_listed_by_the_nightly_round()
    {
        await _stage.EnqueueAsync("a", "b");
        await PassAsync("UPDATE work.items SET state = 'running', owner = gen_random_uuid(), lease_until = now() - CASE key WHEN 'a' THEN interval '2 hours' ELSE interval '1 minute' END");
        await _stage.Platform.DrainAsync();
        Assert.Empty(_stage.Runs);

        await _stage.Platform.Get<WorkRetention>().PruneAsync(default);
        await _stage.Platform.DrainAsync();
        Assert.Equal(["a"], _stage.Runs);
    }

    [Fact]
    public async Task What_runs_when_a_limit_is_set_counts_in_it()
    {
        var leases = _stage.Platform.Get<WorkLeases>();
        await _stage.EnqueueAsync("a", "b", "c");
        var a = Assert.Single(await leases.CompleteAndClaimAsync([], 1, default));
        await _stage.Platform.Get<Limits>().SetAsync(_stage.Tenant, new NewLimit("test.play", null, 1, null, null), default);

        Assert.Empty(await leases.CompleteAndClaimAsync([], 3, default));
        await leases.CompleteAndClaimAsync([Settlement.Of(a, new WorkOutcome.Done())], 0, default);
        Assert.Equal("b", Assert.Single(await leases.CompleteAndClaimAsync([], 3, default)).Key);
    }

    [Fact]
    public async Task What_was_claimed_twice_counts_once_in_a_limit()
    {
        var leases = _stage.Platform.Get<WorkLeases>();
        await _stage.EnqueueAsync("a", "b", "c", "d");
        var a = (await leases.CompleteAndClaimAsync([], 2, default)).Single(i => i.Key == "a");
        await leases.CompleteAndClaimAsync([Settlement.Of(a, new WorkOutcome.Snooze(TimeSpan.FromDays(-1)))], 1, default);
        Assert.Equal(("2, 1", "running|1|"), (await ListAsync(), await _stage.StateAsync("a")));

        await _stage.Platform.Get<Limits>().SetAsync(_stage.Tenant, new NewLimit("test.play", null, 3, null, null), default);
        Assert.Equal("c", Assert.Single(await leases.CompleteAndClaimAsync([], 3, default)).Key);
    }

    [Fact]
    public async Task What_is_done_of_a_kind_that_forgets_leaves_no_row_and_what_is_not_done_does()
    {
        _stage.Ends = item => item.Key switch { "a" => new WorkOutcome.Done(), "b" => new WorkOutcome.Retry("later"), "c" => new WorkOutcome.Cancel("no"), _ => new WorkOutcome.Dead("no") };
        await _stage.EnqueueAsync([.. "abcd".Select(key => new NewWork("test.forgetful", $"{key}", new { }))]);
        await _stage.Platform.DrainAsync();

        Assert.Equal(["a", "b", "c", "d"], _stage.Runs.Order(StringComparer.Ordinal));
        Assert.Equal("b ready, c cancelled, d dead", await _stage.Platform.Postgres.ScalarAsync<string>(
            "SELECT string_agg(key || ' ' || state, ', ' ORDER BY key) FROM work.items WHERE kind = 'test.forgetful'"));
    }

    [Fact]
    public async Task What_is_forgotten_is_so_with_the_transaction_that_settles_it_and_only_for_who_holds_it()
    {
        var leases = _stage.Platform.Get<WorkLeases>();
        await _stage.EnqueueAsync(new NewWork("test.forgetful", "a", new { }));
        var first = Assert.Single(await leases.CompleteAndClaimAsync([], 1, default));
        await PassAsync("UPDATE work.items SET lease_until = now() - interval '1 second' WHERE state = 'running'");
        var second = Assert.Single(await leases.CompleteAndClaimAsync([], 1, default));

        await leases.CompleteAndClaimAsync([Settlement.Of(first, new WorkOutcome.Done())], 0, default);
        Assert.True(LeaseLostException.Means(await Assert.ThrowsAsync<PostgresException>(() => SettleAsync(first, commit: true))));
        await SettleAsync(second, commit: false);
        Assert.Equal("running|1|", await _stage.StateAsync("a"));

        await SettleAsync(second, commit: true);
        Assert.Equal(0, await _stage.Platform.Postgres.ScalarAsync<long>("SELECT count(*) FROM work.items WHERE key = 'a'"));
    }

    [Fact]
    public async Task What_a_redrive_revived_is_kept_until_it_can_be_counted()
    {
        _stage.Ends = _ => new WorkOutcome.Dead("no");
        await _stage.EnqueueAsync(new NewWork("test.forgetful", "a", new { }));
        await _stage.Platform.DrainAsync();
        _stage.Ends = _ => new WorkOutcome.Done();
        var redrive = (await _stage.Platform.Get<Redrives>().StartAsync(_stage.Tenant, new StartRedrive("test.forgetful", null), default)).Value;
        await _stage.Platform.DrainAsync();

        Assert.Equal("done|1|no", await _stage.StateAsync("a"));
        Assert.Equal(1, (await _stage.Platform.Get<Redrives>().ListAsync(_stage.Tenant, new PageRequest(10, null), default)).Items.Single(r => r.Id == redrive.Id).Done);
    }

    private async Task SettleAsync(WorkItem item, bool commit)
    {
        await using var tx = _stage.Platform.Database.Begin(_stage.Tenant);
        item.Settle(tx, new WorkOutcome.Done());
        await (commit ? tx.CommitAsync(default) : tx.ExecuteAsync("SELECT 1", [], default));
    }

    /// <summary>The numbers of items of the claims there are, the oldest claim first.</summary>
    private Task<string> ListAsync() => _stage.Platform.Postgres.ScalarAsync<string>(
        "SELECT coalesce(string_agg(cardinality(item_ids)::text, ', ' ORDER BY id), 'none') FROM work.claims");

    /// <summary>Time passes: what was claimed is to be looked at.</summary>
    private async Task PassAsync(string change) => await _stage.Platform.Postgres.ScalarAsync<int>($"{change}; UPDATE work.claims SET look_at = now() - interval '1 second'; SELECT 1");

    /// <summary>Dies, and the first time the database goes away before that can be written.</summary>
    internal sealed class CutShort(WorkStage stage) : IWorkHandler
    {
        public Task<WorkOutcome> HandleAsync(WorkItem item, CancellationToken ct)
        {
            stage.Runs.Enqueue(item.Key);
            return Task.FromResult<WorkOutcome>(new WorkOutcome.Dead("Cut short."));
        }

        public async Task OnDeadAsync(WorkItem item, string error, Transaction tx, CancellationToken ct)
        {
            await tx.ExecuteAsync("SELECT 1", [], ct);
            if (stage.Runs.Count == 1)
            {
                await stage.CutOffAsync();
            }
        }
    }
}
