using System.Collections.Frozen;

namespace AgentPlatform.Brain.Nlu;

/// <summary>
/// What common English words mean, roughly: "lasagna" and "burrito" are both a dish. It carries what one was taught about the one over to the
/// other, which no statistics of a few thousand sentences can.
/// </summary>
internal static class Lexicon
{
    private const int LongestPhrase = 3;
    private const int ShortestStem = 4;

    private static readonly (FrozenDictionary<string, string[]> Phrases, FrozenDictionary<string, string[]> Stems) Concepts = Load();

    /// <summary>The concepts of each word, in the order of <paramref name="words"/>. All words of a phrase stand for what the phrase means.</summary>
    internal static IReadOnlyList<string>[] Of(IReadOnlyList<string> words)
    {
        var found = new IReadOnlyList<string>[words.Count];
        Array.Fill(found, []);
        for (var at = 0; at < words.Count; at++)
        {
            for (var length = Math.Min(LongestPhrase, words.Count - at); length > 0; length--)
            {
                if (Find(words, at, length) is not { } concepts)
                {
                    continue;
                }

                for (var i = at; i < at + length; i++)
                {
                    found[i] = found[i].Count == 0 ? concepts : [.. found[i].Union(concepts, StringComparer.Ordinal)];
                }
            }
        }

        return found;
    }

    /// <summary>The concepts of a phrase as the lexicon writes it, its words joined by underscores.</summary>
    internal static IReadOnlyList<string> Of(string phrase) => Concepts.Phrases.GetValueOrDefault(phrase, []);

    private static string[]? Find(IReadOnlyList<string> words, int at, int length)
    {
        var phrase = length == 1 ? words[at] : string.Join('_', words.Skip(at).Take(length));
        return Concepts.Phrases.TryGetValue(phrase, out var concepts) || (length == 1 && Concepts.Stems.TryGetValue(Utterance.Stem(phrase), out concepts)) ? concepts : null;
    }

    private static (FrozenDictionary<string, string[]>, FrozenDictionary<string, string[]>) Load()
    {
        using var stream = typeof(Lexicon).Assembly.GetManifestResourceStream("Brain/Nlu/Lexicon.txt") ?? throw new InvalidOperationException("The lexicon is missing from the assembly.");
        using var reader = new StreamReader(stream);
        var pairs =
            (from line in reader.ReadToEnd().Split('\n')
             where line.Length > 0 && line[0] != '#'
             let colon = line.IndexOf(':', StringComparison.Ordinal)
             where colon > 0
             from phrase in line[(colon + 1)..].Split(' ', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
             select (Concept: line[..colon], Phrase: phrase)).ToList();
        var phrases = pairs.GroupBy(pair => pair.Phrase, pair => pair.Concept, StringComparer.Ordinal);
        var stems = pairs
            .Where(pair => pair.Phrase.Length > ShortestStem && !pair.Phrase.Contains('_', StringComparison.Ordinal))
            .GroupBy(pair => Utterance.Stem(pair.Phrase), pair => pair.Concept, StringComparer.Ordinal);
        return (Freeze(phrases), Freeze(stems));
    }

    private static FrozenDictionary<string, string[]> Freeze(IEnumerable<IGrouping<string, string>> groups) =>
        groups.ToFrozenDictionary(group => group.Key, group => group.Distinct(StringComparer.Ordinal).ToArray(), StringComparer.Ordinal);
}
