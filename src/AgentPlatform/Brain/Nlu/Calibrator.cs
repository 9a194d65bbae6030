namespace AgentPlatform.Brain.Nlu;

/// <summary>Chooses from scores of texts that were held out how probable a score is, and below which one a text is out of scope.</summary>
internal static class Calibrator
{
    /// <summary>
    /// The operating point: as much is rejected as costs this share of the intents that would have been recognised. It needs no
    /// out-of-scope example, and means the same for every agent.
    /// </summary>
    internal const double Cost = 0.004;

    /// <summary>Without a measure, what is believed must be more likely than everything else together.</summary>
    private static readonly Calibration Unmeasured = new(1f, float.NegativeInfinity, null, null);

    internal static Calibration Calibrate(float[][] scores, int[] classes, int intents)
    {
        var known = Enumerable.Range(0, classes.Length).Where(i => classes[i] < intents).ToArray();
        var right = known.Where(i => IntentModel.Best(scores[i].AsSpan(0, intents)) == classes[i]).Select(i => IntentModel.Evidence(scores[i], intents)).Order().ToArray();
        if (right.Length == 0)
        {
            return Unmeasured;
        }

        var threshold = right[(int)(right.Length * Cost)];
        var unknown = Enumerable.Range(0, classes.Length).Where(i => classes[i] == intents).ToArray();
        return new(
            Temperature(scores, classes, known),
            threshold,
            right.Count(evidence => evidence >= threshold) / (double)known.Length,
            unknown.Length == 0 ? null : unknown.Count(i => IntentModel.Evidence(scores[i], intents) < threshold) / (double)unknown.Length);
    }

    /// <summary>The one under which what happened was the least surprising.</summary>
    private static float Temperature(float[][] scores, int[] classes, int[] known) =>
        Enumerable.Range(1, 30).Select(step => step * 0.1f).MinBy(temperature => known.Sum(i => Surprise(scores[i], classes[i], temperature)));

    private static double Surprise(float[] scores, int wanted, float temperature)
    {
        Span<float> probabilities = stackalloc float[scores.Length];
        for (var i = 0; i < scores.Length; i++)
        {
            probabilities[i] = scores[i] / temperature;
        }

        Vectors.Softmax(probabilities);
        return -Math.Log(Math.Max(probabilities[wanted], 1e-9));
    }
}
