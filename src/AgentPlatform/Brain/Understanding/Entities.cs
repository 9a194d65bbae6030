using System.Globalization;
using System.Text.RegularExpressions;
using AgentPlatform.Kernel;

namespace AgentPlatform.Brain.Understanding;

/// <summary>
/// A value found in a text, with its place there, normalised: e-mail lower-cased, phone in E.164, date as yyyy-MM-dd, time as HH:mm, money as
/// amount and ISO code, number invariant.
/// </summary>
internal sealed record Entity(string Type, string Value, string Text, int Start);

/// <summary>Finds e-mail addresses, links, phone numbers, <c>#2</c>, dates, times, amounts of money, ordinals, numbers, names, places, and a yes or no.</summary>
internal static partial class Entities
{
    internal const string Email = "email";
    internal const string Url = "url";
    internal const string Phone = "phone";
    internal const string Choice = "choice";
    internal const string Date = "date";
    internal const string Number = "number";
    internal const string Name = "name";
    internal const string Time = "time";
    internal const string Money = "money";
    internal const string Ordinal = "ordinal";
    internal const string Place = "place";
    internal const string Answer = "answer";

    /// <summary>Nobody puts a parameter on page four, and patterns are not free.</summary>
    private const int MaxLength = 4000;

    private static readonly string[] Days = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
    private static readonly string[] DateFormats = ["yyyy-MM-dd", "d MMMM yyyy", "d MMM yyyy", "MMMM d yyyy", "MMM d yyyy", "d MMMM", "d MMM", "MMMM d", "MMM d"];

    /// <summary>
    /// In the order in which they stand. What one entity covers is not read as another, except that the number in an amount, a time or an
    /// ordinal is a number too.
    /// </summary>
    internal static IReadOnlyList<Entity> Find(string text, DateOnly today)
    {
        var found = new List<(int At, Entity Entity)>();
        var rest = text.Clip(MaxLength);
        void Take(Regex pattern, string type, Func<Match, string?> value)
        {
            rest = pattern.Replace(rest, match =>
            {
                if (value(match) is not { } normal)
                {
                    return match.Value;
                }

                found.Add((match.Index, new Entity(type, normal, match.Value, match.Index)));
                return new string(' ', match.Length);
            });
        }

        Take(EmailPattern(), Email, match => match.Value.ToLowerInvariant());
        Take(UrlPattern(), Url, match => Link(match.Value));
        Take(IsoDatePattern(), Date, match => AsDate(match.Value, today));
        Take(PhonePattern(), Phone, match => match.Value.Count(char.IsDigit) >= 8 && PhoneNumber.TryNormalize(match.Value, out var e164) ? e164 : null);
        Take(ChoicePattern(), Choice, match => match.Groups["n"].Value);
        Take(DatePattern(), Date, match => AsDate(match.Value, today));
        found.AddRange(Amounts.Find(rest).Concat(TimesOfDay.Find(rest)).Concat(Counting.Ordinals(rest)).Select(entity => (entity.Start, entity)));
        Take(NumberPattern(), Number, match => AsNumber(match.Value));
        found.AddRange(Counting.Numbers(rest).Concat(Places.Find(rest)).Select(entity => (entity.Start, entity)));
        Take(NamePattern(), Name, match => match.Groups["name"].Value.Trim());
        if (Signals.Resolve(Signals.Confirmation(), text) is { } answer)
        {
            found.Add((0, new Entity(Answer, answer, text, 0)));
        }

        return [.. found.OrderBy(item => item.At).Select(item => item.Entity)];
    }

    internal static string? First(this IEnumerable<Entity> entities, string type) => entities.FirstOrDefault(e => e.Type == type)?.Value;

    /// <summary>A date as a person writes it, or null. A day without a year is the next one of its kind.</summary>
    internal static string? AsDate(string text, DateOnly today)
    {
        var words = text.Trim().ToLowerInvariant().Replace(",", "", StringComparison.Ordinal);
        if (Relative(words, today) is { } relative)
        {
            return Iso(relative);
        }

        words = DayEnding().Replace(words, "${day}");
        foreach (var format in DateFormats)
        {
            if (DateOnly.TryParseExact(words, format, CultureInfo.InvariantCulture, DateTimeStyles.None, out var date))
            {
                var hasYear = format.Contains('y', StringComparison.Ordinal);
                date = hasYear ? date : new DateOnly(today.Year, date.Month, Math.Min(date.Day, DateTime.DaysInMonth(today.Year, date.Month)));
                return Iso(hasYear || date >= today ? date : date.AddYears(1));
            }
        }

        return null;
    }

    private static DateOnly? Relative(string words, DateOnly today)
    {
        var day = Array.FindIndex(Days, name => words.EndsWith(name, StringComparison.Ordinal));
        return words switch
        {
            "today" or "tonight" => today,
            "tomorrow" => today.AddDays(1),
            "day after tomorrow" or "the day after tomorrow" => today.AddDays(2),
            "yesterday" => today.AddDays(-1),
            "next week" => today.AddDays(7),
            _ when day >= 0 => today.AddDays((day - (int)today.DayOfWeek + 6) % 7 + 1),
            _ => null,
        };
    }

    private static string Iso(DateOnly date) => date.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);

    private static string? AsNumber(string text) =>
        decimal.TryParse(text, NumberStyles.Number, CultureInfo.InvariantCulture, out var number) ? number.ToString(CultureInfo.InvariantCulture) : null;

    private static string Link(string text)
    {
        var link = text.TrimEnd('.', ',', ';', ')', '!', '?');
        return link.Contains("://", StringComparison.Ordinal) ? link : $"https://{link}";
    }

    [GeneratedRegex(@"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+", RegexOptions.CultureInvariant, 1000)]
    private static partial Regex EmailPattern();

    [GeneratedRegex(@"(?:https?://|www\.|linkedin\.com/)[^\s<>""]+", RegexOptions.CultureInvariant | RegexOptions.IgnoreCase, 1000)]
    private static partial Regex UrlPattern();

    [GeneratedRegex(@"(?<![\w#])\+?\(?\d[\d\s().-]{6,18}\d(?!\w)", RegexOptions.CultureInvariant, 1000)]
    private static partial Regex PhonePattern();

    [GeneratedRegex(@"(?<![\w#])(?:#\s*|(?:number|option|no\.)\s+)(?<n>\d{1,3})(?!\w)", RegexOptions.CultureInvariant | RegexOptions.IgnoreCase, 1000)]
    private static partial Regex ChoicePattern();

    [GeneratedRegex(@"(?<!\w)\d{4}-\d{2}-\d{2}(?!\w)", RegexOptions.CultureInvariant, 1000)]
    private static partial Regex IsoDatePattern();

    [GeneratedRegex(
        @"(?<!\w)(?:the day after tomorrow|day after tomorrow|today|tonight|tomorrow|yesterday|next week|(?:next |on |this )?(?:mon|tues|wednes|thurs|fri|satur|sun)day|\d{1,2}(?:st|nd|rd|th)? (?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*(?:,? \d{4})?|(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]* \d{1,2}(?:st|nd|rd|th)?(?:,? \d{4})?)(?!\w)",
        RegexOptions.CultureInvariant | RegexOptions.IgnoreCase, 1000)]
    private static partial Regex DatePattern();

    [GeneratedRegex(@"(?<![\w.#])-?\d{1,3}(?:,\d{3})+(?:\.\d+)?(?!\w)|(?<![\w.#])-?\d+(?:\.\d+)?(?!\w)", RegexOptions.CultureInvariant, 1000)]
    private static partial Regex NumberPattern();

    // The greeting is read in any case, the name itself by its capital letters: "I'm looking for a job" names nobody.
    [GeneratedRegex(@"(?<!\w)(?i:my name is|my name's|i am|i'm|i’m|this is|call me|name:)\s+(?<name>\p{Lu}[\p{L}'’-]*(?:\s+\p{Lu}[\p{L}'’-]*){0,3})", RegexOptions.CultureInvariant, 1000)]
    private static partial Regex NamePattern();

    [GeneratedRegex(@"(?<day>\d)(?:st|nd|rd|th)", RegexOptions.CultureInvariant, 1000)]
    private static partial Regex DayEnding();
}
