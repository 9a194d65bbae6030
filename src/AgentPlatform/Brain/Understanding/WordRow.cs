namespace AgentPlatform.Brain.Understanding;

/// <summary>Words, and what comparisons look at first.</summary>
internal sealed class WordRow(string[] words)
{
    internal string[] Words { get; } = words;

    internal int Count => Words.Length;

    internal ulong[] LettersOf { get; } = [.. words.Select(Letters)];

    internal string Joined { get; } = string.Concat(words);

    /// <summary>Those of all words.</summary>
    internal ulong AllLetters { get; } = words.Aggregate(0UL, (all, word) => all | Letters(word));

    internal ulong Bits { get; } = BitsOf(words);

    /// <summary>One bit a word, which others may share: what lacks a bit lacks the word.</summary>
    internal static ulong BitsOf(string[] words) => words.Aggregate(0UL, (all, word) => all | (1UL << (word.GetHashCode(StringComparison.Ordinal) & 63)));

    /// <summary>One bit a letter, which others may share: then a word only looks more alike than it is.</summary>
    private static ulong Letters(string word)
    {
        var letters = 0UL;
        foreach (var letter in word)
        {
            letters |= 1UL << (letter & 63);
        }

        return letters;
    }
}
