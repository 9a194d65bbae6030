using AgentPlatform.Api;
using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Actions.Registry;

/// <summary>What operators do to the tools of agents. A tool without an activation cannot be used, nor one whose activation is switched off.</summary>
internal sealed class ManageTools(Database database, ActionRegistry registry, EventStore events, TimeProvider clock)
{
    internal Task<ToolActivation?> FindAsync(Transaction tx, Guid agentId, string toolId, CancellationToken ct) => tx.FindAsync<ToolActivation>(Sql.Find, [agentId, toolId], ct);

    internal async Task<Page<ToolActivation>> ListAsync(Transaction tx, Guid agentId, PageRequest page, CancellationToken ct) =>
        Page<ToolActivation>.Cut(await tx.QueryAsync<ToolActivation>(Sql.List, [agentId, page.Before, page.Fetch], ct), page, tool => tool.Id);

    /// <summary>An upsert: the row is the same whether it was there or not.</summary>
    internal async Task<Result<ToolActivation>> PutAsync(Actor actor, Guid agentId, string toolId, ToolActivationInput input, IfMatch ifMatch, CancellationToken ct)
    {
        if (new Validation().MustBeObject("policy_overrides", input.PolicyOverrides).Problem is { } invalid)
        {
            return invalid;
        }

        await using var tx = database.Begin(actor);
        var overrides = input.PolicyOverrides ?? Parameters.None;
        if (await registry.WrittenAsync(tx, agentId, toolId, ct) is not { } action)
        {
            return Problem.NotFound("action");
        }

        if (PolicyOverrides.Errors(action, overrides) is { Count: > 0 } errors)
        {
            return Problem.Invalid(errors);
        }

        if (await tx.FindAsync<ToolActivation>(Sql.Lock, [agentId, toolId], ct) is { } before && ifMatch.Check(before.UpdatedAt) is { } problem)
        {
            return problem;
        }

        var put = await tx.SingleAsync<ToolActivation>(Sql.Put, [clock.NewId(), agentId, toolId, input.Enabled ?? true, overrides], ct);
        events.Append(tx, new NewEvent(put.Enabled ? "tool.activated" : "tool.deactivated", "agent", agentId, new { tool_id = toolId, policy_overrides = put.PolicyOverrides }));
        registry.Tell(tx, agentId);
        await tx.CommitAsync(ct);
        return put;
    }

    internal async Task<Result<string>> DeleteAsync(Actor actor, Guid agentId, string toolId, IfMatch ifMatch, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        if (await tx.FindAsync<ToolActivation>(Sql.Lock, [agentId, toolId], ct) is not { } before)
        {
            return Problem.NotFound("tool_activation");
        }

        if (ifMatch.Check(before.UpdatedAt) is { } problem)
        {
            return problem;
        }

        tx.Post(Sql.Delete, agentId, toolId);
        events.Append(tx, new NewEvent("tool.deactivated", "agent", agentId, new { tool_id = toolId }));
        registry.Tell(tx, agentId);
        await tx.CommitAsync(ct);
        return toolId;
    }

    private static class Sql
    {
        internal const string Find =
            "SELECT id, agent_id, tool_id, enabled, policy_overrides, created_at, updated_at FROM actions.tool_activations WHERE agent_id = $1 AND tool_id = $2";

        internal const string Lock =
            "SELECT id, agent_id, tool_id, enabled, policy_overrides, created_at, updated_at FROM actions.tool_activations WHERE agent_id = $1 AND tool_id = $2 FOR UPDATE";

        internal const string List =
            """
            SELECT id, agent_id, tool_id, enabled, policy_overrides, created_at, updated_at FROM actions.tool_activations
            WHERE agent_id = $1 AND ($2::uuid IS NULL OR id < $2) ORDER BY id DESC LIMIT $3
            """;

        internal const string Put =
            """
            INSERT INTO actions.tool_activations (tenant_id, id, agent_id, tool_id, enabled, policy_overrides)
            VALUES (kernel.current_tenant_id(), $1, $2, $3, $4, $5)
            ON CONFLICT ON CONSTRAINT uq_tool_activations DO UPDATE SET enabled = excluded.enabled, policy_overrides = excluded.policy_overrides
            RETURNING id, agent_id, tool_id, enabled, policy_overrides, created_at, updated_at
            """;

        internal const string Delete = "DELETE FROM actions.tool_activations WHERE agent_id = $1 AND tool_id = $2";
    }
}
