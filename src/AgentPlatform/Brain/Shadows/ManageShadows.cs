using AgentPlatform.Actions.Registry;
using AgentPlatform.Agents;
using AgentPlatform.Agents.Rules;
using AgentPlatform.Agents.Scenarios;
using AgentPlatform.Api;
using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Tenancy;

namespace AgentPlatform.Brain.Shadows;

/// <summary>What operators do to shadows. Each raises the agent's <see cref="Guidance"/>: the next turn on any host knows which shadows run.</summary>
internal sealed class ManageShadows(
    Database database, ShadowStore shadows, CandidateNames names, Guidance guidance, AgentDirectory agents, ActionRegistry registry, ScenarioStore scenarios, RuleStore rules,
    EventStore events, TimeProvider clock)
{
    /// <summary>Each takes part of the agent's turns again.</summary>
    internal const int MostRunning = 5;

    internal async Task<Result<Shadow>> StartAsync(Actor actor, Guid agentId, ShadowInput input, CancellationToken ct)
    {
        if (ShadowRules.Check(input, clock.GetUtcNow()) is { } invalid)
        {
            return invalid;
        }

        await using var tx = database.Begin(actor);
        if (await agents.FindAsync(tx, agentId, ct) is null)
        {
            return Problem.NotFound("agent");
        }

        // The second of two that come together counts the first.
        guidance.Raise(tx, agentId);
        tx.Gather();
        var (running, offered) = (shadows.RunningAsync(tx, agentId, ct), registry.ActiveAsync(tx, agentId, ct));
        var (leading, ruling) = (scenarios.OfAgentAsync(tx, agentId, ct), rules.OfAgentAsync(tx, agentId, ct));
        await tx.AskAsync(ct);
        if ((await running).Count >= MostRunning)
        {
            return Problem.Conflict("too_many_shadows", $"An agent has at most {MostRunning} shadows that run.");
        }

        if (await names.CheckAsync(tx, agentId, new(await ruling, await leading, await offered), input.Candidate!, ct) is { } unknown)
        {
            return unknown;
        }

        var id = clock.NewId();
        tx.Post(Sql.Start, id, agentId, input.Name!.Trim(), Json.Param(input.Candidate), input.SampleRate ?? 1m, input.EndsAt?.ToUniversalTime());
        return await ToldAsync(tx, id, "shadow.started", ct);
    }

    /// <summary>What waits for it is not decided any more.</summary>
    internal async Task<Result<Shadow>> StopAsync(Actor actor, Guid id, IfMatch ifMatch, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        switch (await LockedAsync(tx, id, ct))
        {
            case null:
                return Problem.NotFound("shadow");
            case { Status: "stopped" }:
                return Problem.Conflict("shadow_stopped", "The shadow is stopped.");
            case var shadow when ifMatch.Check(shadow.UpdatedAt) is { } stale:
                return stale;
        }

        tx.Post(Sql.Stop, id, clock.GetUtcNow());
        return await ToldAsync(tx, id, "shadow.stopped", ct);
    }

    /// <summary>With all it took.</summary>
    internal async Task<Result<Guid>> DeleteAsync(Actor actor, Guid id, IfMatch ifMatch, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        if (await LockedAsync(tx, id, ct) is not { } shadow)
        {
            return Problem.NotFound("shadow");
        }

        if (ifMatch.Check(shadow.UpdatedAt) is { } stale)
        {
            return stale;
        }

        tx.Post(Sql.Delete, id);
        events.Append(tx, new NewEvent("shadow.deleted", "shadow", id, new { agent_id = shadow.AgentId, name = shadow.Name }));
        await tx.CommitAsync(ct);
        return id;
    }

    /// <summary>As it is once nobody else changes the agent's guidance.</summary>
    private async Task<Shadow?> LockedAsync(Transaction tx, Guid id, CancellationToken ct)
    {
        if (await shadows.FindAsync(tx, id, ct) is not { } shadow)
        {
            return null;
        }

        guidance.Raise(tx, shadow.AgentId);
        return await shadows.FindAsync(tx, id, ct);
    }

    private async Task<Result<Shadow>> ToldAsync(Transaction tx, Guid id, string happened, CancellationToken ct)
    {
        var shadow = (await shadows.FindAsync(tx, id, ct))!;
        events.Append(tx, new NewEvent(happened, "shadow", id, new { agent_id = shadow.AgentId, name = shadow.Name, sample_rate = shadow.SampleRate, ends_at = shadow.EndsAt }));
        await tx.CommitAsync(ct);
        return shadow;
    }

    private static class Sql
    {
        internal const string Start =
            """
            INSERT INTO brain.shadows (tenant_id, id, agent_id, name, candidate, sample_rate, ends_at)
            VALUES (kernel.current_tenant_id(), $1, $2, $3, $4, $5, $6)
            """;

        internal const string Stop = "UPDATE brain.shadows SET status = 'stopped', stopped_at = $2 WHERE tenant_id = kernel.current_tenant_id() AND id = $1";

        internal const string Delete = "DELETE FROM brain.shadows WHERE tenant_id = kernel.current_tenant_id() AND id = $1";
    }
}
