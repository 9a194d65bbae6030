using AgentPlatform.Actions.Registry;
using AgentPlatform.Actions;
using AgentPlatform.Agents;
using AgentPlatform.Agents.Rules;
using AgentPlatform.Agents.Scenarios;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Work;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Brain.Nlu.Models;

/// <summary>Asks for training when what an agent learns from changes: once, when it has been quiet for a moment, however many changes there were.</summary>
internal sealed class TrainRequests(WorkQueue work, TimeProvider clock, IOptions<BrainOptions> options) : IRegistryListener, ISentenceListener
{
    public void Changed(Transaction tx, Guid agentId) => Enqueue(tx, agentId, TimeSpan.FromSeconds(options.Value.TrainAfterSeconds));

    internal void Enqueue(Transaction tx, Guid agentId, TimeSpan after) => work.Enqueue(tx, new NewWork(TrainModel.Kind, clock.NewId().ToString(), new TrainWork(agentId))
    {
        SerialKey = $"{TrainModel.Kind}:{agentId}",
        MergeKey = agentId.ToString(),
        OnWaiting = OnWaiting.Debounce,
        RunAt = clock.GetUtcNow() + after,
        Priority = TrainModel.Priority,
    });
}

internal sealed record TrainWork(Guid AgentId);

/// <summary>
/// Trains an agent's classifier from its registry, scenarios and rules as they are now, and adds it as the next version. Turns go on with the one before
/// meanwhile.
/// </summary>
internal sealed class TrainModel(
    Database database, ActionRegistry registry, ScenarioStore scenarios, RuleStore rules, IntentModels models, TimeProvider clock, ILogger<TrainModel> log) : IWorkHandler
{
    internal const string Kind = "brain.train";

    /// <summary>Conversations come first.</summary>
    internal const short Priority = 70;

    internal const int Seed = 1;

    public async Task<WorkOutcome> HandleAsync(WorkItem item, CancellationToken ct)
    {
        var agentId = item.Read<TrainWork>().AgentId;
        var actor = Actor.System(item.TenantId);
        if (await ReadAsync(actor, agentId, ct) is not { } set)
        {
            return new WorkOutcome.Done();
        }

        // No transaction is open while it trains: a large registry takes seconds. Half of the cores are left to those who are talking.
        var cores = Math.Max(1, Environment.ProcessorCount / 2);
        var began = clock.GetTimestamp();
        var model = await Task.Run(() => IntentTrainer.Train(set.Examples, Seed, cores, ct), ct);
        var took = clock.GetElapsedTime(began);

        await using var tx = database.Begin(actor);
        models.Add(tx, agentId, model, set, took);
        item.Settle(tx, new WorkOutcome.Done());
        await tx.CommitAsync(ct);
        log.ModelTrained(agentId, set.Examples.Count, (long)took.TotalMilliseconds);
        return WorkOutcome.Settled;
    }

    /// <summary>Null when there is nothing to learn, or the newest version has learned just this.</summary>
    private async Task<TrainingSet?> ReadAsync(Actor actor, Guid agentId, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        tx.Gather();
        var (offered, leading, ruling) = (registry.ActiveAsync(tx, agentId, ct), scenarios.OfAgentAsync(tx, agentId, ct), rules.OfAgentAsync(tx, agentId, ct));
        await tx.AskAsync(ct);
        var set = TrainingSet.Of(await offered, await leading, await ruling);
        return set.HasIntents && !await models.IsTrainedFromAsync(tx, agentId, set.Fingerprint, ct) ? set : null;
    }
}
