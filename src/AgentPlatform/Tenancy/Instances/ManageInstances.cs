using AgentPlatform.Api;
using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Npgsql;

namespace AgentPlatform.Tenancy.Instances;

/// <summary>What operators do to instances: deploy, change, terminate. A terminated one stays, with what it did.</summary>
internal sealed class ManageInstances(Database database, InstanceDirectory instances, AgentDirectory agents, EventStore events, TimeProvider clock)
{
    internal const int MostAnAgent = 50;

    internal async Task<Result<AgentInstance>> DeployAsync(Actor actor, Guid agentId, AgentInstanceInput input, CancellationToken ct)
    {
        if (input.Check(isNew: true) is { } invalid)
        {
            return invalid;
        }

        await using var tx = database.Begin(actor);
        // The second of two that come together counts the first.
        if (await tx.FindAsync<Guid?>(Sql.LockAgent, [agentId], ct) is null || await agents.FindAsync(tx, agentId, ct) is null)
        {
            return Problem.NotFound("agent");
        }

        if ((await instances.ActiveAsync(tx, agentId, ct)).Count >= MostAnAgent)
        {
            return Problem.Conflict("too_many_agent_instances", $"An agent has at most {MostAnAgent} active instances.");
        }

        var id = clock.NewId();
        return await WriteAsync(tx, id, "agent_instance.deployed", Sql.Deploy, [id, agentId, input.AgentType, input.Name!.Trim(), input.Weight ?? 100, Json.Param(input.ConfigJson ?? Json.Of(new { })), input.TemplateSetId, input.PromptVersion], ct);
    }

    internal async Task<Result<AgentInstance>> ChangeAsync(Actor actor, Guid id, AgentInstanceInput input, IfMatch ifMatch, CancellationToken ct)
    {
        if (input.Check(isNew: false) is { } invalid)
        {
            return invalid;
        }

        await using var tx = database.Begin(actor);
        return await ActiveAsync(tx, id, ifMatch, ct)
            ?? await WriteAsync(tx, id, "agent_instance.changed", Sql.Change, [id, input.Name?.Trim(), input.Weight, Json.Param(input.ConfigJson), input.TemplateSetId, input.PromptVersion], ct);
    }

    /// <summary>Its contacts are divided among the others as they write again.</summary>
    internal async Task<Result<AgentInstance>> TerminateAsync(Actor actor, Guid id, IfMatch ifMatch, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        return await ActiveAsync(tx, id, ifMatch, ct) ?? await WriteAsync(tx, id, "agent_instance.terminated", Sql.Terminate, [id, clock.GetUtcNow()], ct);
    }

    private async Task<Problem?> ActiveAsync(Transaction tx, Guid id, IfMatch ifMatch, CancellationToken ct) => await instances.LockAsync(tx, id, ct) switch
    {
        null => Problem.NotFound("agent_instance"),
        { Status: "terminated" } => Problem.Conflict("agent_instance_terminated", "The instance is terminated."),
        var instance => ifMatch.Check(instance.UpdatedAt),
    };

    private async Task<Result<AgentInstance>> WriteAsync(Transaction tx, Guid id, string happened, string sql, object?[] args, CancellationToken ct)
    {
        try
        {
            await tx.ExecuteAsync(sql, args, ct);
        }
        catch (PostgresException e) when (e.ConstraintName == "uq_agent_instances_name")
        {
            return Problem.Conflict("agent_instance_name_taken", "Another active instance of this agent and type has this name.");
        }
        catch (PostgresException e) when (e.ConstraintName == "instance_template_set")
        {
            return Problem.Invalid("template_set_id", "Names no template set of the agent.");
        }
        catch (PostgresException e) when (e.ConstraintName == "instance_prompt_version")
        {
            return Problem.Invalid("prompt_version", "The template set has no such version.");
        }

        var instance = (await instances.FindAsync(tx, id, ct))!;
        events.Append(tx, new NewEvent(happened, "agent_instance", id, new
        {
            agent_id = instance.AgentId,
            agent_type = instance.AgentType,
            name = instance.Name,
            weight = instance.Weight,
            template_set_id = instance.TemplateSetId,
            prompt_version = instance.PromptVersion,
        }));
        await tx.CommitAsync(ct);
        return instance;
    }

    private static class Sql
    {
        internal const string LockAgent = "SELECT id FROM tenancy.agents WHERE tenant_id = kernel.current_tenant_id() AND id = $1 AND deleted_at IS NULL FOR UPDATE";

        internal const string Deploy =
            """
            INSERT INTO tenancy.agent_instances (tenant_id, id, agent_id, agent_type, name, weight, config_json, template_set_id, prompt_version)
            VALUES (kernel.current_tenant_id(), $1, $2, $3, $4, $5, $6, $7, $8)
            """;

        // Another set begins with its latest version.
        internal const string Change =
            """
            UPDATE tenancy.agent_instances
            SET name = coalesce($2, name), weight = coalesce($3, weight), config_json = coalesce($4, config_json),
                template_set_id = coalesce($5, template_set_id), prompt_version = CASE WHEN $5::uuid IS NULL THEN prompt_version ELSE $6 END
            WHERE tenant_id = kernel.current_tenant_id() AND id = $1
            """;

        internal const string Terminate =
            "UPDATE tenancy.agent_instances SET status = 'terminated', terminated_at = $2 WHERE tenant_id = kernel.current_tenant_id() AND id = $1";
    }
}
