using System.Numerics;
using FuzzySharp;

namespace AgentPlatform.Brain.Understanding;

/// <summary>How nearly a phrase was said.</summary>
internal static class Likeness
{
    /// <summary>Words between the words of a phrase: more of them, and the sentence is about something else.</summary>
    private const int MaxGap = 6;

    internal static decimal? Literal(WordRow phrase, WordRow said, decimal whole, decimal inside, decimal? gapped) =>
        phrase.Words.AsSpan().SequenceEqual(said.Words) ? whole
        : said.Words.AsSpan().IndexOf(phrase.Words) >= 0 ? inside
        : gapped is not null && phrase.Words.Length > 1 && Aligned(phrase, said, 100) is not null ? gapped
        : null;

    /// <summary>Between 0.50 and 0.85, below every literal hit, in proportion to the likeness.</summary>
    internal static decimal? Near(WordRow phrase, WordRow said, int threshold)
    {
        if (phrase.Joined.Length < 4)
        {
            return null;
        }

        var whole = Ratio(phrase.Joined, phrase.AllLetters, said.Joined, said.AllLetters, threshold);
        var likeness = Math.Max(whole, Aligned(phrase, said, threshold) ?? 0);
        return likeness < threshold ? null : Math.Round(0.50m + 0.35m * (likeness - threshold) / Math.Max(1, 100 - threshold), 2);
    }

    /// <summary>Whether two texts have enough letters in common to be that much alike: twice those, of all.</summary>
    internal static bool MayBe(int length, ulong letters, int otherLength, ulong otherLetters, int threshold)
    {
        var common = Math.Min(length - BitOperations.PopCount(letters & ~otherLetters), otherLength - BitOperations.PopCount(otherLetters & ~letters));
        return 200 * common >= (threshold - 1) * (length + otherLength);
    }

    /// <summary>The same for two words. Two letters of difference in a short word make another word.</summary>
    internal static bool MayBeWord(int length, ulong letters, int otherLength, ulong otherLetters, int threshold) =>
        length < 4 || otherLength < 4 ? length == otherLength && letters == otherLetters : MayBe(length, letters, otherLength, otherLetters, threshold);

    private static int Ratio(string a, ulong lettersOfA, string b, ulong lettersOfB, int threshold) =>
        MayBe(a.Length, lettersOfA, b.Length, lettersOfB, threshold) ? Fuzz.Ratio(a, b) : 0;

    /// <summary>The phrase's words found in order, each alike enough: their average likeness, or null.</summary>
    private static int? Aligned(WordRow phrase, WordRow said, int threshold)
    {
        var (at, last, sum) = (0, -1, 0);
        for (var word = 0; word < phrase.Words.Length; word++)
        {
            var best = 0;
            while (at < said.Words.Length && (best = OfWords(phrase, word, said, at, threshold)) < threshold)
            {
                at++;
            }

            if (at == said.Words.Length || (last >= 0 && at - last > MaxGap))
            {
                return null;
            }

            sum += best;
            last = at++;
        }

        return sum / phrase.Words.Length;
    }

    private static int OfWords(WordRow phrase, int word, WordRow said, int at, int threshold)
    {
        var (a, b) = (phrase.Words[word], said.Words[at]);
        return a == b ? 100
            : threshold == 100 || a.Length < 4 || b.Length < 4 ? 0
            : Ratio(a, phrase.LettersOf[word], b, said.LettersOf[at], threshold);
    }
}
