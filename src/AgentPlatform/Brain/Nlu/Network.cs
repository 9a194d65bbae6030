namespace AgentPlatform.Brain.Nlu;

/// <summary>
/// Features → hidden units → one score a class. The input layer gives every feature a vector of its own, learned for this task alone;
/// a text is the sum of them, so that only its own features cost anything.
/// </summary>
internal sealed class Network(int inputs, int hidden, int classes)
{
    internal int Inputs => inputs;

    internal int Hidden => hidden;

    internal int Classes => classes;

    internal float[] Input { get; } = new float[inputs * hidden];

    internal float[] InputBias { get; } = new float[hidden];

    internal float[] Output { get; } = new float[hidden * classes];

    internal float[] OutputBias { get; } = new float[classes];

    internal Span<float> InputRow(int feature) => Input.AsSpan(feature * hidden, hidden);

    internal Span<float> OutputRow(int unit) => Output.AsSpan(unit * classes, classes);

    /// <summary>Adds this network's scores to <paramref name="scores"/>.</summary>
    internal void AddScores(SparseVector text, Span<float> scores)
    {
        Span<float> units = stackalloc float[hidden];
        InputBias.CopyTo(units);
        for (var i = 0; i < text.Ids.Length; i++)
        {
            Vectors.AddScaled(units, InputRow(text.Ids[i]), text.Values[i]);
        }

        Vectors.AddScaled(scores, OutputBias, 1f);
        for (var unit = 0; unit < hidden; unit++)
        {
            if (units[unit] > 0)
            {
                Vectors.AddScaled(scores, OutputRow(unit), units[unit]);
            }
        }
    }
}
