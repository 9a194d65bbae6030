namespace AgentPlatform.Chaos.Flows;

/// <summary>All that is known when no trip is open: the provider's ledger, and what the platform's rows say.</summary>
internal sealed record TripAccounts(
    IReadOnlyList<Effect> Ledger,
    IReadOnlyList<InstanceRow> Instances,
    IReadOnlyList<StepRow> Steps,
    IReadOnlyList<string> EventsTaken,
    IReadOnlyList<string> ShortSleeps,
    IReadOnlyList<string> LeftOvers);

/// <summary>Proves from both books that each trip ended as it had to, or says exactly which did not.</summary>
internal static class TripCheck
{
    internal static IEnumerable<string> Violations(IReadOnlyList<Trip> plan, TripAccounts accounts)
    {
        var ledger = accounts.Ledger.ToLookup(e => e.Trip, StringComparer.Ordinal);
        var instances = accounts.Instances.ToLookup(i => i.Trip, i => i.What, StringComparer.Ordinal);
        var steps = accounts.Steps.ToLookup(s => s.Trip, StringComparer.Ordinal);
        var taken = accounts.EventsTaken.CountBy(trip => trip, StringComparer.Ordinal).ToDictionary(StringComparer.Ordinal);
        return
        [
            .. accounts.LeftOvers.Select(left => $"left over: {left}"),
            .. accounts.ShortSleeps.Select(sleep => $"slept too short: {sleep}"),
            .. plan.SelectMany(trip => OfOne(trip, [.. ledger[trip.Key]], [.. instances[trip.Key]], [.. steps[trip.Key]], taken.GetValueOrDefault(trip.Key))),
        ];
    }

    private static IEnumerable<string> OfOne(Trip trip, Effect[] effects, string[] instances, StepRow[] steps, int eventsTaken)
    {
        if (Differ(trip.Instances, instances, out var ended))
        {
            yield return $"{trip.Key} ({trip.End}) ended wrongly: {ended}";
        }

        var done = effects.Select(e => e.Name).ToArray();
        if (!done.SequenceEqual(trip.Effects))
        {
            yield return $"{trip.Key} ({trip.End}): the provider did {string.Join(", ", done)} instead of {string.Join(", ", trip.Effects)}";
        }

        if (Differ(trip.Rows, steps.Select(s => s.What), out var rows))
        {
            yield return $"{trip.Key} ({trip.End}): its steps say {rows}";
        }

        if (Differ(effects.Select(e => e.Reference), steps.Where(s => s.Reference is not null).Select(s => s.Reference!), out var references))
        {
            yield return $"{trip.Key} ({trip.End}): the provider's references are not those of the steps: {references}";
        }

        if (eventsTaken != (trip.End == TripEnd.Declined ? 0 : 1))
        {
            yield return $"{trip.Key} ({trip.End}): its event was taken {eventsTaken} times";
        }
    }

    /// <summary>Compares without regard to order; <paramref name="difference"/> names what is too much (+) and what is missing (−).</summary>
    private static bool Differ(IEnumerable<string> wanted, IEnumerable<string> found, out string difference)
    {
        var (missing, extra) = (wanted.ToList(), new List<string>());
        foreach (var one in found)
        {
            if (!missing.Remove(one))
            {
                extra.Add(one);
            }
        }

        difference = string.Join(", ", extra.Select(e => $"+{e}").Concat(missing.Select(m => $"−{m}")));
        return difference.Length > 0;
    }
}
