using AgentPlatform.Actions.Registry;
using AgentPlatform.Agents;
using AgentPlatform.Agents.Prompts;
using AgentPlatform.Agents.ReplyTemplates;
using AgentPlatform.Agents.Rules;
using AgentPlatform.Agents.Scenarios;
using AgentPlatform.Agents.Variables;
using AgentPlatform.Brain.Shadows;
using AgentPlatform.Campaigns.Foundations;
using AgentPlatform.Postgres;
using AgentPlatform.Tenancy.Instances;
using Microsoft.Extensions.Caching.Memory;

namespace AgentPlatform.Brain.Rules;

/// <summary>
/// What an agent is at one version of its guidance: the actions it offers, its live scenarios, its variables, its rules and templates, its active instances
/// and how they word prompts, the shadows that take its turns again, and, line by line, what its company is.
/// </summary>
internal sealed record AgentBook(
    long Version, IReadOnlyList<ActionDefinition> Actions, IReadOnlyList<Scenario> Scenarios, DeclaredVariables Variables, RuleBook Rules,
    IReadOnlyList<AgentInstance> Instances, AgentPrompts Prompts, IReadOnlyList<Shadow> Shadows, IReadOnlyList<string> Foundation)
{
    /// <summary>When it was read.</summary>
    internal DateTimeOffset At { get; init; }

    internal int Size => 1 + Actions.Count + Scenarios.Count + Rules.Rules.Count + Rules.Templates.Count + Instances.Count + Shadows.Count;
}

/// <summary>
/// Agents' books in memory. Every turn asks for the version in the round trip that loads the rest of it, and a book is read only when that has moved
/// on: all hosts act by a change from the moment it commits. What was changed past its triggers is known after an hour at the latest.
/// </summary>
internal sealed class AgentBooks(
    Guidance guidance, ActionRegistry registry, ScenarioStore scenarios, VariableStore variables, RuleStore rules, TemplateStore templates,
    InstanceDirectory instances, TemplateSetStore prompts, ShadowStore shadows, FoundationStore foundations, TimeProvider clock) : IDisposable
{
    /// <summary>Of actions, scenarios, rules and templates; each takes some kilobytes.</summary>
    private const int Most = 50_000;

    private static readonly TimeSpan Longest = TimeSpan.FromHours(1);

    private readonly MemoryCache _books = new(new MemoryCacheOptions { SizeLimit = Most });

    internal async Task<AgentBook> OfAgentAsync(Transaction tx, Guid agentId, CancellationToken ct)
    {
        var version = await guidance.VersionAsync(tx, agentId, ct);
        var key = (tx.TenantId, agentId);
        if (_books.TryGetValue(key, out AgentBook? known) && known!.Version == version && clock.GetUtcNow() - known.At < Longest)
        {
            return known;
        }

        // Read after the version, they are at least as new as it says.
        var running = await instances.ActiveAsync(tx, agentId, ct);
        var book = new AgentBook(
            version, await registry.ActiveAsync(tx, agentId, ct), await scenarios.OfAgentAsync(tx, agentId, ct), await variables.OfAgentAsync(tx, agentId, ct),
            new(await rules.OfAgentAsync(tx, agentId, ct), await templates.OfAgentAsync(tx, agentId, ct)),
            running, await prompts.OfAgentAsync(tx, agentId, running, ct), await shadows.RunningAsync(tx, agentId, ct),
            (await foundations.FindAsync(tx, ct))?.Lines() ?? [])
        {
            At = clock.GetUtcNow(),
        };
        _books.Set(key, book, new MemoryCacheEntryOptions { Size = book.Size });
        return book;
    }

    public void Dispose() => _books.Dispose();
}
