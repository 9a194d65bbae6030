using System.Collections.Frozen;
using System.Globalization;
using System.Text;

namespace AgentPlatform.Brain.Nlu;

/// <summary>A text as the classifier reads it: words in lower case without accents, contractions written out, digits as their shape.</summary>
internal static class Utterance
{
    /// <summary>What is said further on changes nothing about what is wanted, and a turn must not wait for it.</summary>
    internal const int MaxLength = 1000;

    /// <summary>Signs that carry meaning: amounts, arithmetic, a question.</summary>
    private const string Signs = "$£€%?+=*/";

    private static readonly FrozenDictionary<string, string[]> WrittenOut = new Dictionary<string, string[]>(StringComparer.Ordinal)
    {
        ["won't"] = ["will", "not"],
        ["wont"] = ["will", "not"],
        ["can't"] = ["can", "not"],
        ["cant"] = ["can", "not"],
        ["cannot"] = ["can", "not"],
        ["dont"] = ["do", "not"],
        ["didnt"] = ["did", "not"],
        ["doesnt"] = ["does", "not"],
        ["isnt"] = ["is", "not"],
        ["wasnt"] = ["was", "not"],
        ["hasnt"] = ["has", "not"],
        ["havent"] = ["have", "not"],
        ["wouldnt"] = ["would", "not"],
        ["let's"] = ["let", "us"],
        ["i'm"] = ["i", "am"],
        ["im"] = ["i", "am"],
        ["ive"] = ["i", "have"],
        ["what's"] = ["what", "is"],
        ["whats"] = ["what", "is"],
        ["where's"] = ["where", "is"],
        ["wheres"] = ["where", "is"],
        ["when's"] = ["when", "is"],
        ["whens"] = ["when", "is"],
        ["how's"] = ["how", "is"],
        ["hows"] = ["how", "is"],
        ["who's"] = ["who", "is"],
        ["it's"] = ["it", "is"],
        ["that's"] = ["that", "is"],
        ["thats"] = ["that", "is"],
        ["there's"] = ["there", "is"],
        ["gonna"] = ["going", "to"],
        ["wanna"] = ["want", "to"],
        ["gotta"] = ["got", "to"],
        ["u"] = ["you"],
        ["ur"] = ["your"],
        ["pls"] = ["please"],
        ["plz"] = ["please"],
        ["thx"] = ["thanks"],
    }.ToFrozenDictionary(StringComparer.Ordinal);

    private static readonly (string Ending, string Word)[] Endings =
        [("n't", "not"), ("'re", "are"), ("'ve", "have"), ("'ll", "will"), ("'d", "would"), ("'m", "am"), ("'s", "'s")];

    internal static List<string> Words(string text)
    {
        var words = new List<string>();
        var word = new StringBuilder();
        foreach (var c in Fold(text))
        {
            if (char.IsLetterOrDigit(c) || c == '\'')
            {
                word.Append(c);
                continue;
            }

            Add(words, word);
            if (Signs.Contains(c, StringComparison.Ordinal))
            {
                words.Add(c.ToString());
            }
        }

        Add(words, word);
        return words;
    }

    /// <summary>"booking", "booked" and "books" are one stem. A stem is only compared with stems, so it need not be a word.</summary>
    internal static string Stem(string word) => word switch
    {
        { Length: > 5 } when word.EndsWith("ing", StringComparison.Ordinal) => word[..^3],
        { Length: > 4 } when word.EndsWith("ed", StringComparison.Ordinal) || word.EndsWith("es", StringComparison.Ordinal) => word[..^2],
        { Length: > 3 } when word[^1] == 'e' || (word[^1] == 's' && word[^2] != 's') => word[..^1],
        _ => word,
    };

    private static IEnumerable<char> Fold(string text)
    {
        // Half of a surrogate pair cannot be normalised; it says nothing either.
        var cut = new string([.. text.Take(MaxLength).Where(c => !char.IsSurrogate(c))]);
        foreach (var c in cut.Normalize(NormalizationForm.FormD))
        {
            if (CharUnicodeInfo.GetUnicodeCategory(c) != UnicodeCategory.NonSpacingMark)
            {
                yield return c == '’' ? '\'' : char.ToLowerInvariant(c);
            }
        }
    }

    private static void Add(List<string> words, StringBuilder letters)
    {
        var word = letters.ToString().Trim('\'');
        letters.Clear();
        if (word.Length == 0)
        {
            return;
        }

        if (WrittenOut.TryGetValue(word, out var whole))
        {
            words.AddRange(whole);
        }
        else if (char.IsAsciiDigit(word[0]))
        {
            words.Add(Shape(word));
        }
        else if (Endings.FirstOrDefault(e => word.Length > e.Ending.Length && word.EndsWith(e.Ending, StringComparison.Ordinal)) is { Word: { } said } ending)
        {
            words.Add(word[..^ending.Ending.Length]);
            words.Add(said);
        }
        else
        {
            words.Add(word);
        }
    }

    /// <summary>"15" and "27" mean the same kind of thing, and so do "3pm" and "8pm".</summary>
    private static string Shape(string word) =>
        word.All(char.IsAsciiDigit) && word.Length > 4 ? "00000" : string.Concat(word.Select(c => char.IsAsciiDigit(c) ? '0' : c));
}
