using AgentPlatform.Actions;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Api;
using AgentPlatform.Identity;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Tenancy;
using AgentPlatform.Workflows;
using Microsoft.Extensions.Configuration;

namespace AgentPlatform.Demo;

/// <summary>
/// Makes the demo tenant: a job-search assistant, a concierge that first gets to know people, the job board both use, and their
/// channels. Safe to repeat: what the demo file names is kept and brought up to date, what is missing is made anew.
/// </summary>
public sealed class DemoSeeder
{
    /// <summary>Who texts from here can answer approvals.</summary>
    public const string ColleaguesPhone = "+14155550177";

    private const string ConciergeName = "Concierge";

    private readonly Database _database;
    private readonly TenantProvisioning _tenants;
    private readonly ManageAgents _agents;
    private readonly AgentDirectory _directory;
    private readonly ActionRegistry _registry;
    private readonly DemoChannels _channels;
    private readonly JobBoard _board;
    private readonly WorkflowEngine _workflows;
    private readonly DemoGuidance _guidance;
    private readonly MemberDirectory _members;
    private readonly ManageAccount _accounts;
    private readonly IConfiguration _configuration;
    private readonly TimeProvider _clock;

    internal DemoSeeder(
        Database database, TenantProvisioning tenants, ManageAgents agents, AgentDirectory directory, ActionRegistry registry, DemoChannels channels, JobBoard board,
        WorkflowEngine workflows, DemoGuidance guidance, MemberDirectory members, ManageAccount accounts, IConfiguration configuration, TimeProvider clock) =>
        (_database, _tenants, _agents, _directory, _registry, _channels, _board, _workflows, _guidance, _members, _accounts, _configuration, _clock) =
        (database, tenants, agents, directory, registry, channels, board, workflows, guidance, members, accounts, configuration, clock);

    /// <summary>
    /// <paramref name="baseUrl"/> is where the host answers; webhooks are addressed to <c>PublicBaseUrl</c> when that is set.
    /// <paramref name="known"/> is what an earlier run wrote, with the secrets that are shown only once.
    /// </summary>
    public async Task<Result<DemoFile>> SeedAsync(DemoFile? known, string baseUrl, CancellationToken ct)
    {
        var tenant = await TenantAsync(known, baseUrl, ct);
        if (!tenant.IsOk)
        {
            return tenant.Problem;
        }

        var demo = tenant.Value;
        var actor = Actor.System(demo.TenantId);
        var token = await OpenBoardAsync(actor, ct);
        var board = $"{baseUrl}/demo/{token}";
        var concierge = await ConciergeAsync(actor, demo.ConciergeAgentId, ct);
        if (!concierge.IsOk)
        {
            return concierge.Problem;
        }

        demo = demo with { ConciergeAgentId = concierge.Value };
        var refused = await EquipAsync(actor, demo.AgentId, [.. DemoActions.JobSearch(board), DemoSchema.Tips, .. DemoWorkflow.Actions(board)], ct)
            ?? await EquipAsync(actor, concierge.Value, DemoActions.Concierge(board), ct)
            ?? await ArrangeAsync(actor, demo.AgentId, ct)
            ?? await _guidance.EnsureAsync(actor, demo.AgentId, DemoSchema.Candidate(baseUrl, token), ct);
        return refused is null ? await ConnectAsync(actor, demo, baseUrl, ct) : refused;
    }

    private async Task<Result<DemoFile>> TenantAsync(DemoFile? known, string baseUrl, CancellationToken ct)
    {
        if (known is not null)
        {
            await using var tx = _database.Begin(Actor.System(known.TenantId));
            if (await _directory.FindAsync(tx, known.AgentId, ct) is not null)
            {
                return known with { BaseUrl = baseUrl };
            }
        }

        // Another checkout may have made a demo in the same database: slugs are unique, so each gets its own.
        var made = await _tenants.CreateAsync(
            new NewTenant("Demo", $"demo-{_clock.NewId():N}"[..20], "demo@agentplatform.example") { OwnerName = "Demo Owner", AgentName = "Job search assistant", KeyName = "Demo" }, ct);
        return made.Map(t => new DemoFile(baseUrl, t.ApiKey, t.TenantId, t.AgentId, new Dictionary<string, DemoChannel>(StringComparer.Ordinal)));
    }

    private async Task<Guid> OpenBoardAsync(Actor actor, CancellationToken ct)
    {
        await using var tx = _database.Begin(actor);
        var token = await _board.OpenAsync(tx, ct);
        await tx.CommitAsync(ct);
        return token;
    }

    private async Task<Result<Guid>> ConciergeAsync(Actor actor, Guid known, CancellationToken ct) =>
        known != Guid.Empty && (await _agents.FindAsync(actor, known, ct)).IsOk
            ? known
            : (await _agents.CreateAsync(actor, new AgentInput(ConciergeName, "Gets to know a person, then helps them find work.", null, null, true), ct)).Map(agent => agent.Id);

    /// <summary>The actions as this version knows them, at the board's present address.</summary>
    private async Task<Problem?> EquipAsync(Actor actor, Guid agentId, IReadOnlyList<ActionDefinition> actions, CancellationToken ct)
    {
        await using var tx = _database.Begin(actor);
        foreach (var action in actions)
        {
            var stored = await _registry.FindAsync(tx, agentId, action.ActionId, ct) is null
                ? await _registry.CreateAsync(tx, agentId, action, ct)
                : await _registry.ReplaceAsync(tx, agentId, action, IfMatch.Any, ct);
            if (!stored.IsOk)
            {
                return stored.Problem;
            }
        }

        await tx.CommitAsync(ct);
        return (await _agents.ConfigureAsync(actor, agentId, new AgentConfig(DemoActions.Popular), IfMatch.Any, ct)).Problem;
    }

    /// <summary>The workflow as this version knows it, and a phone for the colleague who allows applications.</summary>
    private async Task<Problem?> ArrangeAsync(Actor actor, Guid agentId, CancellationToken ct)
    {
        ReachableMember owner;
        await using (var tx = _database.Begin(actor))
        {
            var defined = await _workflows.DefineAsync(tx, DemoWorkflow.Workflow(agentId), DemoWorkflow.Definition, ct);
            if (!defined.IsOk)
            {
                return defined.Problem;
            }

            owner = (await _members.ReachableAsync(tx, null, ct))[0];
            await tx.CommitAsync(ct);
        }

        return owner.Phone is not null ? null
            : (await _accounts.ChangeAsync(
                new Actor(actor.TenantId, owner.UserId, owner.Role), new ChangeAccount(null, null, ColleaguesPhone, null, null, null, null, null, null), IfMatch.Any, ct)).Problem;
    }

    private async Task<Result<DemoFile>> ConnectAsync(Actor actor, DemoFile demo, string baseUrl, CancellationToken ct)
    {
        var publicUrl = _configuration["PublicBaseUrl"] is { Length: > 0 } set ? set.TrimEnd('/') : baseUrl;
        var connected = new Dictionary<string, DemoChannel>(StringComparer.Ordinal);
        foreach (var name in DemoChannels.All)
        {
            var agentId = name == DemoChannels.Concierge ? demo.ConciergeAgentId : demo.AgentId;
            var channel = await _channels.EnsureAsync(actor, agentId, name, demo.Channels.GetValueOrDefault(name), publicUrl, ct);
            if (!channel.IsOk)
            {
                return channel.Problem;
            }

            connected[name] = channel.Value;
        }

        return demo with { Channels = connected };
    }
}
