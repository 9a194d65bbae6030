using System.Diagnostics;

namespace AgentPlatform.Brain.Nlu;

/// <summary>How a model does on texts with known intents. Rates are fractions; an intent that was rejected counts as not recognised.</summary>
public sealed record IntentEvaluation(
    double AccuracyInScope, double? OosRecall, double? OosPrecision, double MacroF1, double P50Us, double P99Us, double TrainSeconds, int ModelBytes)
{
    /// <summary>Trains on the one set and measures on the other, with the model as it would be stored and read again.</summary>
    public static IntentEvaluation Run(IReadOnlyList<LabelledUtterance> train, IReadOnlyList<LabelledUtterance> test, int seed, CancellationToken ct)
    {
        var watch = Stopwatch.StartNew();
        var bytes = IntentModelFile.Write(IntentTrainer.Train(train, seed, Environment.ProcessorCount, ct));
        var seconds = watch.Elapsed.TotalSeconds;
        var model = IntentModelFile.Read(bytes)!;
        foreach (var warm in test.Take(500))
        {
            model.Classify(warm.Text);
        }

        var (answers, micros) = (new string?[test.Count], new double[test.Count]);
        for (var i = 0; i < test.Count; i++)
        {
            var start = Stopwatch.GetTimestamp();
            answers[i] = model.Classify(test[i].Text).Intent;
            micros[i] = Stopwatch.GetElapsedTime(start).TotalMicroseconds;
        }

        Array.Sort(micros);
        var pairs = test.Select((example, i) => (Wanted: example.Intent, Got: answers[i])).ToArray();
        return new(
            Rate(pairs.Where(p => p.Wanted is not null), p => p.Got == p.Wanted) ?? 0,
            Rate(pairs.Where(p => p.Wanted is null), p => p.Got is null),
            Rate(pairs.Where(p => p.Got is null), p => p.Wanted is null),
            F1(pairs),
            micros[micros.Length / 2],
            micros[(int)(micros.Length * 0.99)],
            seconds,
            bytes.Length);
    }

    private static double? Rate((string? Wanted, string? Got)[] pairs, Func<(string? Wanted, string? Got), bool> hit) => pairs.Length == 0 ? null : pairs.Count(hit) / (double)pairs.Length;

    private static double? Rate(IEnumerable<(string? Wanted, string? Got)> pairs, Func<(string? Wanted, string? Got), bool> hit) => Rate(pairs.ToArray(), hit);

    /// <summary>Over the intents alone: what is out of scope has figures of its own.</summary>
    private static double F1((string? Wanted, string? Got)[] pairs) =>
        pairs.Select(p => p.Wanted).OfType<string>().Distinct(StringComparer.Ordinal).Average(intent =>
        {
            var hits = pairs.Count(p => p.Wanted == intent && p.Got == intent);
            var named = pairs.Count(p => p.Wanted == intent) + pairs.Count(p => p.Got == intent);
            return 2.0 * hits / named;
        });
}
