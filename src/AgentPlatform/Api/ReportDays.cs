using AgentPlatform.Kernel;

namespace AgentPlatform.Api;

/// <summary>The days (UTC) that a report is of. <see cref="To"/> is not among them.</summary>
internal sealed record ReportDays(DateOnly From, DateOnly To)
{
    private const int Most = 366;
    private const int Usual = 30;

    /// <summary>Nothing is older, and dates have room below it.</summary>
    private static readonly DateOnly Earliest = new(1970, 1, 1);

    /// <summary>The last thirty days, unless told.</summary>
    internal static ReportDays Of(DateOnly? from, DateOnly? to, TimeProvider clock)
    {
        var until = to ?? DateOnly.FromDateTime(clock.GetUtcNow().UtcDateTime).AddDays(1);
        return new(from ?? DateOnly.FromDayNumber(Math.Max(until.DayNumber - Usual, Earliest.DayNumber)), until);
    }

    internal Validation Check(Validation validation) => validation
        .Check("from", From >= Earliest, $"Must be {Earliest:O} or later.")
        .Check("to", From < To, "Must be after from.")
        .Check("from", To.DayNumber - From.DayNumber <= Most, $"Must be at most {Most} days before to.");
}
