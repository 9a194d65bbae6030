using AgentPlatform.Work;
using AgentPlatform.Work.Simulate;

namespace AgentPlatform.Tests.Work;

/// <summary>Each rule of the engine, in the simulation: which item starts at which second.</summary>
public sealed class SimulationTests
{
    private static readonly DateTimeOffset Zero = new(2026, 3, 1, 8, 0, 0, TimeSpan.Zero);
    private static readonly Guid Acme = Guid.Parse("00000000-0000-0000-0000-00000000000a");
    private static readonly Guid Other = Guid.Parse("00000000-0000-0000-0000-00000000000b");
    private static readonly SimulationPolicy OneSlot = new(1);
    private static readonly SimulationPolicy ManySlots = new(100);

    [Fact]
    public void No_more_run_at_a_time_than_there_are_slots() =>
        Assert.Equal("1@0 2@0 3@10 4@10", Starts(new SimulationPolicy(2), Item(1), Item(2), Item(3), Item(4)));

    [Fact]
    public void Nothing_starts_before_it_is_due() =>
        Assert.Equal("2@0 1@30", Starts(ManySlots, Item(1) with { DueAt = Zero.AddSeconds(30) }, Item(2)));

    [Fact]
    public void A_point_of_priority_is_worth_a_minute_of_waiting()
    {
        // While 1 runs, 2 (least urgent) and 3 (most urgent) fall due; 3 overtakes only what fell due less than a hundred minutes before it.
        var first = Item(1) with { Took = TimeSpan.FromHours(3) };
        var least = Item(2) with { Priority = 100 };
        var most = Item(3) with { Priority = 0 };
        Assert.Equal("1@0 3@10800 2@10810", Starts(OneSlot, first, least, most with { DueAt = Zero.AddMinutes(99) }));
        Assert.Equal("1@0 2@10800 3@10810", Starts(OneSlot, first, least, most with { DueAt = Zero.AddMinutes(101) }));
    }

    [Fact]
    public void A_kind_s_priority_in_the_policy_takes_the_place_of_the_recorded_one()
    {
        Arrival[] work = [Item(1), Item(2), Item(3) with { Kind = "urgent", Priority = 90 }];
        Assert.Equal("1@0 2@10 3@20", Starts(OneSlot, work));
        Assert.Equal("3@0 1@10 2@20", Starts(OneSlot with { Kinds = new Dictionary<string, KindPolicy> { ["urgent"] = new(Priority: 10) } }, work));
    }

    [Fact]
    public void Tenants_take_turns_whatever_each_has_waiting_unless_turns_are_off()
    {
        Arrival[] work = [Item(1), Item(2), Item(3), Item(4), Item(5) with { TenantId = Other }, Item(6) with { TenantId = Other }];
        Assert.Equal("1@0 5@10 2@20 6@30 3@40 4@50", Starts(OneSlot, work));
        Assert.Equal("1@0 2@10 3@20 4@30 5@40 6@50", Starts(OneSlot with { Fairness = false }, work));
    }

    [Fact]
    public void A_share_that_is_not_used_goes_to_the_others() =>
        Assert.Equal("1@0 2@0 3@0 5@0 4@10", Starts(new SimulationPolicy(4), Item(1), Item(2), Item(3), Item(4), Item(5) with { TenantId = Other }));

    [Fact]
    public void Items_of_a_serial_key_run_alone_and_in_order_through_a_retry_and_across_kinds()
    {
        // The first fails once: two seconds later it runs again, and what follows has waited for it, although its own time had come.
        Arrival[] work = [Item(1) with { SerialKey = "s", Runs = 2 }, Item(2) with { SerialKey = "s", Kind = "b" }, Item(3) with { SerialKey = "s" }, Item(4)];
        Assert.Equal("4@0 1@12 2@22 3@32", Starts(ManySlots, work));
        // One that is not due yet holds back what follows it, too.
        Assert.Equal("1@60 2@70", Starts(ManySlots, Item(1) with { SerialKey = "s", DueAt = Zero.AddMinutes(1) }, Item(2) with { SerialKey = "s" }));
        // Keys are a tenant's own.
        Assert.Equal("1@0 2@0", Starts(ManySlots, Item(1) with { SerialKey = "s" }, Item(2) with { SerialKey = "s", TenantId = Other }));
    }

    [Fact]
    public void No_more_run_than_a_limit_lets_for_each_tenant_and_others_wait_for_nobody()
    {
        var limited = ManySlots with { Limits = [new SimulatedLimit(Kind: "a", MaxRunning: 1)] };
        Assert.Equal("1@0 3@0 4@0 2@10", Starts(limited, Item(1), Item(2), Item(3) with { Kind = "b" }, Item(4) with { TenantId = Other }));
        var keyed = ManySlots with { Limits = [new SimulatedLimit(ConcurrencyKey: "k", MaxRunning: 1)] };
        Assert.Equal("1@0 3@0 2@10", Starts(keyed, Item(1) with { ConcurrencyKey = "k" }, Item(2) with { ConcurrencyKey = "k", Kind = "b" }, Item(3)));
        var one = ManySlots with { Limits = [new SimulatedLimit(Tenant: Other, MaxRunning: 1)] };
        Assert.Equal("1@0 2@0 3@0 4@10", Starts(one, Item(1), Item(2), Item(3) with { TenantId = Other }, Item(4) with { TenantId = Other }));
    }

    [Fact]
    public void A_rate_starts_a_burst_at_once_and_then_one_with_each_token()
    {
        var rated = ManySlots with { Limits = [new SimulatedLimit(Kind: "a", PerSecond: 0.1, Burst: 2)] };
        Assert.Equal("1@0 2@0 3@10 4@20", Starts(rated, Item(1), Item(2), Item(3), Item(4)));
        // A bucket holds no more than its burst, however long it was quiet; and a retry pays again.
        Assert.Equal("1@0 2@1000 3@1000 4@1010", Starts(rated, [Item(1), .. new[] { 2, 3, 4 }.Select(id => Item(id) with { DueAt = Zero.AddSeconds(1000) })]));
        Assert.Equal("2@0 1@12 3@20", Starts(rated, Item(1) with { Runs = 2 }, Item(2), Item(3) with { DueAt = Zero.AddSeconds(15) }));
    }

    [Fact]
    public void What_finds_the_queue_of_its_kind_full_is_refused()
    {
        var full = OneSlot with { Limits = [new SimulatedLimit(Kind: "a", MaxWaiting: 1)] };
        Arrival[] work = [Item(1), Item(2) with { EnqueuedAt = Zero.AddSeconds(1) }, Item(3) with { EnqueuedAt = Zero.AddSeconds(2) }, Item(4) with { EnqueuedAt = Zero.AddSeconds(11) }];
        Assert.Equal("1@0 2@10 4@20", Starts(full, work));
        Assert.Equal([Fate.Started, Fate.Started, Fate.Refused, Fate.Started], Simulation.Run(full, work).Select(i => i.Fate));
    }

    [Fact]
    public void What_has_not_started_by_its_deadline_expires_and_what_has_started_is_left_alone()
    {
        Arrival[] work = [Item(1) with { StartBy = Zero.AddSeconds(1) }, Item(2) with { StartBy = Zero.AddSeconds(10) }, Item(3) with { StartBy = Zero.AddSeconds(11) }];
        Assert.Equal([Fate.Started, Fate.Expired, Fate.Started], Simulation.Run(OneSlot, work).Select(i => i.Fate));
        var hasty = OneSlot with { Kinds = new Dictionary<string, KindPolicy> { ["a"] = new(StartWithinSeconds: 5) } };
        Assert.Equal([Fate.Started, Fate.Expired, Fate.Expired], Simulation.Run(hasty, work).Select(i => i.Fate));
        // A failed first run does not make a deadline count again.
        Assert.Equal("1@12", Starts(OneSlot, Item(1) with { StartBy = Zero.AddSeconds(1), Runs = 2 }));
        // What expires holds nothing of its serial key back.
        Assert.Equal("2@5", Starts(ManySlots, Item(1) with { SerialKey = "s", DueAt = Zero.AddSeconds(60), StartBy = Zero.AddSeconds(5) }, Item(2) with { SerialKey = "s" }));
    }

    [Fact]
    public void Work_merges_into_what_waits_for_its_first_start_and_stands_behind_what_has_started()
    {
        Arrival Merging(long id, int second) => Item(id) with { MergeKey = "m", EnqueuedAt = Zero.AddSeconds(second), DueAt = Zero.AddSeconds(second) };
        Arrival[] work = [Item(1), Merging(2, 1), Merging(3, 2), Merging(4, 11), Merging(5, 12) with { TenantId = Other }];
        Assert.Equal([Fate.Started, Fate.Started, Fate.Merged, Fate.Started, Fate.Started], Simulation.Run(OneSlot, work).Select(i => i.Fate));
    }

    [Fact]
    public void A_retry_waits_as_long_as_the_engine_lets_it_and_takes_its_turn_again()
    {
        // Due 2 s after the first failure and 4 s after the second: the wait that is told is that of the last run.
        var item = Assert.Single(Simulation.Run(OneSlot, [Item(1) with { Runs = 3 }]));
        Assert.Equal((Zero.AddSeconds(26), TimeSpan.Zero), (item.StartedAt, item.Waited));
        Assert.Equal("2@10 1@20", Starts(OneSlot, Item(1) with { Runs = 2 }, Item(2)));
    }

    [Fact]
    public void A_record_becomes_arrivals_with_the_length_of_their_runs_or_of_their_kind_s()
    {
        RecordedItem done = new(1, Acme, "a", 50, "done", Zero, Zero.AddSeconds(1), Zero.AddSeconds(2), Zero.AddSeconds(5), 1, 1, null, null, null, null);
        var retried = done with { Id = 2, Attempts = 3, RunAt = Zero.AddSeconds(30), StartedAt = Zero.AddSeconds(30), FinishedAt = Zero.AddSeconds(39) };
        var waits = done with { Id = 3, State = "ready", StartedAt = null, FinishedAt = null, Attempts = 0, Fence = 0 };
        var expired = waits with { Id = 4, State = "cancelled", FinishedAt = Zero.AddSeconds(9), StartBy = Zero.AddSeconds(9) };
        var arrivals = Arrivals.Of([done, retried, waits, expired, expired with { Id = 5, StartBy = null }, expired with { Id = 7, State = "done" }, waits with { Id = 6, Kind = "b" }]);
        Assert.Equal(
            [(1, 1, 1, 3), (2, 0, 3, 9), (3, 1, 1, 3), (4, 1, 1, 3)],
            arrivals.Items.Select(a => ((int)a.Id, (int)(a.DueAt - Zero).TotalSeconds, a.Runs, (int)a.Took.TotalSeconds)));
        Assert.Equal((1, 2), (arrivals.Unmeasured, arrivals.Withdrawn));
    }

    [Fact]
    public void The_report_sets_what_was_beside_what_would_be_for_each_kind_and_tenant()
    {
        RecordedItem Done(long id, Guid tenant, int wait) => new(id, tenant, "a", 50, "done", Zero, Zero, Zero.AddSeconds(wait), Zero.AddSeconds(wait + 10), 1, 1, null, null, null, null);
        var report = SimulationReport.For(
            OneSlot with { Kinds = new Dictionary<string, KindPolicy> { ["typo"] = new(Priority: 1) } },
            [Done(1, Acme, 0), Done(2, Acme, 10), Done(3, Acme, 20), Done(4, Other, 30)]);
        Assert.Equal((10.0, 30.0, 30.0), (report.All.Recorded.P50Seconds, report.All.Recorded.P99Seconds, report.All.Recorded.MaxSeconds));
        Assert.Equal((10.0, 30.0), (report.All.Proposed.P50Seconds, report.All.Proposed.MaxSeconds));
        Assert.Equal([(30.0, 10.0)], report.Tenants.Where(t => t.Name == Other.ToString()).Select(t => (t.Recorded.MaxSeconds!.Value, t.Proposed.MaxSeconds!.Value)));
        Assert.Equal(Math.Pow(10 + 30, 2) / (2 * (100 + 900)), report.RecordedFairness, 6);
        Assert.True(report.ProposedFairness > report.RecordedFairness);
        Assert.Equal(["typo"], report.UnknownKinds);
    }

    /// <summary>Due at second 0, and running for ten.</summary>
    private static Arrival Item(long id) => new(id, Acme, "a", 50, Zero, Zero, TimeSpan.FromSeconds(10));

    private static string Starts(SimulationPolicy policy, params Arrival[] arrivals) => string.Join(
        ' ',
        Simulation.Run(policy, arrivals).Where(i => i.Fate == Fate.Started).OrderBy(i => i.StartedAt).ThenBy(i => i.Arrival.Id)
            .Select(i => $"{i.Arrival.Id}@{(i.StartedAt!.Value - Zero).TotalSeconds:0.###}"));
}
