namespace AgentPlatform.Brain.Nlu;

/// <summary>
/// Trains a model: its experts on all examples; and as a measure of how far to trust them, as many again for each part of the examples,
/// which have seen only the other parts.
/// </summary>
public static class IntentTrainer
{
    private const int Parts = 3;
    private const int Hidden = 128;

    /// <summary>Examples from which a feature must be seen twice to count.</summary>
    private const int ManyTexts = 2000;

    /// <param name="examples">In any order; the order is part of what makes the same model again.</param>
    /// <param name="seed">What every choice by chance is drawn from.</param>
    /// <param name="cores">How many it may occupy; more make it faster, and nothing else.</param>
    /// <param name="ct">Stops it between two passes over the examples.</param>
    /// <exception cref="ArgumentException">No intent, or a single one and nothing out of scope: there is nothing to tell apart.</exception>
    public static IntentModel Train(IReadOnlyList<LabelledUtterance> examples, int seed, int cores, CancellationToken ct)
    {
        var intents = examples.Select(e => e.Intent).OfType<string>().Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal).ToArray();
        if (intents.Length == 0 || (intents.Length == 1 && examples.All(e => e.Intent is not null)))
        {
            throw new ArgumentException("There is nothing to tell apart.", nameof(examples));
        }

        var numbers = intents.Select((intent, number) => (intent, number)).ToDictionary(pair => pair.intent, pair => pair.number, StringComparer.Ordinal);
        var classes = examples.Select(e => e.Intent is { } intent ? numbers[intent] : intents.Length).ToArray();
        var knowsOutOfScope = classes.Contains(intents.Length);
        var features = new List<Feature>[examples.Count];
        Parallel.For(0, examples.Count, new ParallelOptions { CancellationToken = ct, MaxDegreeOfParallelism = cores }, i => features[i] = Features.Of(examples[i].Text));
        var outputs = intents.Length + (knowsOutOfScope ? 1 : 0);

        var (views, parts) = (Expert.Views.Length, Part(classes, seed));
        var (experts, heldOut) = (new Expert[views], new float[views][][]);
        for (var view = 0; view < views; view++)
        {
            heldOut[view] = new float[examples.Count][];
        }

        // Every expert is independent of the others, and has a seed of its own: they train side by side and the result is the same.
        Parallel.For(0, views * (1 + Parts), new ParallelOptions { CancellationToken = ct, MaxDegreeOfParallelism = cores }, job =>
        {
            var (view, part) = (job % views, job / views - 1);
            int[] seen = [.. Enumerable.Range(0, examples.Count).Where(i => parts[i] != part)];
            var expert = TrainExpert([.. seen.Select(i => features[i])], [.. seen.Select(i => classes[i])], Expert.Views[view], outputs, seed + job, ct);
            if (part < 0)
            {
                experts[view] = expert;
                return;
            }

            for (var i = 0; i < parts.Length; i++)
            {
                if (parts[i] == part)
                {
                    expert.AddScores(features[i], heldOut[view][i] = new float[outputs]);
                }
            }
        });
        return new(intents, knowsOutOfScope, experts, Calibrator.Calibrate([.. Enumerable.Range(0, examples.Count).Select(i => Mean(heldOut, i))], classes, intents.Length));
    }

    private static float[] Mean(float[][][] scores, int text)
    {
        var mean = new float[scores[0][text].Length];
        foreach (var view in scores)
        {
            Vectors.AddScaled(mean, view[text], 1f / scores.Length);
        }

        return mean;
    }

    private static Expert TrainExpert(List<Feature>[] texts, int[] classes, FeatureKinds view, int outputs, int seed, CancellationToken ct)
    {
        var vocabulary = Vocabulary.Of(texts, view, ManyTexts);
        var network = new Network(vocabulary.Count, Hidden, outputs);
        NetworkTrainer.Train([.. texts.Select(vocabulary.Vectorize)], classes, network, seed, ct);
        return new(vocabulary, network);
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
