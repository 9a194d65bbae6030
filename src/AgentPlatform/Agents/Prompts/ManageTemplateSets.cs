using AgentPlatform.Agents.Variables;
using AgentPlatform.Api;
using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Tenancy;
using AgentPlatform.Tenancy.Instances;
using Npgsql;

namespace AgentPlatform.Agents.Prompts;

/// <summary>What operators do to template sets. A version is written once; the next turn knows a change.</summary>
internal sealed class ManageTemplateSets(
    Database database, TemplateSetStore sets, VariableStore variables, Guidance guidance, AgentDirectory agents, InstanceDirectory instances, EventStore events, TimeProvider clock)
{
    internal const int MostAnAgent = 100;

    internal async Task<Result<TemplateSet>> CreateAsync(Actor actor, Guid agentId, TemplateSetInput input, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        if (await agents.FindAsync(tx, agentId, ct) is null)
        {
            return Problem.NotFound("agent");
        }

        if (input.Check((await variables.OfAgentAsync(tx, agentId, ct)).Names) is { } invalid)
        {
            return invalid;
        }

        // The second of two that come together counts the first.
        guidance.Raise(tx, agentId);
        return await sets.CountAsync(tx, agentId, ct) >= MostAnAgent
            ? Problem.Conflict("too_many_template_sets", $"An agent has at most {MostAnAgent} template sets.")
            : await StoreAsync(tx, Sql.Create, clock.NewId(), agentId, input, "template_set.created", ct);
    }

    internal async Task<Result<TemplateSet>> ChangeAsync(Actor actor, Guid id, TemplateSetInput input, IfMatch ifMatch, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        if (await LockedAsync(tx, id, ct) is not { } set)
        {
            return Problem.NotFound("template_set");
        }

        return ifMatch.Check(set.UpdatedAt)
            ?? input.Check((await variables.OfAgentAsync(tx, set.AgentId, ct)).Names)
            ?? await StoreAsync(tx, Sql.Change, id, set.AgentId, input, "template_set.changed", ct);
    }

    /// <summary>The set is gone, unless an instance uses it; its versions stay, so that what models were told by them can be explained.</summary>
    internal async Task<Result<Guid>> DeleteAsync(Actor actor, Guid id, IfMatch ifMatch, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        if (await LockedAsync(tx, id, ct) is not { } set)
        {
            return Problem.NotFound("template_set");
        }

        if (ifMatch.Check(set.UpdatedAt) is { } stale)
        {
            return stale;
        }

        if ((await instances.ActiveAsync(tx, set.AgentId, ct)).FirstOrDefault(instance => instance.TemplateSetId == id) is { } user)
        {
            return Problem.Conflict("template_set_is_used", $"Instance '{user.Name}' of the agent uses it.");
        }

        tx.Post(Sql.Hide, id, clock.GetUtcNow());
        events.Append(tx, new NewEvent("template_set.deleted", "template_set", id, new { agent_id = set.AgentId }));
        await tx.CommitAsync(ct);
        return id;
    }

    /// <summary>As it is once nobody else changes the agent's guidance.</summary>
    private async Task<TemplateSet?> LockedAsync(Transaction tx, Guid id, CancellationToken ct)
    {
        if (await sets.FindAsync(tx, id, ct) is not { } set)
        {
            return null;
        }

        guidance.Raise(tx, set.AgentId);
        return await sets.FindAsync(tx, id, ct);
    }

    private async Task<Result<TemplateSet>> StoreAsync(Transaction tx, string sql, Guid id, Guid agentId, TemplateSetInput input, string happened, CancellationToken ct)
    {
        if (input.InUse == true)
        {
            tx.Post(Sql.Retire, agentId, id);
        }

        try
        {
            await tx.ExecuteAsync(sql, [id, agentId, input.Name!.Trim(), input.Description, input.InUse ?? false, Json.Param(input.Parts)], ct);
        }
        catch (PostgresException e) when (e.ConstraintName == "uq_template_sets_name")
        {
            return Problem.Conflict("template_set_name_taken", "Another template set of this agent has this name.");
        }

        tx.Post(Sql.Keep, id, Json.Param(input.Parts));
        var stored = (await sets.FindAsync(tx, id, ct))!;
        events.Append(tx, new NewEvent(happened, "template_set", id, new { agent_id = agentId, name = stored.Name, version = stored.Version, in_use = stored.InUse }));
        await tx.CommitAsync(ct);
        return stored;
    }

    private static class Sql
    {
        internal const string Create =
            """
            INSERT INTO agents.template_sets (tenant_id, id, agent_id, name, description, in_use, version)
            SELECT kernel.current_tenant_id(), $1, $2, $3, $4, $5, 1 WHERE $6::jsonb IS NOT NULL
            """;

        internal const string Change =
            """
            UPDATE agents.template_sets s
            SET name = $3, description = $4, in_use = $5,
                version = s.version + (SELECT (v.parts <> $6::jsonb)::int FROM agents.template_set_versions v
                                       WHERE v.tenant_id = s.tenant_id AND v.template_set_id = s.id AND v.version = s.version)
            WHERE s.tenant_id = kernel.current_tenant_id() AND s.id = $1 AND s.agent_id = $2
            """;

        // What did not change is there already.
        internal const string Keep =
            """
            INSERT INTO agents.template_set_versions (tenant_id, template_set_id, version, parts)
            SELECT tenant_id, id, version, $2 FROM agents.template_sets WHERE tenant_id = kernel.current_tenant_id() AND id = $1
            ON CONFLICT (tenant_id, template_set_id, version) DO NOTHING
            """;

        internal const string Retire =
            "UPDATE agents.template_sets SET in_use = false WHERE tenant_id = kernel.current_tenant_id() AND agent_id = $1 AND in_use AND id <> $2";

        internal const string Hide = "UPDATE agents.template_sets SET deleted_at = $2, in_use = false WHERE tenant_id = kernel.current_tenant_id() AND id = $1";
    }
}
