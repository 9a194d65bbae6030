using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Actions.Registry;

/// <summary>The actions an agent offers. Every definition that comes out was validated when it went in.</summary>
public sealed class ActionRegistry(TimeProvider clock, IEnumerable<IRegistryListener> listeners)
{
    /// <summary>What the agent can do now, by action id, each with the policies that hold for it.</summary>
    public async Task<IReadOnlyList<ActionDefinition>> ActiveAsync(Transaction tx, Guid agentId, CancellationToken ct) =>
        [.. (await tx.QueryAsync<ActionDefinition>(Sql.Active, [agentId], ct)).Select(action => action.ForAgent)];

    /// <summary>As the agent may use it: not active unless it is activated, with the policies that hold for it. Null when there is none of that id.</summary>
    public async Task<ActionDefinition?> FindAsync(Transaction tx, Guid agentId, string actionId, CancellationToken ct) =>
        (await tx.FindAsync<ActionDefinition>(Sql.ForAgent, [agentId, actionId], ct))?.ForAgent;

    /// <summary>As its author wrote it.</summary>
    internal Task<ActionDefinition?> WrittenAsync(Transaction tx, Guid agentId, string actionId, CancellationToken ct) =>
        tx.FindAsync<ActionDefinition>(Sql.ByActionId, [agentId, actionId], ct);

    public async Task<Page<ActionDefinition>> ListAsync(Transaction tx, Guid agentId, PageRequest page, CancellationToken ct) =>
        Page<ActionDefinition>.Cut(await tx.QueryAsync<ActionDefinition>(Sql.List, [agentId, page.Before, page.Fetch], ct), page, row => row.Id);

    /// <summary>Problem <c>action_exists</c> when the agent already has one of that id.</summary>
    public async Task<Result<ActionDefinition>> CreateAsync(Transaction tx, Guid agentId, ActionDefinition action, CancellationToken ct)
    {
        if (RegistryRules.Errors(action) is { Count: > 0 } errors)
        {
            return Problem.Invalid(errors);
        }

        var id = clock.NewId();
        if (await tx.ExecuteAsync(Sql.Insert, [tx.TenantId, id, agentId, .. Values(action)], ct) == 0)
        {
            return Problem.Conflict("action_exists", "The agent already has an action with this action_id.");
        }

        Tell(tx, agentId);
        return await tx.SingleAsync<ActionDefinition>(Sql.ByActionId, [agentId, action.ActionId], ct);
    }

    /// <summary>Replaces all that is not the identity, if the row is still a version that the caller has read.</summary>
    public async Task<Result<ActionDefinition>> ReplaceAsync(Transaction tx, Guid agentId, ActionDefinition action, IfMatch match, CancellationToken ct)
    {
        if (RegistryRules.Errors(action) is { Count: > 0 } errors)
        {
            return Problem.Invalid(errors);
        }

        if (await LockAsync(tx, agentId, action.ActionId, match, ct) is { } problem)
        {
            return problem;
        }

        tx.Post(Sql.Update, [agentId, .. Values(action)]);
        Tell(tx, agentId);
        return await tx.SingleAsync<ActionDefinition>(Sql.ByActionId, [agentId, action.ActionId], ct);
    }

    /// <summary>Removes the entry; requests that are already queued then fail as a configuration error.</summary>
    public async Task<Result<bool>> DeleteAsync(Transaction tx, Guid agentId, string actionId, IfMatch match, CancellationToken ct)
    {
        if (await LockAsync(tx, agentId, actionId, match, ct) is { } problem)
        {
            return problem;
        }

        tx.Post(Sql.Delete, agentId, actionId);
        Tell(tx, agentId);
        return true;
    }

    internal void Tell(Transaction tx, Guid agentId)
    {
        foreach (var listener in listeners)
        {
            listener.Changed(tx, agentId);
        }
    }

    private static async Task<Problem?> LockAsync(Transaction tx, Guid agentId, string actionId, IfMatch match, CancellationToken ct) =>
        await tx.FindAsync<DateTimeOffset?>(Sql.Lock, [agentId, actionId], ct) is { } updatedAt ? match.Check(updatedAt) : Problem.NotFound("action");

    private static object?[] Values(ActionDefinition a) =>
    [
        a.ActionId, a.ActionName, a.DisplayName, a.Description, a.Category, a.Synonyms, a.ParamsRequired, a.ParamsOptional, a.ParamValidation,
        a.EligibilityCriteria, a.Blockers, a.Dependencies, a.Opposites, a.TimeoutSeconds, a.RetryPolicy, a.RollbackPossible, a.RollbackActionId,
        a.RequiresUserAcknowledgement, a.AcknowledgementTimeoutSeconds, a.EstimatedDurationSeconds, a.ExecutionType, a.ApiEndpoint, a.ApiMethod,
        a.ApiAuthType, a.ApiAuth, a.ApiHeaders, Json.Param(a.ApiBody), a.ResponseType, a.ResponseTemplate, a.WorkflowId, a.SequenceId,
        a.TriggersWorkflow, Json.Param(a.SuccessCriteria), Json.Param(a.FailureCriteria), a.Priority, a.IsActive, Json.Param(a.Approval),
        a.ApiIdempotent, Json.Param(a.Probe), Json.Param(a.ForEach), Json.Param(a.Escalation), a.Examples,
    ];

    private static class Sql
    {
        internal const string Active =
            """
            SELECT r.*, a.enabled AS activated, a.policy_overrides
            FROM actions.action_registry r
            JOIN actions.tool_activations a ON a.tenant_id = r.tenant_id AND a.agent_id = r.agent_id AND a.tool_id = r.action_id
            WHERE r.agent_id = $1 AND r.is_active AND a.enabled ORDER BY r.action_id
            """;

        internal const string ForAgent =
            """
            SELECT r.*, coalesce(a.enabled, false) AS activated, coalesce(a.policy_overrides, '{}') AS policy_overrides
            FROM actions.action_registry r
            LEFT JOIN actions.tool_activations a ON a.tenant_id = r.tenant_id AND a.agent_id = r.agent_id AND a.tool_id = r.action_id
            WHERE r.agent_id = $1 AND r.action_id = $2
            """;

        internal const string ByActionId = "SELECT * FROM actions.action_registry WHERE agent_id = $1 AND action_id = $2";

        internal const string List =
            """
            SELECT * FROM actions.action_registry
            WHERE agent_id = $1 AND ($2::uuid IS NULL OR id < $2)
            ORDER BY id DESC LIMIT $3
            """;

        internal const string Insert =
            """
            INSERT INTO actions.action_registry (tenant_id, id, agent_id,
                action_id, action_name, display_name, description, category, synonyms, params_required, params_optional, param_validation,
                eligibility_criteria, blockers, dependencies, opposites, timeout_seconds, retry_policy, rollback_possible, rollback_action_id,
                requires_user_acknowledgement, acknowledgement_timeout_seconds, estimated_duration_seconds, execution_type, api_endpoint, api_method,
                api_auth_type, api_auth, api_headers, api_body, response_type, response_template, workflow_id, sequence_id,
                triggers_workflow, success_criteria, failure_criteria, priority, is_active, approval, api_idempotent, probe, for_each, escalation, examples)
            VALUES ($1, $2, $3,
                $4, $5, $6, $7, $8, $9, $10, $11, $12,
                $13, $14, $15, $16, $17, $18, $19, $20,
                $21, $22, $23, $24, $25, $26,
                $27, $28, $29, $30, $31, $32, $33, $34,
                $35, $36, $37, $38, $39, $40, $41, $42, $43, $44, $45)
            ON CONFLICT ON CONSTRAINT action_registry_once_per_agent DO NOTHING
            """;

        internal const string Update =
            """
            UPDATE actions.action_registry SET
                action_name = $3, display_name = $4, description = $5, category = $6, synonyms = $7, params_required = $8, params_optional = $9,
                param_validation = $10, eligibility_criteria = $11, blockers = $12, dependencies = $13, opposites = $14, timeout_seconds = $15,
                retry_policy = $16, rollback_possible = $17, rollback_action_id = $18, requires_user_acknowledgement = $19,
                acknowledgement_timeout_seconds = $20, estimated_duration_seconds = $21, execution_type = $22, api_endpoint = $23, api_method = $24,
                api_auth_type = $25, api_auth = $26, api_headers = $27, api_body = $28, response_type = $29, response_template = $30,
                workflow_id = $31, sequence_id = $32, triggers_workflow = $33, success_criteria = $34, failure_criteria = $35, priority = $36,
                is_active = $37, approval = $38, api_idempotent = $39, probe = $40, for_each = $41, escalation = $42, examples = $43
            WHERE agent_id = $1 AND action_id = $2
            """;

        internal const string Delete =
            "DELETE FROM actions.action_registry WHERE agent_id = $1 AND action_id = $2";

        internal const string Lock = "SELECT updated_at FROM actions.action_registry WHERE agent_id = $1 AND action_id = $2 FOR UPDATE";
    }
}

/// <summary>Hears, in the transaction of the change, that an agent's registry is another one.</summary>
public interface IRegistryListener
{
    void Changed(Transaction tx, Guid agentId);
}
