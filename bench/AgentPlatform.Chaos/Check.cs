using AgentPlatform.Chaos.Reports;
using AgentPlatform.Chaos.Workers;

namespace AgentPlatform.Chaos;

/// <summary>All that is known at the end: from the database, from the providers' logs, and from the workers' journals.</summary>
internal sealed record Books(
    IReadOnlyList<ItemEnd> Items,
    IReadOnlyList<string> Completions,
    IReadOnlyList<string> Ledger,
    IReadOnlyList<string> Marks,
    IReadOnlyDictionary<string, int> Keyed,
    IReadOnlyDictionary<string, int> Unkeyed,
    IReadOnlyList<Run> Runs,
    IReadOnlyList<double> Restarts,
    int Requests)
{
    internal ChaosFigures Figures(int jobs, TimeSpan took) => new(
        jobs, Runs.Count, Items.Sum(i => i.Interruptions), Completions.Count, Requests, Keyed.Values.Sum() + Unkeyed.Values.Sum(), Restarts.Count, Check.P99(Restarts), took);
}

/// <summary>Proves from the books what was promised, or says exactly what was not kept.</summary>
internal static class Check
{
    internal static IEnumerable<string> Violations(IReadOnlyList<Job> plan, Books books, TimeSpan restartLimit) =>
    [
        .. Lost(plan, books),
        .. Twice(plan, books),
        .. Effects(plan, books),
        .. Order(plan, books.Ledger),
        .. Attempts(plan, books.Items),
        .. SlowRestart(books.Restarts, restartLimit),
    ];

    internal static double? P99(IReadOnlyList<double> values) =>
        values.Count == 0 ? null : values.Order().ElementAt((int)Math.Ceiling(values.Count * 0.99) - 1);

    private static IEnumerable<string> Lost(IReadOnlyList<Job> plan, Books books)
    {
        var ends = books.Items.ToDictionary(i => i.Key, StringComparer.Ordinal);
        var marks = books.Marks.ToHashSet(StringComparer.Ordinal);
        foreach (var job in plan)
        {
            var state = ends.TryGetValue(job.Key, out var end) ? end.State : "gone";
            if (state != "done")
            {
                yield return $"lost: {job.Kind} {job.Key} is {state}";
            }

            if (job.Kind is Jobs.Mark or Jobs.MarkForgotten && !marks.Contains(job.Key))
            {
                yield return $"lost: {job.Kind} {job.Key} is {state}, but its work was not done";
            }
        }
    }

    private static IEnumerable<string> Twice(IReadOnlyList<Job> plan, Books books)
    {
        var completed = Count(books.Completions);
        var written = Count(books.Ledger);
        foreach (var job in plan)
        {
            if (completed.GetValueOrDefault(job.Key) is > 1 and var times)
            {
                yield return $"completed {times} times: {job.Kind} {job.Key}";
            }

            var lines = written.GetValueOrDefault(job.Key);
            if (job.Kind is Jobs.Ledger or Jobs.LedgerForgotten or Jobs.Serial or Jobs.Retry && lines != 1)
            {
                yield return $"{lines} lines in the ledger: {job.Kind} {job.Key}";
            }
        }
    }

    private static IEnumerable<string> Effects(IReadOnlyList<Job> plan, Books books) =>
        from job in plan
        where job.Kind is Jobs.Keyed or Jobs.Unkeyed
        let effects = (job.Kind == Jobs.Keyed ? books.Keyed : books.Unkeyed).GetValueOrDefault(job.Key)
        where effects != 1
        select $"{effects} effects: {job.Kind} {job.Key}";

    private static IEnumerable<string> Order(IReadOnlyList<Job> plan, IReadOnlyList<string> ledger)
    {
        var serial = plan.Where(j => j.SerialKey is not null).ToDictionary(j => j.Key, j => j.SerialKey!, StringComparer.Ordinal);
        return ledger.Where(serial.ContainsKey).GroupBy(key => serial[key])
            .Where(group => !group.SequenceEqual(group.Order(StringComparer.Ordinal)))
            .Select(group => $"out of order: {group.Key}");
    }

    /// <summary>An item is tried once, and once more for each time it was told to fail; what was interrupted is counted apart.</summary>
    private static IEnumerable<string> Attempts(IReadOnlyList<Job> plan, IReadOnlyList<ItemEnd> items)
    {
        var wanted = plan.ToDictionary(j => j.Key, j => j.Failures + 1, StringComparer.Ordinal);
        return items.Where(i => wanted.TryGetValue(i.Key, out var attempts) && i.Attempts != attempts)
            .Select(i => $"{i.Attempts} attempts instead of {wanted[i.Key]}: {i.Kind} {i.Key}");
    }

    private static IEnumerable<string> SlowRestart(IReadOnlyList<double> restarts, TimeSpan limit)
    {
        if (restarts.Count == 0)
        {
            yield return "no kill of a worker interrupted anything: the run proves nothing about restarts";
        }
        else if (P99(restarts) >= limit.TotalSeconds)
        {
            yield return FormattableString.Invariant($"kill to restart: p99 is {P99(restarts):0.0} s, the limit {limit.TotalSeconds:0} s");
        }
    }

    private static Dictionary<string, int> Count(IEnumerable<string> keys) =>
        keys.CountBy(k => k, StringComparer.Ordinal).ToDictionary(StringComparer.Ordinal);
}
