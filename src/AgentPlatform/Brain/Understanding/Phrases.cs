using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace AgentPlatform.Brain.Understanding;

/// <summary>Text as the pipeline compares it, and the sentences of a message.</summary>
internal static partial class Phrases
{
    /// <summary>Longer messages are read up to here: nobody asks for an action on page four.</summary>
    private const int MaxSentences = 8;

    /// <summary>Lower case without accents, apostrophes and punctuation, words separated by one blank.</summary>
    internal static string Normalize(string text)
    {
        var folded = new StringBuilder(text.Length);
        foreach (var c in text.Normalize(NormalizationForm.FormD))
        {
            if (CharUnicodeInfo.GetUnicodeCategory(c) is UnicodeCategory.NonSpacingMark || c is '\'' or '’')
            {
                continue;
            }

            folded.Append(char.IsLetterOrDigit(c) || c == '#' ? char.ToLowerInvariant(c) : ' ');
        }

        return Blanks().Replace(folded.ToString(), " ").Trim();
    }

    internal static string[] Words(string text) => Normalize(text).Split(' ', StringSplitOptions.RemoveEmptyEntries);

    /// <summary>
    /// The sentences of a message. A dot inside an address or a number ends nothing; "and then" and "also" begin a new request.
    /// </summary>
    internal static IReadOnlyList<string> Sentences(string message) =>
    [
        .. Ends().Split(message)
            .Select(part => part.Trim(' ', '\t', ',', ';', '.', '!', '?'))
            .Where(part => part.Any(char.IsLetterOrDigit))
            .Take(MaxSentences),
    ];

    [GeneratedRegex(@"\s+", RegexOptions.CultureInvariant, 1000)]
    private static partial Regex Blanks();

    [GeneratedRegex(@"[\r\n]+|(?<=[.!?])\s+|\s*;\s+|,?\s+(?:and\s+then|and\s+also|then\s+also|also|and\s+after\s+that)\s+", RegexOptions.CultureInvariant | RegexOptions.IgnoreCase, 1000)]
    private static partial Regex Ends();
}
