using System.Runtime.InteropServices;

namespace AgentPlatform.Brain.Nlu;

/// <summary>What a feature is made of. Each kind is scaled to the same length, so that a long text's letters do not drown its words.</summary>
[Flags]
internal enum FeatureKinds : byte
{
    None = 0,
    Words = 1,
    Letters = 2,
    Concepts = 4,
    Stems = 8,
}

/// <summary>Something that can be seen in a text, under a hash of its own; 64 bits make a collision unlikely enough to be ignored.</summary>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct Feature(ulong Hash, float Weight, FeatureKinds Kind);

/// <summary>
/// Reads out of a text: its words, pairs and triples of words, what it begins and ends with; the letters within each word; the concepts of
/// its words alone, beside a word, beside each other, and together anywhere; the stems of its words, and words with others between them.
/// </summary>
internal static class Features
{
    private const int ShortestLetters = 2;
    private const int LongestLetters = 4;
    private const int LongestGap = 3;

    /// <summary>Of a message as long as a letter only this many words, or a turn would take as long as the letter.</summary>
    private const int MaxWords = 60;

    private enum Shape : ulong
    {
        Word = 1, Pair, Triple, First, FirstTwo, Last, LastTwo, Letters, Stem, StemPair, Gap, Concept, ConceptWord, WordConcept, ConceptConcept, Together,
    }

    internal static List<Feature> Of(string text)
    {
        var said = Utterance.Words(text);
        var words = said.Count > MaxWords ? said[..MaxWords] : said;
        var features = new List<Feature>(words.Count * 24);
        AddWords(features, words);
        AddConcepts(features, words);
        AddStems(features, words);
        foreach (var word in words)
        {
            AddLetters(features, word);
        }

        return features;
    }

    private static void AddWords(List<Feature> features, List<string> words)
    {
        void Add(Shape shape, float weight, int from, int count) => features.Add(new(Hash(shape, CollectionsMarshal.AsSpan(words).Slice(from, count)), weight, FeatureKinds.Words));

        var last = words.Count - 1;
        for (var i = 0; i <= last; i++)
        {
            Add(Shape.Word, 1f, i, 1);
            if (i + 1 <= last)
            {
                Add(Shape.Pair, 0.8f, i, 2);
            }

            if (i + 2 <= last)
            {
                Add(Shape.Triple, 0.5f, i, 3);
            }
        }

        if (last >= 0)
        {
            Add(Shape.First, 0.7f, 0, 1);
            Add(Shape.Last, 0.7f, last, 1);
        }

        if (last >= 1)
        {
            Add(Shape.FirstTwo, 0.7f, 0, 2);
            Add(Shape.LastTwo, 0.7f, last - 1, 2);
        }
    }

    private static void AddConcepts(List<Feature> features, List<string> words)
    {
        void Add(Shape shape, float weight, params ReadOnlySpan<string> parts) => features.Add(new(Hash(shape, parts), weight, FeatureKinds.Concepts));

        var concepts = Lexicon.Of(words);
        for (var i = 0; i < words.Count; i++)
        {
            foreach (var concept in concepts[i])
            {
                Add(Shape.Concept, 1f, concept);
            }

            if (i + 1 == words.Count)
            {
                break;
            }

            foreach (var concept in concepts[i])
            {
                Add(Shape.ConceptWord, 0.6f, concept, words[i + 1]);
                foreach (var next in concepts[i + 1].Where(next => next != concept))
                {
                    Add(Shape.ConceptConcept, 0.6f, concept, next);
                }
            }

            foreach (var next in concepts[i + 1])
            {
                Add(Shape.WordConcept, 0.6f, words[i], next);
            }
        }

        var all = concepts.SelectMany(c => c).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal).ToArray();
        for (var i = 0; i < all.Length; i++)
        {
            for (var j = i + 1; j < all.Length; j++)
            {
                Add(Shape.Together, 0.4f, all[i], all[j]);
            }
        }
    }

    private static void AddStems(List<Feature> features, List<string> words)
    {
        void Add(Shape shape, float weight, params ReadOnlySpan<string> parts) => features.Add(new(Hash(shape, parts), weight, FeatureKinds.Stems));

        var stems = words.ConvertAll(Utterance.Stem);
        for (var i = 0; i < words.Count; i++)
        {
            Add(Shape.Stem, 1f, stems[i]);
            if (i + 1 < words.Count)
            {
                Add(Shape.StemPair, 0.7f, stems[i], stems[i + 1]);
            }

            for (var gap = 2; gap <= LongestGap && i + gap < words.Count; gap++)
            {
                Add(Shape.Gap, 0.7f, words[i], words[i + gap]);
            }
        }
    }

    /// <summary>The beginning and the end of a word count as letters: "un-" at the front says more than "un" inside.</summary>
    private static void AddLetters(List<Feature> features, string word)
    {
        var bounded = $"<{word}>";
        for (var start = 0; start < bounded.Length; start++)
        {
            var hash = Seed(Shape.Letters);
            for (var length = 1; length <= LongestLetters && start + length <= bounded.Length; length++)
            {
                hash = Mix(hash, bounded[start + length - 1]);
                if (length >= ShortestLetters)
                {
                    features.Add(new(Finish(hash, length), 1f, FeatureKinds.Letters));
                }
            }
        }
    }

    private static ulong Hash(Shape shape, ReadOnlySpan<string> parts)
    {
        var hash = Seed(shape);
        foreach (var part in parts)
        {
            foreach (var c in part)
            {
                hash = Mix(hash, c);
            }

            hash = Mix(hash, ' ');
        }

        return Finish(hash, parts.Length);
    }

    // FNV-1a, finished by the mixer of splitmix64: string.GetHashCode differs from process to process, and a model is read by another one.
    private static ulong Seed(Shape shape) => Mix(14695981039346656037, (ulong)shape);

    private static ulong Mix(ulong hash, ulong value) => (hash ^ value) * 1099511628211;

    private static ulong Finish(ulong hash, int count)
    {
        hash = Mix(hash, (ulong)count);
        hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9;
        hash = (hash ^ (hash >> 27)) * 0x94d049bb133111eb;
        return hash ^ (hash >> 31);
    }
}
