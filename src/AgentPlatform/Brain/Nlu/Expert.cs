namespace AgentPlatform.Brain.Nlu;

/// <summary>A network and the features it looks at. Experts that see different sides of a text err at different texts, so that their mean errs less.</summary>
internal sealed record Expert(Vocabulary Vocabulary, Network Network)
{
    /// <summary>What each expert of a model looks at.</summary>
    internal static readonly FeatureKinds[] Views =
    [
        FeatureKinds.Words | FeatureKinds.Concepts | FeatureKinds.Letters,
        FeatureKinds.Words | FeatureKinds.Concepts | FeatureKinds.Letters | FeatureKinds.Stems,
    ];

    /// <summary>Adds this expert's scores; false when it knows nothing of what it sees.</summary>
    internal bool AddScores(List<Feature> features, Span<float> scores)
    {
        var text = Vocabulary.Vectorize(features);
        Network.AddScores(text, scores);
        return text.Ids.Length > 0;
    }

    /// <summary>The mean of what the experts say; false when none of them knows anything in the text.</summary>
    internal static bool Score(IReadOnlyList<Expert> experts, List<Feature> features, Span<float> scores)
    {
        var known = false;
        foreach (var expert in experts)
        {
            known |= expert.AddScores(features, scores);
        }

        foreach (ref var score in scores)
        {
            score /= experts.Count;
        }

        return known;
    }
}
