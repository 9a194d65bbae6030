using AgentPlatform.Actions.Registry;
using AgentPlatform.Agents.Scenarios;
using AgentPlatform.Api;
using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Tenancy;

namespace AgentPlatform.Agents.Rules;

/// <summary>
/// What operators do to rules. Changes of one agent's take turns at its <see cref="Guidance"/>, so that what was checked against the other rules still
/// holds when it is written.
/// </summary>
internal sealed class ManageRules(
    Database database, RuleStore rules, Guidance guidance, ScenarioStore scenarios, ActionRegistry registry, AgentDirectory agents, IEnumerable<ISentenceListener> listeners,
    EventStore events, TimeProvider clock)
{
    internal const int MostAnAgent = 2000;

    internal async Task<Result<Rule>> CreateAsync(Actor actor, Guid agentId, RuleInput input, CancellationToken ct)
    {
        if (RuleRules.Check(input) is { } invalid)
        {
            return invalid;
        }

        await using var tx = database.Begin(actor);
        if (await agents.FindAsync(tx, agentId, ct) is null)
        {
            return Problem.NotFound("agent");
        }

        var rule = input.As(clock.NewId(), agentId);
        var around = await AroundAsync(tx, rule, ct);
        if (around.Rules.Count >= MostAnAgent)
        {
            return Problem.Conflict("too_many_rules", $"An agent has at most {MostAnAgent} rules.");
        }

        return RuleRules.Check(rule, around) ?? await StoreAsync(tx, Sql.Create, rule, "rule.created", ct);
    }

    internal async Task<Result<Rule>> ChangeAsync(Actor actor, Guid id, RuleInput input, IfMatch ifMatch, CancellationToken ct)
    {
        if (RuleRules.Check(input) is { } invalid)
        {
            return invalid;
        }

        await using var tx = database.Begin(actor);
        if (await rules.FindAsync(tx, id, ct) is not { } found)
        {
            return Problem.NotFound("rule");
        }

        var rule = input.As(id, found.AgentId);
        var around = await AroundAsync(tx, rule, ct);
        if (around.Rules.FirstOrDefault(other => other.Id == id) is not { } before)
        {
            return Problem.NotFound("rule");
        }

        return ifMatch.Check(before.UpdatedAt) ?? RuleRules.Check(rule, around) ?? await StoreAsync(tx, Sql.Change, rule, "rule.changed", ct, before);
    }

    /// <summary>Not while another rule requires it: without it that one would hold more often than its author meant.</summary>
    internal async Task<Result<Guid>> DeleteAsync(Actor actor, Guid id, IfMatch ifMatch, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        if (await rules.FindAsync(tx, id, ct) is not { } found)
        {
            return Problem.NotFound("rule");
        }

        var around = await AroundAsync(tx, found, ct);
        if (around.Rules.FirstOrDefault(rule => rule.Id == id) is not { } rule)
        {
            return Problem.NotFound("rule");
        }

        if (ifMatch.Check(rule.UpdatedAt) is { } problem)
        {
            return problem;
        }

        if (around.Rules.FirstOrDefault(other => other.Requires.Contains(id)) is { } dependent)
        {
            return Problem.Conflict("rule_is_required", $"The rule \"{dependent.Name}\" requires it.");
        }

        tx.Post(Sql.Hide, id, clock.GetUtcNow());
        tx.Post(Sql.Forget, id);
        Tell(tx, rule);
        events.Append(tx, new NewEvent("rule.deleted", "rule", id, new { agent_id = rule.AgentId }));
        await tx.CommitAsync(ct);
        return id;
    }

    private async Task<RuleSurroundings> AroundAsync(Transaction tx, Rule rule, CancellationToken ct)
    {
        guidance.Raise(tx, rule.AgentId);
        tx.Gather();
        var (others, guided) = (rules.OfAgentAsync(tx, rule.AgentId, ct), scenarios.OfAgentAsync(tx, rule.AgentId, ct));
        var action = registry.FindAsync(tx, rule.AgentId, RuleRules.Names(rule.Action) ?? "", ct);
        await tx.AskAsync(ct);
        return new(await others, await guided, await action);
    }

    /// <summary>Sentences matter only where a classifier learns from them.</summary>
    private void Tell(Transaction tx, params Rule?[] concerned)
    {
        if (concerned.FirstOrDefault(rule => rule?.ConditionKind == Rule.Examples) is { } rule)
        {
            foreach (var listener in listeners)
            {
                listener.Changed(tx, rule.AgentId);
            }
        }
    }

    private async Task<Result<Rule>> StoreAsync(Transaction tx, string sql, Rule rule, string happened, CancellationToken ct, Rule? before = null)
    {
        tx.Post(
            sql, rule.Id, rule.AgentId, rule.Name, rule.Description, rule.ConditionKind, rule.ConditionText, rule.ActionType, Json.Param(rule.ActionConfig), rule.Scope,
            rule.ScopeId, rule.Priority, rule.Enabled, rule.Threshold);
        tx.Post(Sql.Relate, rule.Id, rule.Requires, rule.Excludes, rule.Overrides);
        Tell(tx, rule, before);
        events.Append(tx, new NewEvent(happened, "rule", rule.Id, new { agent_id = rule.AgentId, name = rule.Name, action_type = rule.ActionType, enabled = rule.Enabled }));
        var stored = (await rules.FindAsync(tx, rule.Id, ct))!;
        await tx.CommitAsync(ct);
        return stored;
    }

    private static class Sql
    {
        internal const string Create =
            """
            INSERT INTO agents.rules (tenant_id, id, agent_id, name, description, condition_kind, condition_text, action_type, action_config, scope, scope_id, priority, enabled,
                threshold)
            VALUES (kernel.current_tenant_id(), $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
            """;

        internal const string Change =
            """
            UPDATE agents.rules
            SET name = $3, description = $4, condition_kind = $5, condition_text = $6, action_type = $7, action_config = $8, scope = $9, scope_id = $10, priority = $11, enabled = $12,
                threshold = $13
            WHERE tenant_id = kernel.current_tenant_id() AND id = $1 AND agent_id = $2
            """;

        // What stays is left as it is: a row deleted by one part of a statement cannot be written again by another.
        internal const string Relate =
            """
            WITH wanted AS (
                SELECT 'requires' AS kind, unnest($2::uuid[]) AS other UNION ALL SELECT 'excludes', unnest($3::uuid[]) UNION ALL SELECT 'overrides', unnest($4::uuid[])
            ), gone AS (
                DELETE FROM agents.rule_relations
                WHERE tenant_id = kernel.current_tenant_id() AND rule_id = $1 AND (kind, other_rule_id) NOT IN (SELECT kind, other FROM wanted)
            )
            INSERT INTO agents.rule_relations (tenant_id, rule_id, kind, other_rule_id)
            SELECT kernel.current_tenant_id(), $1, kind, other FROM wanted
            ON CONFLICT DO NOTHING
            """;

        internal const string Hide = "UPDATE agents.rules SET deleted_at = $2 WHERE tenant_id = kernel.current_tenant_id() AND id = $1";

        internal const string Forget = "DELETE FROM agents.rule_relations WHERE tenant_id = kernel.current_tenant_id() AND (rule_id = $1 OR other_rule_id = $1)";
    }
}
