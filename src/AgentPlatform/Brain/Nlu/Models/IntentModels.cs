using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Microsoft.Extensions.Caching.Memory;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Brain.Nlu.Models;

/// <summary>A version of an agent's classifier, ready to be asked.</summary>
public sealed record AgentModel(Guid Id, int Version, IntentModel Model)
{
    private readonly string[] _kinds = [.. new[] { ClassNames.Scenarios, ClassNames.Rules }.Where(kind => Model.Intents.Any(intent => intent.StartsWith(kind, StringComparison.Ordinal)))];

    /// <summary>Whether any of its classes has a name of this kind.</summary>
    internal bool Knows(string kind) => _kinds.Contains(kind);
}

/// <summary>What there is to know about a version without reading its weights.</summary>
public sealed record ModelInfo(
    Guid Id, int Version, int Intents, int Examples, int ModelBytes, double? Accuracy, double? OutOfScopeRecall, int TrainMilliseconds, DateTimeOffset TrainedAt);

/// <summary>
/// The trained classifiers of agents: versions in Postgres, the ones in use in memory. Every look names the newest version in the round trip
/// that loads the rest of the turn, so that all hosts answer with it from the moment its row commits.
/// </summary>
public sealed class IntentModels : IDisposable
{
    /// <summary>In memory a weight is a number of four bytes, in storage of one.</summary>
    private const int Unpacked = 4;

    private readonly MemoryCache _loaded;
    private readonly TimeProvider _clock;

    public IntentModels(IOptions<BrainOptions> options, TimeProvider clock)
    {
        _loaded = new MemoryCache(new MemoryCacheOptions { SizeLimit = options.Value.ModelCacheMegabytes * 1024L * 1024 });
        _clock = clock;
    }

    /// <summary>Null while the agent has no model that this version of the code can read.</summary>
    public async Task<AgentModel?> CurrentAsync(Transaction tx, Guid agentId, CancellationToken ct)
    {
        if (await tx.FindAsync<Guid?>(Sql.Latest, [agentId], ct) is not { } id)
        {
            return null;
        }

        // A row never changes, so an id in memory is never out of date.
        return _loaded.TryGetValue(id, out AgentModel? model) ? model : await LoadAsync(tx, id, ct);
    }

    public Task<ModelInfo?> InfoAsync(Transaction tx, Guid agentId, CancellationToken ct) => tx.FindAsync<ModelInfo>(Sql.Info, [agentId], ct);

    internal async Task<bool> IsTrainedFromAsync(Transaction tx, Guid agentId, byte[] fingerprint, CancellationToken ct) =>
        await tx.FindAsync<bool?>(Sql.IsTrainedFrom, [agentId, fingerprint], ct) == true;

    /// <summary>Adds a version, and removes those that no turn can still be using. Trainings of an agent run one at a time.</summary>
    internal void Add(Transaction tx, Guid agentId, IntentModel model, TrainingSet set, TimeSpan took)
    {
        var bytes = IntentModelFile.Write(model);
        tx.Post(
            Sql.Insert, tx.TenantId, _clock.NewId(), agentId, set.Fingerprint, bytes, model.Intents.Count, set.Examples.Count,
            model.Calibration.Accuracy, model.Calibration.OutOfScopeRecall, (int)took.TotalMilliseconds, _clock.GetUtcNow());
        tx.Post(Sql.RemoveOld, agentId);
    }

    public void Dispose() => _loaded.Dispose();

    private async Task<AgentModel?> LoadAsync(Transaction tx, Guid id, CancellationToken ct)
    {
        if (await tx.FindAsync<Stored>(Sql.Load, [id], ct) is not { } row || IntentModelFile.Read(row.Model) is not { } model)
        {
            return null;
        }

        var loaded = new AgentModel(id, row.Version, model);
        _loaded.Set(id, loaded, new MemoryCacheEntryOptions { Size = (long)row.Model.Length * Unpacked });
        return loaded;
    }

    private sealed record Stored(int Version, byte[] Model);

    private static class Sql
    {
        internal const string Latest = "SELECT id FROM brain.nlu_models WHERE agent_id = $1 ORDER BY version DESC LIMIT 1";

        internal const string Load = "SELECT version, model FROM brain.nlu_models WHERE id = $1";

        internal const string Info =
            """
            SELECT id, version, intents, examples, model_bytes, accuracy, out_of_scope_recall, train_milliseconds, trained_at
            FROM brain.nlu_models WHERE agent_id = $1 ORDER BY version DESC LIMIT 1
            """;

        internal const string IsTrainedFrom =
            "SELECT fingerprint = $2::bytea FROM brain.nlu_models WHERE agent_id = $1 ORDER BY version DESC LIMIT 1";

        internal const string Insert =
            """
            INSERT INTO brain.nlu_models (tenant_id, id, agent_id, version, fingerprint, model, intents, examples, accuracy, out_of_scope_recall, train_milliseconds, trained_at)
            SELECT $1::uuid, $2::uuid, $3::uuid, coalesce(max(version), 0) + 1, $4::bytea, $5::bytea, $6::int, $7::int, $8::double precision, $9::double precision, $10::int, $11::timestamptz
            FROM brain.nlu_models WHERE agent_id = $3
            """;

        // A turn that has just looked may still load the version before the newest.
        internal const string RemoveOld =
            "DELETE FROM brain.nlu_models WHERE agent_id = $1 AND version < (SELECT max(version) - 2 FROM brain.nlu_models WHERE agent_id = $1)";
    }
}
