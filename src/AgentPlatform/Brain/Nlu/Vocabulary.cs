using System.Numerics;

namespace AgentPlatform.Brain.Nlu;

/// <summary>The known features of a text, by their number in the vocabulary, ascending.</summary>
internal readonly record struct SparseVector(int[] Ids, float[] Values);

/// <summary>The features worth knowing, each with how much its rarity makes it say.</summary>
internal sealed class Vocabulary
{
    private readonly Dictionary<ulong, int> _ids;

    internal Vocabulary(FeatureKinds kinds, ulong[] hashes, float[] rarity)
    {
        Kinds = kinds;
        Hashes = hashes;
        Rarity = rarity;
        _ids = hashes.Select((hash, id) => (hash, id)).ToDictionary(pair => pair.hash, pair => pair.id);
    }

    /// <summary>What it looks at; features of other kinds are none of its own.</summary>
    internal FeatureKinds Kinds { get; }

    internal ulong[] Hashes { get; }

    internal float[] Rarity { get; }

    internal int Count => Hashes.Length;

    /// <summary>Features of a single text are noise where there are many texts, and all there is where there are few.</summary>
    internal static Vocabulary Of(IReadOnlyList<List<Feature>> texts, FeatureKinds kinds, int manyTexts)
    {
        var counts = new Dictionary<ulong, int>();
        var seen = new HashSet<ulong>();
        foreach (var text in texts)
        {
            seen.Clear();
            foreach (var feature in text)
            {
                if ((feature.Kind & kinds) != FeatureKinds.None && seen.Add(feature.Hash))
                {
                    counts[feature.Hash] = counts.GetValueOrDefault(feature.Hash) + 1;
                }
            }
        }

        var least = texts.Count >= manyTexts ? 2 : 1;
        var kept = counts.Where(pair => pair.Value >= least).OrderBy(pair => pair.Key).ToArray();
        return new(
            kinds,
            [.. kept.Select(pair => pair.Key)],
            [.. kept.Select(pair => MathF.Log((texts.Count + 1f) / (pair.Value + 1f)) + 1f)]);
    }

    /// <summary>Each kind of feature scaled to length 1, the whole likewise.</summary>
    internal SparseVector Vectorize(List<Feature> features)
    {
        var known = new SortedList<int, (float Value, FeatureKinds Kind)>(features.Count);
        foreach (var feature in features)
        {
            if (_ids.TryGetValue(feature.Hash, out var id))
            {
                known[id] = (feature.Weight * Rarity[id], feature.Kind);
            }
        }

        Span<float> squares = stackalloc float[(int)FeatureKinds.Stems + 1];
        foreach (var (value, kind) in known.Values)
        {
            squares[(int)kind] += value * value;
        }

        var kinds = BitOperations.PopCount((uint)Kinds);
        var (ids, values) = (new int[known.Count], new float[known.Count]);
        for (var i = 0; i < ids.Length; i++)
        {
            var (value, kind) = known.Values[i];
            (ids[i], values[i]) = (known.Keys[i], value / MathF.Sqrt(squares[(int)kind] * kinds));
        }

        return new(ids, values);
    }
}
