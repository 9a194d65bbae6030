namespace AgentPlatform.Work.Simulate;

/// <summary>
/// How a set of items fared. Waits are those from falling due to the start of the last run, in seconds. Waiting: not started when the record was read.
/// Refused and merged are null in the record, for the queue keeps no row of what it did not take.
/// </summary>
public sealed record Figures(
    int Items, int Started, int Waiting, int Expired, int? Refused, int? Merged, double? P50Seconds, double? P95Seconds, double? P99Seconds, double? MaxSeconds, double? MeanSeconds)
{
    internal static Figures Of(IReadOnlyCollection<RecordedItem> items) => new Figures(
        items.Count, items.Count(i => i.Fence > 0), items.Count(i => i is { State: "ready", Fence: 0 }), items.Count(i => i.Expired), null, null, null, null, null, null, null)
        .With(items.Select(i => i.Waited));

    internal static Figures Of(IReadOnlyCollection<SimulatedItem> items)
    {
        int Count(Fate fate) => items.Count(i => i.Fate == fate);
        return new Figures(items.Count, Count(Fate.Started), 0, Count(Fate.Expired), Count(Fate.Refused), Count(Fate.Merged), null, null, null, null, null)
            .With(items.Select(i => i.Waited));
    }

    private Figures With(IEnumerable<TimeSpan?> waits)
    {
        var ordered = waits.OfType<TimeSpan>().Order().ToList();
        double? At(double part) => ordered.Count == 0 ? null : Percentile.Of(ordered, part).TotalSeconds;
        return this with
        {
            P50Seconds = At(0.5),
            P95Seconds = At(0.95),
            P99Seconds = At(0.99),
            MaxSeconds = At(1),
            MeanSeconds = ordered.Count == 0 ? null : ordered.Average(w => w.TotalSeconds),
        };
    }
}

/// <summary>What was beside what would be, for all work, one kind, or one tenant.</summary>
public sealed record Comparison(string Name, Figures Recorded, Figures Proposed);

/// <summary>Fairness: 1 when the tenants wait equally long in the mean, 1/n when one of n does all the waiting (Jain's index).</summary>
public sealed record SimulationReport(
    Comparison All, IReadOnlyList<Comparison> Kinds, IReadOnlyList<Comparison> Tenants, double RecordedFairness, double ProposedFairness,
    int Unmeasured, int Withdrawn, IReadOnlyList<string> UnknownKinds)
{
    /// <summary>Plays the record under the policy, and sets one beside the other.</summary>
    public static SimulationReport For(SimulationPolicy policy, IReadOnlyList<RecordedItem> recorded)
    {
        var arrivals = Arrivals.Of(recorded);
        var played = Simulation.Run(policy, arrivals.Items);
        var tenants = Compare(arrivals, played, i => i.TenantId.ToString());
        var kinds = Compare(arrivals, played, i => i.Kind);
        return new SimulationReport(
            Compare(arrivals, played, _ => "all").SingleOrDefault() ?? new Comparison("all", Figures.Of(Array.Empty<RecordedItem>()), Figures.Of(Array.Empty<SimulatedItem>())),
            kinds, tenants, Jain(tenants.Select(t => t.Recorded.MeanSeconds)), Jain(tenants.Select(t => t.Proposed.MeanSeconds)),
            arrivals.Unmeasured, arrivals.Withdrawn, [.. Named(policy).Except(kinds.Select(k => k.Name), StringComparer.Ordinal).Order(StringComparer.Ordinal)]);
    }

    internal static double Jain(IEnumerable<double?> means)
    {
        var known = means.OfType<double>().ToList();
        var squares = known.Sum(m => m * m);
        return squares > 0 ? Math.Pow(known.Sum(), 2) / (known.Count * squares) : 1;
    }

    private static IEnumerable<string> Named(SimulationPolicy policy) => [.. policy.Kinds?.Keys ?? [], .. (policy.Limits ?? []).Select(l => l.Kind).OfType<string>()];

    private static List<Comparison> Compare(Arrivals arrivals, IReadOnlyList<SimulatedItem> played, Func<RecordedItem, string> name) =>
    [
        .. played.Select(p => (Played: p, Recorded: arrivals.Recorded[p.Arrival.Id])).GroupBy(p => name(p.Recorded), StringComparer.Ordinal)
            .OrderBy(g => g.Key, StringComparer.Ordinal)
            .Select(g => new Comparison(g.Key, Figures.Of([.. g.Select(p => p.Recorded)]), Figures.Of([.. g.Select(p => p.Played)]))),
    ];
}
