using AgentPlatform.Brain.Nlu;
using AgentPlatform.Brain.Nlu.Models;
using Microsoft.Extensions.Caching.Memory;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Brain.Shadows;

/// <summary>
/// Classifiers of shadows that have learned something else than the agent's: trained when the first turn needs one, and kept by what they learned. The same
/// sentences make the same classifier on every host, so that nothing is stored.
/// </summary>
internal sealed class CandidateClassifiers(IOptions<BrainOptions> options) : IDisposable
{
    private readonly MemoryCache _trained = new(new MemoryCacheOptions { SizeLimit = options.Value.ModelCacheMegabytes * 1024L * 1024 / 4 });

    /// <summary>One at a time: turns that somebody waits for need the processor, too.</summary>
    private readonly SemaphoreSlim _training = new(1, 1);

    internal IntentModel? Find(TrainingSet set) => _trained.TryGetValue(Key(set), out IntentModel? model) ? model : null;

    internal async Task TrainAsync(TrainingSet set, CancellationToken ct)
    {
        await _training.WaitAsync(ct);
        try
        {
            if (Find(set) is null)
            {
                var model = await Task.Run(() => IntentTrainer.Train(set.Examples, TrainModel.Seed, Math.Max(1, Environment.ProcessorCount / 2), ct), ct);
                _trained.Set(Key(set), model, new MemoryCacheEntryOptions { Size = model.Experts.Sum(expert => sizeof(float) * (long)(expert.Network.Input.Length + expert.Network.Output.Length)) });
            }
        }
        finally
        {
            _training.Release();
        }
    }

    public void Dispose()
    {
        _trained.Dispose();
        _training.Dispose();
    }

    private static string Key(TrainingSet set) => Convert.ToHexString(set.Fingerprint);
}
