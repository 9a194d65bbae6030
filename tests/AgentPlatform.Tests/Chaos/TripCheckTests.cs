using AgentPlatform.Chaos.Flows;

namespace AgentPlatform.Tests.Chaos;

/// <summary>The check of workflows is worth what it finds: each promise is broken once in the books.</summary>
public sealed class TripCheckTests
{
    private static readonly IReadOnlyList<Trip> Plan = Trip.Plan(8);

    private static readonly TripAccounts Sound = new(
        [.. Plan.SelectMany(trip => trip.Effects.Select(name => new Effect(trip.Key, name, $"{name} of {trip.Key}")))],
        [.. Plan.SelectMany(trip => trip.Instances.Select(what => new InstanceRow(trip.Key, what)))],
        [.. Plan.SelectMany(RowsOf)],
        [.. Plan.Where(trip => trip.End != TripEnd.Declined).Select(trip => trip.Key)],
        [],
        []);

    [Fact]
    public void Sound_books_have_no_violation() => Assert.Empty(TripCheck.Violations(Plan, Sound));

    [Fact]
    public void An_effect_that_happened_twice_or_in_another_order_is_found()
    {
        Assert.Contains("the provider did", Assert.Single(Violations(Sound with { Ledger = [Sound.Ledger[1], Sound.Ledger[0], .. Sound.Ledger.Skip(2)] })));
        Assert.Equal(2, Violations(Sound with { Ledger = [.. Sound.Ledger, new Effect(Plan[1].Key, "release", "another")] }).Count);
    }

    [Fact]
    public void A_compensation_that_is_missing_is_found_in_both_books()
    {
        var undone = Sound.Ledger.First(effect => effect.Name == "release");
        var found = Violations(Sound with { Ledger = [.. Sound.Ledger.Where(effect => effect != undone)] });
        Assert.Contains(found, v => v.Contains("the provider did reserve, charge, repay instead of", StringComparison.Ordinal));
        Assert.Contains(found, v => v.EndsWith($"−{undone.Reference}", StringComparison.Ordinal) || v.EndsWith($"+{undone.Reference}", StringComparison.Ordinal));
    }

    [Fact]
    public void An_instance_that_ended_wrongly_or_says_other_steps_is_found()
    {
        Assert.Contains("ended wrongly", Assert.Single(Violations(Sound with { Instances = [.. Sound.Instances.Skip(1)] })));
        Assert.Contains("its steps say", Assert.Single(Violations(Sound with { Steps = [.. Sound.Steps.Where(s => !s.What.Contains("rest", StringComparison.Ordinal) || s.Trip != Plan[0].Key)] })));
    }

    [Fact]
    public void Events_taken_twice_short_sleeps_and_left_overs_are_found()
    {
        Assert.Contains("taken 2 times", Assert.Single(Violations(Sound with { EventsTaken = [.. Sound.EventsTaken, Plan[0].Key] })));
        Assert.StartsWith("slept too short", Assert.Single(Violations(Sound with { ShortSleeps = ["rest"] })));
        Assert.StartsWith("left over", Assert.Single(Violations(Sound with { LeftOvers = ["activity"] })));
    }

    /// <summary>Each step that had an effect carries the provider's reference of it.</summary>
    private static IEnumerable<StepRow> RowsOf(Trip trip)
    {
        var references = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["trip.reserve.forward.completed"] = "reserve",
            ["payment.charge.forward.completed"] = "charge",
            ["payment.charge.undo.completed"] = "repay",
            ["payment.issue.forward.completed"] = "issue",
            ["trip.payment.undo.completed"] = "refund",
            ["trip.reserve.undo.completed"] = "release",
            ["trip.depart.forward.completed"] = "depart",
        };
        return trip.Rows.Select(what => new StepRow(trip.Key, what, references.TryGetValue(what, out var name) ? $"{name} of {trip.Key}" : null));
    }

    private static IReadOnlyList<string> Violations(TripAccounts accounts) => [.. TripCheck.Violations(Plan, accounts)];
}
