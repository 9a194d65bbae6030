using System.Collections.Frozen;

namespace AgentPlatform.Brain.Nlu;

/// <summary>
/// A text as a direction, so that texts of like words and like meanings point nearly the same way: stems, concepts of the lexicon and letters, each under a
/// hash. Nothing is trained: the same text has the same embedding on every host and for good, and a threshold that somebody chose keeps its meaning.
/// </summary>
internal static class Embedding
{
    /// <summary>Told with every comparison: another way to embed would make other similarities.</summary>
    internal const string Name = "hashed-1";

    /// <summary>Of few enough that a message can be spread out, and of many enough that two features of a sentence hardly ever meet.</summary>
    internal const int Dimensions = 4096;

    private const float Concept = 1f;
    private const float Letters = 0.6f;
    private const int LettersLong = 3;

    /// <summary>What words of every sentence weigh.</summary>
    private const float CommonWeight = 0.15f;

    private static readonly FrozenSet<string> Common =
        """
        a an the this that these those it its there here i me my mine we us our you your he she they them their his her is am are was were be been being do does did
        have has had will would can could shall should may might must not no of to in on at by for from with about into out up off over as and or but if then than so
        just very too also please what which who when where why how hi hello hey any some all get got want need like know tell let
        """.Split([' ', '\n', '\r'], StringSplitOptions.RemoveEmptyEntries).ToFrozenSet(StringComparer.Ordinal);

    /// <summary>Of length 1; without a word, of no dimension.</summary>
    internal static SparseVector Of(string text)
    {
        var weights = new SortedDictionary<int, float>();
        // Signs are everywhere, and a question without its mark is the same question.
        var words = Utterance.Words(text).FindAll(word => char.IsLetterOrDigit(word[0]));
        var concepts = Lexicon.Of(words);
        for (var i = 0; i < words.Count; i++)
        {
            var weight = Common.Contains(words[i]) ? CommonWeight : 1f;
            Add(weights, 's', Utterance.Stem(words[i]), weight);
            foreach (var concept in concepts[i])
            {
                Add(weights, 'c', concept, weight * Concept / MathF.Sqrt(concepts[i].Count));
            }

            var bounded = $"<{words[i]}>";
            var parts = Math.Max(1, bounded.Length - LettersLong + 1);
            for (var at = 0; at + LettersLong <= bounded.Length; at++)
            {
                Add(weights, 'l', bounded.AsSpan(at, LettersLong), weight * Letters / MathF.Sqrt(parts));
            }
        }

        var length = MathF.Sqrt(weights.Values.Sum(weight => weight * weight));
        return new([.. weights.Keys], [.. weights.Values.Select(weight => weight / length)]);
    }

    /// <summary>With a place for every dimension, to be compared with many.</summary>
    internal static float[] Spread(SparseVector vector)
    {
        var spread = new float[Dimensions];
        for (var i = 0; i < vector.Ids.Length; i++)
        {
            spread[vector.Ids[i]] = vector.Values[i];
        }

        return spread;
    }

    /// <summary>The cosine of the angle between the two: 1 for the same, 0 for what has nothing in common.</summary>
    internal static float Similarity(float[] spread, SparseVector other)
    {
        // A turn comes by here some hundred thousand times.
        var (sum, ids, values) = (0f, other.Ids, other.Values);
        for (var i = 0; i < ids.Length; i++)
        {
            sum += spread[ids[i]] * values[i];
        }

        return sum;
    }

    /// <summary>What is said twice says no more.</summary>
    private static void Add(SortedDictionary<int, float> weights, char kind, ReadOnlySpan<char> feature, float weight)
    {
        // FNV-1a: string.GetHashCode differs from process to process.
        var hash = (14695981039346656037UL ^ kind) * 1099511628211UL;
        foreach (var letter in feature)
        {
            hash = (hash ^ letter) * 1099511628211UL;
        }

        var id = (int)((hash ^ (hash >> 29)) % Dimensions);
        weights[id] = MathF.Max(weights.GetValueOrDefault(id), weight);
    }
}
