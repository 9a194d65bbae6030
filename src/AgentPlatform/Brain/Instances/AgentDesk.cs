using AgentPlatform.Agents.Prompts;
using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Models;
using AgentPlatform.Postgres;
using AgentPlatform.Tenancy;
using AgentPlatform.Tenancy.Instances;

namespace AgentPlatform.Brain.Instances;

/// <summary>An agent with its instances and what came of them in the last thirty days, its template sets, and the names of the models that it may ask.</summary>
public sealed record AgentDocument(Agent Agent, IReadOnlyList<InstanceResults> Instances, IReadOnlyList<TemplateSet> Sets, IReadOnlyList<string> Models);

/// <summary>A template set with its versions, latest first, the one that is shown, and the active instances that use the set by name.</summary>
public sealed record TemplateSetDocument(Agent Agent, TemplateSet Set, IReadOnlyList<TemplateSetVersion> Versions, TemplateSetVersion Shown, IReadOnlyList<AgentInstance> Users);

/// <summary>What people look at and do of agents' wordings and instances, whatever surface they do it on.</summary>
public sealed class AgentDesk
{
    private static readonly PageRequest All = new(PageRequest.MaxLimit, null);

    private readonly Database _database;
    private readonly AgentDirectory _agents;
    private readonly InstanceDirectory _instances;
    private readonly TemplateSetStore _sets;
    private readonly ModelCatalog _models;
    private readonly CompareInstances _compare;
    private readonly ManageTemplateSets _wordings;
    private readonly ManageInstances _deployments;

    internal AgentDesk(
        Database database, AgentDirectory agents, InstanceDirectory instances, TemplateSetStore sets, ModelCatalog models, CompareInstances compare,
        ManageTemplateSets wordings, ManageInstances deployments) =>
        (_database, _agents, _instances, _sets, _models, _compare, _wordings, _deployments) = (database, agents, instances, sets, models, compare, wordings, deployments);

    /// <summary>Newest first.</summary>
    public async Task<IReadOnlyList<Agent>> ListAsync(Actor actor, CancellationToken ct)
    {
        await using var tx = _database.Begin(actor);
        return (await _agents.ListAsync(tx, All, ct)).Items;
    }

    /// <summary>Null when there is no such agent.</summary>
    public async Task<AgentDocument?> ReadAsync(Actor actor, Guid agentId, CancellationToken ct)
    {
        var compared = await _compare.RunAsync(actor, agentId, CompareInstances.MostDays, ct);
        if (!compared.IsOk)
        {
            return null;
        }

        await using var tx = _database.Begin(actor);
        tx.Gather();
        var (agent, sets, models) = (_agents.FindAsync(tx, agentId, ct), _sets.ListAsync(tx, agentId, All, ct), _models.ListAsync(tx, All, ct));
        await tx.AskAsync(ct);
        return await agent is { } found ? new(found, compared.Value.Items, (await sets).Items, [.. (await models).Items.Where(model => model.IsActive).Select(model => model.Name)]) : null;
    }

    /// <summary>The version that was asked for, or the latest; null when there is no such set, or it never had that version.</summary>
    public async Task<TemplateSetDocument?> ReadSetAsync(Actor actor, Guid setId, int? version, CancellationToken ct)
    {
        await using var tx = _database.Begin(actor);
        if (await _sets.FindAsync(tx, setId, ct) is not { } set || await _agents.FindAsync(tx, set.AgentId, ct) is not { } agent
            || await _sets.VersionAsync(tx, setId, version ?? set.Version, ct) is not { } shown)
        {
            return null;
        }

        tx.Gather();
        var (versions, active) = (_sets.VersionsAsync(tx, setId, ct), _instances.ActiveAsync(tx, agent.Id, ct));
        await tx.AskAsync(ct);
        return new(agent, set, await versions, shown, [.. (await active).Where(instance => instance.TemplateSetId == setId)]);
    }

    public Task<Result<TemplateSet>> WordAsync(Actor actor, Guid agentId, TemplateSetInput input, CancellationToken ct) => _wordings.CreateAsync(actor, agentId, input, ct);

    /// <summary>Seen: the set's <c>updated_at</c> that the change was made from; somebody else's change since then is not overwritten.</summary>
    public Task<Result<TemplateSet>> RewordAsync(Actor actor, Guid setId, TemplateSetInput input, DateTimeOffset seen, CancellationToken ct) =>
        _wordings.ChangeAsync(actor, setId, input, new IfMatch([Etag.Of(seen)]), ct);

    public Task<Result<Guid>> DiscardAsync(Actor actor, Guid setId, CancellationToken ct) => _wordings.DeleteAsync(actor, setId, IfMatch.Any, ct);

    public Task<Result<AgentInstance>> DeployAsync(Actor actor, Guid agentId, AgentInstanceInput input, CancellationToken ct) => _deployments.DeployAsync(actor, agentId, input, ct);

    public Task<Result<AgentInstance>> TerminateAsync(Actor actor, Guid instanceId, CancellationToken ct) => _deployments.TerminateAsync(actor, instanceId, IfMatch.Any, ct);
}
