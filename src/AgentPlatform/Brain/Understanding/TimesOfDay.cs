using System.Globalization;
using System.Text.RegularExpressions;

namespace AgentPlatform.Brain.Understanding;

/// <summary>Times of day: "3pm", "15:30", "half past nine", "quarter to 5", "noon". The value is HH:mm.</summary>
internal static partial class TimesOfDay
{
    private static readonly string[] Hours = ["twelve", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven"];

    internal static IEnumerable<Entity> Find(string text) =>
        from match in Pattern().Matches(text)
        let time = Read(match.Groups)
        where time is not null
        select new Entity(Entities.Time, time.Value.ToString("HH:mm", CultureInfo.InvariantCulture), match.Value, match.Index);

    private static TimeOnly? Read(GroupCollection said)
    {
        if (said["named"] is { Success: true, Value: var name })
        {
            return name.Equals("noon", StringComparison.OrdinalIgnoreCase) || name.Equals("midday", StringComparison.OrdinalIgnoreCase) ? new TimeOnly(12, 0) : TimeOnly.MinValue;
        }

        var hour = Hour(said["hour"].Value);
        var minute = said["minute"].Success ? int.Parse(said["minute"].Value, CultureInfo.InvariantCulture) : 0;
        // Nobody is "at 25", and "13 pm" is no time either.
        if (hour is not (>= 0 and <= 23) || minute > 59 || (said["half"].Success && hour is 0 or > 12))
        {
            return null;
        }

        if (said["half"].Success)
        {
            hour = hour % 12 + (said["half"].Value[0] is 'p' or 'P' ? 12 : 0);
        }

        var time = new TimeOnly(hour.Value, minute);
        return said["part"].Value.ToLowerInvariant() switch
        {
            "half past" => time.AddMinutes(30),
            "quarter past" => time.AddMinutes(15),
            "quarter to" => time.AddMinutes(-15),
            _ => time,
        };
    }

    private static int? Hour(string said) =>
        int.TryParse(said, NumberStyles.None, CultureInfo.InvariantCulture, out var hour) ? hour
        : Array.FindIndex(Hours, name => name.Equals(said, StringComparison.OrdinalIgnoreCase)) is >= 0 and var index ? index
        : null;

    // A bare number is no time: it needs minutes, a half of the day, "o'clock", or a part of an hour before it.
    [GeneratedRegex(
        @"(?<![\w:.])(?:(?<named>noon|midday|midnight)|(?<part>half past|quarter past|quarter to)\s+(?<hour>\d{1,2}|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)(?:\s?(?<half>[ap])\.?m\b)?|(?<hour>\d{1,2}):(?<minute>\d{2})(?:\s?(?<half>[ap])\.?m\b)?|(?<hour>\d{1,2})\s?(?<half>[ap])\.?m\b|(?<hour>\d{1,2}|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)\s+o['’]?clock)(?![\w:])",
        RegexOptions.CultureInvariant | RegexOptions.IgnoreCase, 1000)]
    private static partial Regex Pattern();
}
