namespace AgentPlatform.Brain.Nlu;

/// <summary>
/// Trains a model: a few networks on all examples, whose scores are averaged; and as a measure of how far to trust them, one network
/// for each part of the examples that has seen only the other parts.
/// </summary>
public static class IntentTrainer
{
    private const int Networks = 2;
    private const int Parts = 4;
    private const int Hidden = 128;

    /// <summary>Examples from which a feature must be seen twice to count.</summary>
    private const int ManyTexts = 2000;

    /// <exception cref="ArgumentException">Fewer than two intents: there is nothing to tell apart.</exception>
    public static IntentModel Train(IReadOnlyList<LabelledUtterance> examples, int seed, CancellationToken ct)
    {
        var intents = examples.Select(e => e.Intent).OfType<string>().Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal).ToArray();
        if (intents.Length < 2)
        {
            throw new ArgumentException("A classifier needs at least two intents.", nameof(examples));
        }

        var numbers = intents.Select((intent, number) => (intent, number)).ToDictionary(pair => pair.intent, pair => pair.number, StringComparer.Ordinal);
        var classes = examples.Select(e => e.Intent is { } intent ? numbers[intent] : intents.Length).ToArray();
        var knowsOutOfScope = classes.Contains(intents.Length);
        var features = examples.AsParallel().AsOrdered().WithCancellation(ct).Select(e => Features.Of(e.Text)).ToArray();
        var set = new TrainingSet(features, classes, intents.Length, knowsOutOfScope);

        // All are independent of each other, and each has its own seed: they run side by side and the result is the same.
        var (networks, heldOut) = (new Network[Networks], new float[examples.Count][]);
        var vocabulary = Vocabulary.Of(features, ManyTexts);
        var parts = Part(classes, seed);
        var vectors = features.AsParallel().AsOrdered().Select(vocabulary.Vectorize).ToArray();
        Parallel.For(0, Networks + Parts, new ParallelOptions { CancellationToken = ct, MaxDegreeOfParallelism = Environment.ProcessorCount }, job =>
        {
            if (job < Networks)
            {
                networks[job] = NetworkTrainer.Train(vectors, classes, new Network(vocabulary.Count, Hidden, set.Classes), seed + job, ct);
            }
            else
            {
                HoldOut(set, parts, job - Networks, seed + job, heldOut, ct);
            }
        });
        return new(intents, knowsOutOfScope, vocabulary, networks, Calibrator.Calibrate(heldOut, classes, intents.Length));
    }

    private sealed record TrainingSet(List<Feature>[] Features, int[] Of, int Intents, bool KnowsOutOfScope)
    {
        internal int Classes => Intents + (KnowsOutOfScope ? 1 : 0);
    }

    /// <summary>Scores the examples of one part with a network that has seen the others only; its vocabulary too knows nothing of them.</summary>
    private static void HoldOut(TrainingSet set, int[] parts, int part, int seed, float[][] scores, CancellationToken ct)
    {
        var seen = Enumerable.Range(0, parts.Length).Where(i => parts[i] != part).ToArray();
        var vocabulary = Vocabulary.Of([.. seen.Select(i => set.Features[i])], ManyTexts);
        var network = NetworkTrainer.Train(
            [.. seen.Select(i => vocabulary.Vectorize(set.Features[i]))], [.. seen.Select(i => set.Of[i])], new Network(vocabulary.Count, Hidden, set.Classes), seed, ct);
        for (var i = 0; i < parts.Length; i++)
        {
            if (parts[i] == part)
            {
                scores[i] = new float[set.Classes];
                network.AddScores(vocabulary.Vectorize(set.Features[i]), scores[i]);
            }
        }
    }

    /// <summary>Deals the examples of every class out to the parts, so that each part has its share of all.</summary>
    private static int[] Part(int[] classes, int seed)
    {
        var order = Enumerable.Range(0, classes.Length).ToArray();
        new Random(seed).Shuffle(order);
        var (parts, dealt) = (new int[classes.Length], new Dictionary<int, int>());
        foreach (var i in order)
        {
            var count = dealt.GetValueOrDefault(classes[i]);
            (parts[i], dealt[classes[i]]) = (count % Parts, count + 1);
        }

        return parts;
    }
}
