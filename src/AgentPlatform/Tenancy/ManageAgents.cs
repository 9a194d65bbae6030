using AgentPlatform.Api;
using AgentPlatform.Billing.Usage;
using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Npgsql;

namespace AgentPlatform.Tenancy;

/// <summary>An agent to create, or what to change of one: then null leaves a field as it is.</summary>
public sealed record AgentInput(string? Name, string? Description, string? SystemPrompt, string? DefaultModel, bool? Enabled);

/// <summary>
/// The configuration of an agent: the actions it offers when it did not understand, whether a request that no action fits becomes a
/// task of the agency (where the conversation's own setting allows it), when its model is asked, which models after that,
/// whether its onboarding wants proof of the e-mail address, and whether it remembers what happens. Null leaves a part as it is.
/// </summary>
public sealed record AgentConfig(string[]? PopularActions, bool? AutoCreateTasks = null, string? ModelUse = null, string[]? FallbackModels = null, bool? VerifyEmail = null, bool? Memory = null);

/// <summary>
/// The tenant's agents (a brand's instances). Deleting one hides it and frees its name; purging it removes it for good, with its
/// configuration, actions and everything that ran for it.
/// </summary>
internal sealed class ManageAgents(Database database, AgentDirectory agents, ExecutionAllowance allowance, EventStore events, TimeProvider clock)
{
    internal async Task<Page<Agent>> ListAsync(Actor actor, PageRequest page, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        return await agents.ListAsync(tx, page, ct);
    }

    internal async Task<Result<Agent>> FindAsync(Actor actor, Guid id, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        return (await agents.FindAsync(tx, id, ct)).OrNotFound("agent");
    }

    internal async Task<Result<Agent>> CreateAsync(Actor actor, AgentInput input, CancellationToken ct)
    {
        if (Check(input, nameRequired: true) is { } problem)
        {
            return problem;
        }

        await using var tx = database.Begin(actor);
        if (await allowance.TakeAgentAsync(tx, () => tx.SingleAsync<int>(Sql.Count, [actor.TenantId], ct), ct) is { } refused)
        {
            return refused;
        }

        var id = clock.NewId();
        try
        {
            await tx.ExecuteAsync(
                Sql.Create, [actor.TenantId, id, input.Name!.Trim(), input.Description, input.SystemPrompt, input.DefaultModel, input.Enabled ?? true], ct);
        }
        catch (PostgresException e) when (e.ConstraintName == "uq_agents_tenant_name")
        {
            return NameTaken;
        }

        events.Append(tx, new NewEvent("agent.created", "agent", id, new { name = input.Name!.Trim() }));
        var created = await agents.FindAsync(tx, id, ct);
        await tx.CommitAsync(ct);
        return created!;
    }

    internal async Task<Result<Agent>> ChangeAsync(Actor actor, Guid id, AgentInput input, IfMatch ifMatch, CancellationToken ct)
    {
        if (Check(input, nameRequired: input.Name is not null) is { } problem)
        {
            return problem;
        }

        try
        {
            return await WriteAsync(actor, id, ifMatch, "agent.updated", input, tx =>
                tx.Post(Sql.Change, actor.TenantId, id, input.Name?.Trim(), input.Description, input.SystemPrompt, input.DefaultModel, input.Enabled), ct);
        }
        catch (PostgresException e) when (e.ConstraintName == "uq_agents_tenant_name")
        {
            return NameTaken;
        }
    }

    internal async Task<Result<Agent>> ConfigureAsync(Actor actor, Guid id, AgentConfig config, IfMatch ifMatch, CancellationToken ct)
    {
        var actions = config.PopularActions?.Select(action => action?.Trim() ?? "").ToArray();
        var invalid = new Validation()
            .Check("popular_actions", config != Nothing, "Is required, unless another part is given.")
            .Check("popular_actions", actions is null || actions.Length <= 50, "Holds at most 50 actions.")
            .Check("popular_actions", actions is null || actions.All(a => a.Length is > 0 and <= 255), "Each action has 1 to 255 characters.")
            .Check("popular_actions", actions is null || actions.Distinct(StringComparer.Ordinal).Count() == actions.Length, "Names an action twice.")
            .OneOf("model_use", config.ModelUse, required: false, "unsure", "always", "never")
            .Check("fallback_models", config.FallbackModels is null or { Length: <= 5 }, "Holds at most 5 models.")
            .Check("fallback_models", config.FallbackModels is null || config.FallbackModels.All(m => m is { Length: > 0 and <= 100 }), "Each model has 1 to 100 characters.")
            .Problem;
        return invalid is null
            ? await WriteAsync(actor, id, ifMatch, "agent.configured", config with { PopularActions = actions },
                tx => tx.Post(Sql.Configure, actor.TenantId, id, actions, config.AutoCreateTasks, config.ModelUse, config.FallbackModels, config.VerifyEmail, config.Memory), ct)
            : invalid;
    }

    /// <summary>Hides the agent; what refers to it stays.</summary>
    internal Task<Result<Agent>> DeleteAsync(Actor actor, Guid id, IfMatch ifMatch, CancellationToken ct) =>
        WriteAsync(actor, id, ifMatch, "agent.deleted", new { }, tx => tx.Post(Sql.Hide, actor.TenantId, id, clock.GetUtcNow()), ct);

    /// <summary>Removes the agent, deleted or not, and everything that belongs to it.</summary>
    internal async Task<Result<Guid>> PurgeAsync(Actor actor, Guid id, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        if (await tx.ExecuteAsync(Sql.Purge, [actor.TenantId, id], ct) == 0)
        {
            return Problem.NotFound("agent");
        }

        events.Append(tx, new NewEvent("agent.purged", "agent", id, new { }));
        await tx.CommitAsync(ct);
        return id;
    }

    private static readonly AgentConfig Nothing = new(null);

    private static Problem NameTaken => Problem.Conflict("agent_name_taken", "Another agent of this tenant has this name.");

    private async Task<Result<Agent>> WriteAsync(
        Actor actor, Guid id, IfMatch ifMatch, string eventType, object what, Action<Transaction> write, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        if (await tx.FindAsync<Guid?>(Sql.Lock, [actor.TenantId, id], ct) is null || await agents.FindAsync(tx, id, ct) is not { } before)
        {
            return Problem.NotFound("agent");
        }

        if (ifMatch.Check(before.UpdatedAt) is { } stale)
        {
            return stale;
        }

        write(tx);
        events.Append(tx, new NewEvent(eventType, "agent", id, what));
        var after = await agents.FindAsync(tx, id, ct) ?? before;
        await tx.CommitAsync(ct);
        return after;
    }

    private static Problem? Check(AgentInput input, bool nameRequired) =>
        new Validation()
            .Text("name", input.Name, 255, nameRequired)
            .Text("description", input.Description, 2000)
            .Text("system_prompt", input.SystemPrompt, 50_000)
            .Text("default_model", input.DefaultModel, 100)
            .Problem;

    private static class Sql
    {
        internal const string Count = "SELECT count(*)::integer FROM tenancy.agents WHERE tenant_id = $1 AND deleted_at IS NULL";

        internal const string Create =
            """
            INSERT INTO tenancy.agents (tenant_id, id, name, description, system_prompt, default_model, enabled)
            VALUES ($1, $2, $3, $4, $5, $6, $7)
            """;

        // Changing the configuration counts as a change of the agent, so both wait for the agent's row.
        internal const string Lock = "SELECT id FROM tenancy.agents WHERE tenant_id = $1 AND id = $2 AND deleted_at IS NULL FOR UPDATE";

        internal const string Change =
            """
            UPDATE tenancy.agents
            SET name = coalesce($3, name), description = coalesce($4, description), system_prompt = coalesce($5, system_prompt),
                default_model = coalesce($6, default_model), enabled = coalesce($7, enabled)
            WHERE tenant_id = $1 AND id = $2 AND deleted_at IS NULL
            """;

        internal const string Configure =
            """
            INSERT INTO tenancy.instance_configs AS c (tenant_id, agent_id, popular_actions, auto_create_tasks, model_use, fallback_models, verify_email, memory)
            VALUES ($1, $2, coalesce($3::text[], '{}'), coalesce($4::boolean, false), coalesce($5, 'unsure'), coalesce($6::text[], '{}'), coalesce($7::boolean, false), coalesce($8::boolean, false))
            ON CONFLICT (tenant_id, agent_id) DO UPDATE
            SET popular_actions = coalesce($3, c.popular_actions), auto_create_tasks = coalesce($4, c.auto_create_tasks),
                model_use = coalesce($5, c.model_use), fallback_models = coalesce($6, c.fallback_models), verify_email = coalesce($7, c.verify_email),
                memory = coalesce($8, c.memory)
            """;

        internal const string Hide = "UPDATE tenancy.agents SET deleted_at = $3, enabled = false WHERE tenant_id = $1 AND id = $2 AND deleted_at IS NULL";

        internal const string Purge = "DELETE FROM tenancy.agents WHERE tenant_id = $1 AND id = $2";
    }
}
