using System.Globalization;
using System.Text.RegularExpressions;

namespace AgentPlatform.Brain.Understanding;

/// <summary>Numbers and places in a row that are written as words: "twenty-five", "two hundred", "the third", "4th", "the last one".</summary>
internal static partial class Counting
{
    private static readonly string[] UpToNineteen =
        ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"];

    private static readonly string[] Tens = ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];

    private static readonly string[] InARow =
        ["", "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh", "twelfth"];

    /// <summary>"One" alone is most often no number ("the red one").</summary>
    internal static IEnumerable<Entity> Numbers(string text) =>
        from match in NumberWords().Matches(text)
        where !match.Value.Equals("one", StringComparison.OrdinalIgnoreCase)
        select new Entity(Entities.Number, Add(match.Value).ToString(CultureInfo.InvariantCulture), match.Value, match.Index);

    /// <summary>The place counted from 1; the last one is -1.</summary>
    internal static IEnumerable<Entity> Ordinals(string text) =>
        from match in OrdinalWords().Matches(text)
        select new Entity(Entities.Ordinal, Place(match), match.Value, match.Index);

    private static string Place(Match match) =>
        match.Groups["n"].Success ? match.Groups["n"].Value.TrimStart('0')
        : match.Value.Equals("last", StringComparison.OrdinalIgnoreCase) ? "-1"
        : Array.IndexOf(InARow, match.Value.ToLowerInvariant()).ToString(CultureInfo.InvariantCulture);

    private static long Add(string words)
    {
        var (sum, part) = (0L, 0L);
        foreach (var word in words.ToLowerInvariant().Split([' ', '-'], StringSplitOptions.RemoveEmptyEntries))
        {
            if (word is "thousand" or "million")
            {
                sum += Math.Max(1, part) * (word == "thousand" ? 1_000 : 1_000_000);
                part = 0;
            }
            else if (word == "hundred")
            {
                part = Math.Max(1, part) * 100;
            }
            else if (Array.IndexOf(Tens, word) is >= 2 and var tens)
            {
                part += tens * 10;
            }
            else if (Array.IndexOf(UpToNineteen, word) is >= 0 and var number)
            {
                part += number;
            }
        }

        return sum + part;
    }

    [GeneratedRegex(
        @"(?<!\w)(?:zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety)(?:(?:\s+and\s+|[\s-]+)(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundred|thousand|million)){0,8}(?!\w)",
        RegexOptions.CultureInvariant | RegexOptions.IgnoreCase, 1000)]
    private static partial Regex NumberWords();

    [GeneratedRegex(@"(?<!\w)(?:(?<n>\d{1,3})(?:st|nd|rd|th)|first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|eleventh|twelfth|last)(?!\w)", RegexOptions.CultureInvariant | RegexOptions.IgnoreCase, 1000)]
    private static partial Regex OrdinalWords();
}
