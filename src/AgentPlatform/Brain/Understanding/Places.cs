using System.Globalization;
using System.Text.RegularExpressions;
using AgentPlatform.Brain.Nlu;

namespace AgentPlatform.Brain.Understanding;

/// <summary>Cities, states and countries that the lexicon lists, up to three words long.</summary>
internal static partial class Places
{
    private const int LongestName = 3;
    private static readonly string[] Kinds = ["city", "state", "country"];

    internal static IEnumerable<Entity> Find(string text)
    {
        var words = Words().Matches(text);
        for (var at = 0; at < words.Count; at++)
        {
            for (var length = Math.Min(LongestName, words.Count - at); length > 0; length--)
            {
                var end = words[at + length - 1];
                var said = text[words[at].Index..(end.Index + end.Length)];
                if (IsPlace(said))
                {
                    yield return new Entity(Entities.Place, CultureInfo.InvariantCulture.TextInfo.ToTitleCase(said.ToLowerInvariant()), said, words[at].Index);
                    at += length - 1;
                    break;
                }
            }
        }
    }

    /// <summary>"turkey" is on a plate unless it is written "Turkey"; so is a word of two letters.</summary>
    private static bool IsPlace(string said)
    {
        var concepts = Lexicon.Of(said.Replace(' ', '_').ToLowerInvariant());
        return concepts.Any(Kinds.Contains) && ((concepts.All(Kinds.Contains) && said.Length > 2) || char.IsUpper(said[0]));
    }

    [GeneratedRegex(@"\p{L}+", RegexOptions.CultureInvariant, 1000)]
    private static partial Regex Words();
}
