using AgentPlatform.Api;
using AgentPlatform.Conversations;
using AgentPlatform.Kernel;
using AgentPlatform.Models;
using AgentPlatform.Postgres;
using AgentPlatform.Tenancy;
using AgentPlatform.Tenancy.Instances;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Brain.Instances;

/// <summary>What an instance did: turns, those that ended with a person, calls of models with what they cost, and the actions that came of it.</summary>
public sealed record InstanceResults(
    Guid InstanceId, string AgentType, string Name, string Status, int Weight, Guid? TemplateSetId, int? PromptVersion, long Conversations, long Turns, long Handoffs,
    long Calls, long FailedCalls, long InputTokens, long OutputTokens, decimal CostUsd, int? AverageLatencyMs, long ActionsCompleted, long ActionsFailed);

/// <summary>An agent's instances side by side.</summary>
internal sealed class CompareInstances(Database database, AgentDirectory agents, InstanceDirectory instances, TurnLog turns, ModelCalls calls, IntentLedger intents, TimeProvider clock)
{
    /// <summary>As far back as the journal of calls goes.</summary>
    internal const int MostDays = 30;

    private const int MostInstances = 200;

    internal static void Map(IEndpointRouteBuilder routes) =>
        routes.MapGet("/agents/{agentId:guid}/instances/comparison", async (HttpContext http, CompareInstances compare, Guid agentId, CancellationToken ct, int days = MostDays) =>
            (await compare.RunAsync(http.Actor(), agentId, days, ct)).ToHttp())
            .WithTags("Agent instances").RequireScope("agents:read")
            .Describe("compareAgentInstances", "What each instance of an agent did in the last `days` (1 to 30): turns, handoffs, calls, tokens, cost, actions.").Produces<Page<InstanceResults>>();

    internal async Task<Result<Page<InstanceResults>>> RunAsync(Actor actor, Guid agentId, int days, CancellationToken ct)
    {
        if (days is < 1 or > MostDays)
        {
            return Problem.Invalid("days", $"Must be 1 to {MostDays}.");
        }

        await using var tx = database.Begin(actor);
        if (await agents.FindAsync(tx, agentId, ct) is null)
        {
            return Problem.NotFound("agent");
        }

        var all = await instances.LatestAsync(tx, agentId, MostInstances, ct);
        var (ids, since) = (all.Select(instance => instance.Id).ToArray(), clock.GetUtcNow().AddDays(-days));
        tx.Gather();
        var (turning, calling, acting) = (turns.OfInstancesAsync(tx, ids, since, ct), calls.OfInstancesAsync(tx, ids, since, ct), intents.OfInstancesAsync(tx, ids, since, ct));
        await tx.AskAsync(ct);
        var (taken, called, acted) = ((await turning).ToDictionary(t => t.AgentInstanceId), (await calling).ToDictionary(c => c.AgentInstanceId), (await acting).ToDictionary(a => a.AgentInstanceId));
        return new Page<InstanceResults>([.. all.Select(instance => Results(instance, taken.GetValueOrDefault(instance.Id), called.GetValueOrDefault(instance.Id), acted.GetValueOrDefault(instance.Id)))], null);
    }

    private static InstanceResults Results(AgentInstance instance, InstanceTurns? turns, InstanceCalls? calls, InstanceActions? actions) => new(
        instance.Id, instance.AgentType, instance.Name, instance.Status, instance.Weight, instance.TemplateSetId, instance.PromptVersion,
        turns?.Conversations ?? 0, turns?.Turns ?? 0, turns?.Handoffs ?? 0,
        calls?.Calls ?? 0, calls?.Failed ?? 0, calls?.InputTokens ?? 0, calls?.OutputTokens ?? 0, calls?.CostUsd ?? 0, calls?.AverageLatencyMs,
        actions?.Completed ?? 0, actions?.Failed ?? 0);
}
