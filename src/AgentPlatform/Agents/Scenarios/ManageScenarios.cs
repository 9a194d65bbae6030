using AgentPlatform.Api;
using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Tenancy;

namespace AgentPlatform.Agents.Scenarios;

/// <summary>A scenario as its author writes it: all of it, every time. <see cref="EntryCondition"/>: phrases that enter it, beside its name.</summary>
public sealed record ScenarioInput(string? Name, string? Description, string[]? EntryCondition, ScenarioStep[]? Steps, bool? Enabled);

/// <summary>Every change makes a new version and keeps the one before it, so that talks that began with that go on with it.</summary>
internal sealed class ManageScenarios(Database database, ScenarioStore scenarios, AgentDirectory agents, IEnumerable<ISentenceListener> listeners, EventStore events, TimeProvider clock)
{
    internal async Task<Result<Scenario>> CreateAsync(Actor actor, Guid agentId, ScenarioInput input, CancellationToken ct)
    {
        if (ScenarioRules.Check(input) is { } invalid)
        {
            return invalid;
        }

        await using var tx = database.Begin(actor);
        if (await agents.FindAsync(tx, agentId, ct) is null)
        {
            return Problem.NotFound("agent");
        }

        var id = clock.NewId();
        tx.Post(Sql.Create, id, agentId, input.Name!.Trim(), input.Description, input.EntryCondition ?? [], Json.Param(Named(id, input.Steps!)), input.Enabled ?? true);
        return await DoneAsync(tx, id, "scenario.created", ct);
    }

    internal async Task<Result<Scenario>> ChangeAsync(Actor actor, Guid id, ScenarioInput input, IfMatch ifMatch, CancellationToken ct)
    {
        if (ScenarioRules.Check(input) is { } invalid)
        {
            return invalid;
        }

        await using var tx = database.Begin(actor);
        var (_, problem) = await LockedAsync(tx, id, ifMatch, ct);
        if (problem is not null)
        {
            return problem;
        }

        tx.Post(Sql.Archive, id);
        tx.Post(Sql.Change, id, input.Name!.Trim(), input.Description, input.EntryCondition ?? [], Json.Param(Named(id, input.Steps!)), input.Enabled ?? true);
        return await DoneAsync(tx, id, "scenario.changed", ct);
    }

    /// <summary>Nobody enters it any more; who is in it goes on.</summary>
    internal async Task<Result<Guid>> DeleteAsync(Actor actor, Guid id, IfMatch ifMatch, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        var (scenario, problem) = await LockedAsync(tx, id, ifMatch, ct);
        if (problem is not null)
        {
            return problem;
        }

        tx.Post(Sql.Hide, id, clock.GetUtcNow());
        Tell(tx, scenario!.AgentId);
        events.Append(tx, new NewEvent("scenario.deleted", "scenario", id, new { }));
        await tx.CommitAsync(ct);
        return id;
    }

    private async Task<(Scenario? Scenario, Problem? Problem)> LockedAsync(Transaction tx, Guid id, IfMatch ifMatch, CancellationToken ct) =>
        await scenarios.LockAsync(tx, id, ct) is { } scenario ? (scenario, ifMatch.Check(scenario.UpdatedAt)) : (null, Problem.NotFound("scenario"));

    /// <summary>A version with the same sentences is told of, too: whoever learns from them sees that they are the same.</summary>
    private void Tell(Transaction tx, Guid agentId)
    {
        foreach (var listener in listeners)
        {
            listener.Changed(tx, agentId);
        }
    }

    private async Task<Result<Scenario>> DoneAsync(Transaction tx, Guid id, string happened, CancellationToken ct)
    {
        var scenario = (await scenarios.FindAsync(tx, id, ct))!;
        Tell(tx, scenario.AgentId);
        events.Append(tx, new NewEvent(happened, "scenario", id, new { agent_id = scenario.AgentId, name = scenario.Name, version = scenario.Version }));
        await tx.CommitAsync(ct);
        return scenario;
    }

    private static ScenarioStep[] Named(Guid id, ScenarioStep[] steps) => [.. steps.Select(step => step with { Id = Scenario.StepId(id, step.Name) })];

    private static class Sql
    {
        internal const string Create =
            """
            INSERT INTO agents.scenarios (tenant_id, id, agent_id, name, description, entry_condition, steps, enabled)
            VALUES (kernel.current_tenant_id(), $1, $2, $3, $4, $5, $6, $7)
            """;

        // The row is locked: no two changes can archive the same version.
        internal const string Archive =
            """
            INSERT INTO agents.scenario_archives (tenant_id, scenario_id, version, scenario_data)
            SELECT tenant_id, id, version, to_jsonb(s) FROM agents.scenarios s WHERE tenant_id = kernel.current_tenant_id() AND id = $1
            """;

        internal const string Change =
            """
            UPDATE agents.scenarios
            SET version = version + 1, name = $2, description = $3, entry_condition = $4, steps = $5, enabled = $6
            WHERE tenant_id = kernel.current_tenant_id() AND id = $1
            """;

        internal const string Hide = "UPDATE agents.scenarios SET deleted_at = $2 WHERE tenant_id = kernel.current_tenant_id() AND id = $1";
    }
}
