namespace AgentPlatform.Messaging.Pacing;

/// <summary>From when to when it is quiet, day by day; never when both are the same.</summary>
internal sealed record QuietWindow(TimeOnly Start, TimeOnly End);

/// <summary>A person's hours of rest, in that person's own time.</summary>
internal static class QuietHours
{
    /// <summary>When the quiet hours that <paramref name="now"/> falls into end; null outside of them. A window may span midnight.</summary>
    public static DateTimeOffset? Until(DateTimeOffset now, TimeOnly? start, TimeOnly? end, string? timezone)
    {
        if (start is not { } from || end is not { } to || from == to)
        {
            return null;
        }

        var zone = Zone(timezone);
        var local = TimeZoneInfo.ConvertTime(now, zone);
        // Half open: at its end the window is over. IsBetween understands windows over midnight.
        if (!TimeOnly.FromDateTime(local.DateTime).IsBetween(from, to))
        {
            return null;
        }

        var date = DateOnly.FromDateTime(local.DateTime);
        var endsTomorrow = from > to && TimeOnly.FromDateTime(local.DateTime) >= from;
        return Instant(zone, (endsTomorrow ? date.AddDays(1) : date).ToDateTime(to));
    }

    /// <summary>The day it is for the person.</summary>
    public static DateOnly Today(DateTimeOffset now, string? timezone) => DateOnly.FromDateTime(TimeZoneInfo.ConvertTime(now, Zone(timezone)).DateTime);

    /// <summary>When the person's next day begins.</summary>
    public static DateTimeOffset Tomorrow(DateTimeOffset now, string? timezone) =>
        Instant(Zone(timezone), Today(now, timezone).AddDays(1).ToDateTime(TimeOnly.MinValue));

    // A zone that is not known cannot be obeyed; UTC is no worse than any other guess.
    private static TimeZoneInfo Zone(string? timezone) => timezone is not null && TimeZoneInfo.TryFindSystemTimeZoneById(timezone, out var zone) ? zone : TimeZoneInfo.Utc;

    /// <summary>A local time that the clocks skip is the first one after the gap; one that comes twice is the later of the two.</summary>
    private static DateTimeOffset Instant(TimeZoneInfo zone, DateTime local)
    {
        while (zone.IsInvalidTime(local))
        {
            local = local.AddMinutes(15);
        }

        var offset = zone.IsAmbiguousTime(local) ? zone.GetAmbiguousTimeOffsets(local).Min() : zone.GetUtcOffset(local);
        return new DateTimeOffset(local, offset).ToUniversalTime();
    }
}
