namespace AgentPlatform.Brain.Nlu;

/// <summary>An utterance and what it asks for; null for one that asks for nothing that is offered.</summary>
public sealed record LabelledUtterance(string Text, string? Intent);

/// <summary>An intent and how likely it is, from 0 to 1.</summary>
public sealed record RankedIntent(string Intent, double Confidence);

/// <summary>What a text asks for: intents by likelihood, and whether the first one is to be believed.</summary>
public sealed record Classification(bool InScope, IReadOnlyList<RankedIntent> Ranked)
{
    public string? Intent => InScope ? Ranked[0].Intent : null;
}

/// <summary>How sure a model may be: measured on texts it had not been trained on.</summary>
/// <param name="Temperature">What scores are divided by before they become probabilities, so that 0.8 is right four times in five.</param>
/// <param name="Threshold">The evidence below which a text is out of scope.</param>
/// <param name="Accuracy">The share of intents recognised out of those known, or null when there were too few examples to tell.</param>
/// <param name="OutOfScopeRecall">The share of out-of-scope examples rejected, or null when there were none.</param>
public sealed record Calibration(float Temperature, float Threshold, double? Accuracy, double? OutOfScopeRecall);

/// <summary>A trained classifier. It never changes, so any number of turns can ask it at the same time.</summary>
public sealed class IntentModel
{
    /// <summary>What an out-of-scope score counts against an intent's own.</summary>
    internal const float OutOfScopeWeight = 0.5f;

    private const int MaxRanked = 5;

    internal IntentModel(IReadOnlyList<string> intents, bool knowsOutOfScope, IReadOnlyList<Expert> experts, Calibration calibration)
    {
        (Intents, KnowsOutOfScope, Experts, Calibration) = (intents, knowsOutOfScope, experts, calibration);
    }

    public IReadOnlyList<string> Intents { get; }

    public Calibration Calibration { get; }

    internal bool KnowsOutOfScope { get; }

    internal IReadOnlyList<Expert> Experts { get; }

    /// <summary>Some tens of microseconds. A text without a word that was ever seen is out of scope.</summary>
    public Classification Classify(string text)
    {
        Span<float> scores = stackalloc float[Intents.Count + (KnowsOutOfScope ? 1 : 0)];
        var inScope = Expert.Score(Experts, Features.Of(text), scores) && Evidence(scores, Intents.Count) >= Calibration.Threshold;
        foreach (ref var score in scores)
        {
            score /= Calibration.Temperature;
        }

        Vectors.Softmax(scores);
        return new(inScope, Rank(scores));
    }

    /// <summary>The best intent's score, less what speaks for none of them.</summary>
    internal static float Evidence(ReadOnlySpan<float> scores, int intents)
    {
        var best = scores[Best(scores[..intents])];
        return scores.Length > intents ? best - OutOfScopeWeight * scores[intents] : best;
    }

    internal static int Best(ReadOnlySpan<float> scores)
    {
        var best = 0;
        for (var i = 1; i < scores.Length; i++)
        {
            best = scores[i] > scores[best] ? i : best;
        }

        return best;
    }

    private List<RankedIntent> Rank(Span<float> probabilities)
    {
        var ranked = new List<RankedIntent>(MaxRanked);
        while (ranked.Count < Math.Min(MaxRanked, Intents.Count))
        {
            var best = Best(probabilities[..Intents.Count]);
            ranked.Add(new(Intents[best], Math.Round(probabilities[best], 4)));
            probabilities[best] = -1;
        }

        return ranked;
    }
}
