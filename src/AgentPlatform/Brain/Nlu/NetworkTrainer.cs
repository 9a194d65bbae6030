namespace AgentPlatform.Brain.Nlu;

/// <summary>
/// Trains one network, text by text in an order drawn from the seed: softmax loss, AdaGrad, half of the hidden units switched off at
/// every step so that none can rely on another. The same seed, texts and processor give the same network.
/// </summary>
internal sealed class NetworkTrainer
{
    private const float Rate = 0.05f;
    private const float Dropout = 0.5f;

    /// <summary>A text recognised with a doubt less than this has nothing more to teach.</summary>
    private const float Negligible = 0.01f;

    /// <summary>Steps below which a network of few texts has not learned them.</summary>
    private const int LeastSteps = 150_000;
    private const int LeastEpochs = 15;
    private const int MostEpochs = 100;

    private readonly Network _network;
    private readonly Random _random;
    private readonly float[] _inputMoved, _inputBiasMoved, _outputMoved, _outputBiasMoved;
    private readonly float[] _units, _kept, _unitSlopes, _scores;

    private NetworkTrainer(Network network, int seed)
    {
        _network = network;
        _random = new Random(seed);
        Fill(network.Input, 0.1f);
        Fill(network.Output, MathF.Sqrt(3f / network.Hidden));
        // AdaGrad divides by what has been moved: the start values bound the first steps.
        _inputMoved = Filled(network.Inputs, 1e-3f);
        _inputBiasMoved = Filled(network.Hidden, 1e-2f);
        _outputMoved = Filled(network.Output.Length, 1e-2f);
        _outputBiasMoved = Filled(network.Classes, 1e-2f);
        (_units, _kept, _unitSlopes, _scores) = (new float[network.Hidden], new float[network.Hidden], new float[network.Hidden], new float[network.Classes]);
    }

    internal static void Train(IReadOnlyList<SparseVector> texts, IReadOnlyList<int> classes, Network network, int seed, CancellationToken ct)
    {
        var trainer = new NetworkTrainer(network, seed);
        var order = Enumerable.Range(0, texts.Count).ToArray();
        var epochs = Math.Clamp(LeastSteps / Math.Max(1, texts.Count), LeastEpochs, MostEpochs);
        for (var epoch = 0; epoch < epochs; epoch++)
        {
            ct.ThrowIfCancellationRequested();
            trainer._random.Shuffle(order);
            var rate = Rate * (1 - 0.9f * epoch / epochs);
            foreach (var i in order)
            {
                trainer.Learn(texts[i], classes[i], rate);
            }
        }

    }

    private void Learn(SparseVector text, int wanted, float rate)
    {
        Forward(text);
        // The slope of the softmax loss at each score: how much too sure.
        Vectors.Softmax(_scores);
        _scores[wanted] -= 1;
        if (-_scores[wanted] < Negligible)
        {
            return;
        }

        for (var unit = 0; unit < _units.Length; unit++)
        {
            var row = _network.OutputRow(unit);
            _unitSlopes[unit] = _kept[unit] == 0 ? 0 : _kept[unit] * Vectors.Dot(row, _scores);
            if (_units[unit] != 0)
            {
                Vectors.Step(row, _outputMoved.AsSpan(unit * _network.Classes, _network.Classes), _scores, _units[unit], rate);
            }
        }

        Vectors.Step(_network.OutputBias, _outputBiasMoved, _scores, 1, rate);
        Vectors.Step(_network.InputBias, _inputBiasMoved, _unitSlopes, 1, rate);
        // One measure of movement a feature instead of one a weight: as good, and half the memory to walk through.
        var size = Vectors.Dot(_unitSlopes, _unitSlopes) / _unitSlopes.Length;
        for (var i = 0; i < text.Ids.Length; i++)
        {
            var (id, value) = (text.Ids[i], text.Values[i]);
            _inputMoved[id] += size * value * value;
            Vectors.AddScaled(_network.InputRow(id), _unitSlopes, -rate * value / MathF.Sqrt(_inputMoved[id]));
        }
    }

    private void Forward(SparseVector text)
    {
        _network.InputBias.CopyTo(_units, 0);
        for (var i = 0; i < text.Ids.Length; i++)
        {
            Vectors.AddScaled(_units, _network.InputRow(text.Ids[i]), text.Values[i]);
        }

        _network.OutputBias.CopyTo(_scores, 0);
        for (var unit = 0; unit < _units.Length; unit++)
        {
            _kept[unit] = _units[unit] > 0 && _random.NextSingle() >= Dropout ? 1 / (1 - Dropout) : 0;
            _units[unit] *= _kept[unit];
            if (_units[unit] != 0)
            {
                Vectors.AddScaled(_scores, _network.OutputRow(unit), _units[unit]);
            }
        }
    }

    private void Fill(float[] weights, float reach)
    {
        foreach (ref var weight in weights.AsSpan())
        {
            weight = (_random.NextSingle() * 2 - 1) * reach;
        }
    }

    private static float[] Filled(int length, float value)
    {
        var filled = new float[length];
        Array.Fill(filled, value);
        return filled;
    }
}
