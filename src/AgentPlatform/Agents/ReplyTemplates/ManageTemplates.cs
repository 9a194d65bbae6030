using AgentPlatform.Agents.Scenarios;
using AgentPlatform.Api;
using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Tenancy;

namespace AgentPlatform.Agents.ReplyTemplates;

/// <summary>What operators do to templates; every change raises the version of the agent's <see cref="Guidance"/>.</summary>
internal sealed class ManageTemplates(
    Database database, TemplateStore templates, Guidance guidance, ScenarioStore scenarios, AgentDirectory agents, EventStore events, TimeProvider clock)
{
    internal const int MostAnAgent = 1000;

    internal async Task<Result<ReplyTemplate>> CreateAsync(Actor actor, Guid agentId, ReplyTemplateInput input, CancellationToken ct)
    {
        if (input.Check() is { } invalid)
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
        if ((await templates.OfAgentAsync(tx, agentId, ct)).Count >= MostAnAgent)
        {
            return Problem.Conflict("too_many_templates", $"An agent has at most {MostAnAgent} templates.");
        }

        return await StoreAsync(tx, Sql.Create, clock.NewId(), agentId, input, "template.created", ct);
    }

    internal async Task<Result<ReplyTemplate>> ChangeAsync(Actor actor, Guid id, ReplyTemplateInput input, IfMatch ifMatch, CancellationToken ct)
    {
        if (input.Check() is { } invalid)
        {
            return invalid;
        }

        await using var tx = database.Begin(actor);
        if (await templates.LockAsync(tx, id, ct) is not { } template)
        {
            return Problem.NotFound("template");
        }

        guidance.Raise(tx, template.AgentId);
        return ifMatch.Check(template.UpdatedAt) ?? await StoreAsync(tx, Sql.Change, id, template.AgentId, input, "template.changed", ct);
    }

    internal async Task<Result<Guid>> DeleteAsync(Actor actor, Guid id, IfMatch ifMatch, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        if (await templates.LockAsync(tx, id, ct) is not { } template)
        {
            return Problem.NotFound("template");
        }

        if (ifMatch.Check(template.UpdatedAt) is { } problem)
        {
            return problem;
        }

        guidance.Raise(tx, template.AgentId);
        tx.Post(Sql.Hide, id, clock.GetUtcNow());
        events.Append(tx, new NewEvent("template.deleted", "template", id, new { agent_id = template.AgentId }));
        await tx.CommitAsync(ct);
        return id;
    }

    private async Task<Result<ReplyTemplate>> StoreAsync(Transaction tx, string sql, Guid id, Guid agentId, ReplyTemplateInput input, string happened, CancellationToken ct)
    {
        var scope = input.Scope ?? Scope.Global;
        if (!Scope.HasTarget(scope, input.ScopeId, await scenarios.OfAgentAsync(tx, agentId, ct)))
        {
            return Problem.Invalid("scope_id", "Names no scenario or step of the agent.");
        }

        tx.Post(sql, id, agentId, input.Name!.Trim(), input.Content, input.Mode ?? ReplyTemplate.Suggest, scope, input.ScopeId);
        var stored = (await templates.FindAsync(tx, id, ct))!;
        events.Append(tx, new NewEvent(happened, "template", id, new { agent_id = agentId, name = stored.Name, mode = stored.Mode, scope = stored.Scope }));
        await tx.CommitAsync(ct);
        return stored;
    }

    private static class Sql
    {
        internal const string Create =
            """
            INSERT INTO agents.templates (tenant_id, id, agent_id, name, content, mode, scope, scope_id)
            VALUES (kernel.current_tenant_id(), $1, $2, $3, $4, $5, $6, $7)
            """;

        internal const string Change =
            """
            UPDATE agents.templates SET name = $3, content = $4, mode = $5, scope = $6, scope_id = $7
            WHERE tenant_id = kernel.current_tenant_id() AND id = $1 AND agent_id = $2
            """;

        internal const string Hide = "UPDATE agents.templates SET deleted_at = $2 WHERE tenant_id = kernel.current_tenant_id() AND id = $1";
    }
}
