namespace AgentPlatform.Work.Simulate;

/// <summary>What comes into the simulated queue: runs of a length each, due at first at a moment.</summary>
public sealed record Arrival(
    long Id, Guid TenantId, string Kind, short Priority, DateTimeOffset EnqueuedAt, DateTimeOffset DueAt, TimeSpan Took, int Runs = 1,
    string? SerialKey = null, string? ConcurrencyKey = null, string? MergeKey = null, DateTimeOffset? StartBy = null);

/// <summary>What became of an arrival: a closed set.</summary>
public enum Fate
{
    Started,
    Expired,
    Refused,
    Merged,
}

/// <summary>StartedAt and Waited are of its last run, as in the record.</summary>
public sealed record SimulatedItem(Arrival Arrival, Fate Fate, DateTimeOffset? StartedAt, TimeSpan? Waited);

/// <summary>What of a record can be replayed. Unmeasured: items of kinds of which no run's length is known. Withdrawn: taken back, or done by another item's run, before they started.</summary>
public sealed record Arrivals(IReadOnlyList<Arrival> Items, IReadOnlyDictionary<long, RecordedItem> Recorded, int Unmeasured, int Withdrawn)
{
    /// <summary>
    /// A run of unknown length takes what its kind takes in the middle. Of an item that was tried again only the last run is recorded: it comes when
    /// it was enqueued, and each of its runs is as long as the last.
    /// </summary>
    public static Arrivals Of(IReadOnlyList<RecordedItem> recorded)
    {
        var replayable = recorded.Where(r => !r.Withdrawn).ToList();
        var medians = replayable.Where(r => r.Took is not null).GroupBy(r => r.Kind, StringComparer.Ordinal)
            .ToDictionary(g => g.Key, g => Percentile.Of([.. g.Select(r => r.Took!.Value).Order()], 0.5), StringComparer.Ordinal);
        var measured = replayable.Where(r => r.Took is not null || medians.ContainsKey(r.Kind)).ToDictionary(r => r.Id);
        return new Arrivals(
            [.. measured.Values.Select(r => From(r, r.Took ?? medians[r.Kind]))], measured, replayable.Count - measured.Count, recorded.Count - replayable.Count);
    }

    private static Arrival From(RecordedItem r, TimeSpan took) => new(
        r.Id, r.TenantId, r.Kind, r.Priority, r.EnqueuedAt, r.Attempts > 1 ? r.EnqueuedAt : r.RunAt, took, Math.Max(r.Attempts, 1),
        r.SerialKey, r.ConcurrencyKey, r.MergeKey, r.StartBy);
}

internal static class Percentile
{
    /// <summary>Of values in order, the least that at least this part of them does not exceed.</summary>
    internal static TimeSpan Of(IReadOnlyList<TimeSpan> ordered, double part) => ordered[Math.Clamp((int)Math.Ceiling(part * ordered.Count) - 1, 0, ordered.Count - 1)];
}
