using System.Text.Json;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Workflows.Definitions;

/// <summary>The workflows of a tenant and all versions of their definitions.</summary>
internal sealed class WorkflowCatalogue(ActionRegistry registry, TimeProvider clock)
{
    internal Task<Workflow?> FindAsync(Transaction tx, string workflowId, CancellationToken ct) => tx.FindAsync<Workflow>(Sql.Find, [workflowId], ct);

    /// <summary>The same, locked, so that changes come one after the other.</summary>
    internal async Task<Workflow?> LockAsync(Transaction tx, string workflowId, CancellationToken ct) =>
        await tx.FindAsync<Guid?>(Sql.Lock, [workflowId], ct) is null ? null : await FindAsync(tx, workflowId, ct);

    internal async Task<Page<Workflow>> ListAsync(Transaction tx, WorkflowFilter filter, PageRequest page, CancellationToken ct) =>
        Page<Workflow>.Cut(
            await tx.QueryAsync<Workflow>(Sql.List, [filter.AgentId, filter.Category, filter.IsTemplate, filter.IsActive, filter.Tag, page.Before, page.Fetch], ct), page, w => w.Id);

    internal async Task<WorkflowDefinition?> DefinitionAsync(Transaction tx, Guid workflow, int version, CancellationToken ct) =>
        await tx.FindAsync<JsonElement?>(Sql.Definition, [workflow, version], ct) is { } stored ? DefinitionJson.Stored(stored) : null;

    /// <summary>Latest first.</summary>
    internal Task<IReadOnlyList<WorkflowVersion>> VersionsAsync(Transaction tx, Guid workflow, CancellationToken ct) => tx.QueryAsync<WorkflowVersion>(Sql.Versions, [workflow], ct);

    internal Task<IReadOnlyList<Workflow>> StartedByAsync(Transaction tx, string eventType, CancellationToken ct) => tx.QueryAsync<Workflow>(Sql.StartedBy, [eventType], ct);

    /// <summary>The complete definition, or all that is wrong with it.</summary>
    internal async Task<Result<WorkflowDefinition>> CheckAsync(Transaction tx, WorkflowDefinition definition, string workflowId, Guid agentId, CancellationToken ct)
    {
        var actions = new Dictionary<(Guid, string), ActionDefinition>();
        foreach (var agent in definition.Steps.Select(step => step.AgentId).OfType<Guid>().Append(agentId).Distinct())
        {
            foreach (var action in await registry.ActiveAsync(tx, agent, ct))
            {
                actions[(agent, action.ActionId)] = action;
            }
        }

        var calls = await tx.QueryAsync<Call>(Sql.Calls, [], ct);
        var workflows = calls.ToLookup(call => call.WorkflowId).ToDictionary(own => own.Key, own => own.Select(call => call.Calls).OfType<string>().ToArray(), StringComparer.Ordinal);
        return DefinitionRules.Check(definition, workflowId, new DefinitionFacts(agentId, actions, workflows));
    }

    /// <summary>Problem <c>workflow_exists</c> when the tenant has one of that id.</summary>
    internal async Task<Result<Workflow>> InsertAsync(Transaction tx, Workflow workflow, WorkflowDefinition definition, CancellationToken ct)
    {
        var id = clock.NewId();
        var inserted = await tx.ExecuteAsync(Sql.Insert,
        [
            tx.TenantId, id, workflow.WorkflowId, workflow.UserId, workflow.AgentId, workflow.Name, workflow.Description, workflow.Category, workflow.Source, workflow.CopiedFrom,
            workflow.IsTemplate, workflow.Tags, workflow.IsActive, workflow.TriggerEvent, Json.Param(workflow.TriggerWhen), clock.GetUtcNow(), workflow.MadeOf,
        ], ct);
        if (inserted == 0)
        {
            return Problem.Conflict("workflow_exists", "There is a workflow with this workflow_id.");
        }

        Archive(tx, id, 1, definition);
        return (await FindAsync(tx, workflow.WorkflowId, ct))!;
    }

    /// <summary>A changed definition is a new version; runs that have begun keep theirs.</summary>
    internal async Task<Workflow> UpdateAsync(Transaction tx, Workflow workflow, WorkflowDefinition definition, CancellationToken ct)
    {
        var version = workflow.Version;
        if (!JsonElement.DeepEquals(Json.Of(definition), Json.Of(DefinitionJson.Stored(workflow.Definition))))
        {
            Archive(tx, workflow.Id, ++version, definition);
        }

        tx.Post(Sql.Update, workflow.Id, workflow.Name, workflow.Description, workflow.Category, workflow.IsTemplate, workflow.Tags, workflow.IsActive, workflow.TriggerEvent,
            Json.Param(workflow.TriggerWhen), version);
        return (await FindAsync(tx, workflow.WorkflowId, ct))!;
    }

    private void Archive(Transaction tx, Guid workflow, int version, WorkflowDefinition definition) =>
        tx.Post(Sql.Archive, tx.TenantId, workflow, version, Json.Param(definition), tx.Actor!.UserId == Guid.Empty ? null : tx.Actor.UserId, clock.GetUtcNow());

    private sealed record Call(string WorkflowId, string? Calls);

    private static class Sql
    {
        internal const string Find =
            """
            SELECT w.*, v.definition FROM workflows.automation_workflows w
            JOIN workflows.workflow_versions v ON v.tenant_id = w.tenant_id AND v.workflow = w.id AND v.version = w.version
            WHERE w.workflow_id = $1
              AND (w.is_template OR w.user_id IS NULL OR w.user_id = kernel.current_user_id() OR kernel.current_role_name() IN ('owner', 'admin', 'service', 'system'))
            """;

        internal const string Lock = "SELECT id FROM workflows.automation_workflows WHERE workflow_id = $1 FOR NO KEY UPDATE";

        internal const string List =
            """
            SELECT w.*, v.definition FROM workflows.automation_workflows w
            JOIN workflows.workflow_versions v ON v.tenant_id = w.tenant_id AND v.workflow = w.id AND v.version = w.version
            WHERE ($1::uuid IS NULL OR w.agent_id = $1)
              AND ($2::text IS NULL OR w.category = $2)
              AND ($3::boolean IS NULL OR w.is_template = $3)
              AND ($4::boolean IS NULL OR w.is_active = $4)
              AND ($5::text IS NULL OR $5 = ANY (w.tags))
              AND ($6::uuid IS NULL OR w.id < $6)
              AND (w.is_template OR w.user_id IS NULL OR w.user_id = kernel.current_user_id() OR kernel.current_role_name() IN ('owner', 'admin', 'service', 'system'))
            ORDER BY w.id DESC LIMIT $7
            """;

        internal const string Definition = "SELECT definition FROM workflows.workflow_versions WHERE workflow = $1 AND version = $2";

        internal const string Versions = "SELECT version, definition, created_by, created_at FROM workflows.workflow_versions WHERE workflow = $1 ORDER BY version DESC";

        internal const string StartedBy =
            """
            SELECT w.*, v.definition FROM workflows.automation_workflows w
            JOIN workflows.workflow_versions v ON v.tenant_id = w.tenant_id AND v.workflow = w.id AND v.version = w.version
            WHERE w.trigger_event = $1 AND w.is_active
            ORDER BY w.id
            """;

        // Each workflow, once for every workflow that its current version calls, or once with null.
        internal const string Calls =
            """
            SELECT w.workflow_id, s.step ->> 'workflow' AS calls FROM workflows.automation_workflows w
            JOIN workflows.workflow_versions v ON v.tenant_id = w.tenant_id AND v.workflow = w.id AND v.version = w.version
            LEFT JOIN LATERAL jsonb_array_elements(v.definition -> 'steps') AS s (step) ON s.step ->> 'type' = 'workflow'
            """;

        internal const string Insert =
            """
            INSERT INTO workflows.automation_workflows (tenant_id, id, workflow_id, user_id, agent_id, name, description, category, source, copied_from, is_template, tags,
                is_active, trigger_event, trigger_when, created_at, updated_at, made_of)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $16, $17)
            ON CONFLICT ON CONSTRAINT workflow_id_once_per_tenant DO NOTHING
            """;

        internal const string Archive = "INSERT INTO workflows.workflow_versions (tenant_id, workflow, version, definition, created_by, created_at) VALUES ($1, $2, $3, $4, $5, $6)";

        internal const string Update =
            """
            UPDATE workflows.automation_workflows
            SET name = $2, description = $3, category = $4, is_template = $5, tags = $6, is_active = $7, trigger_event = $8, trigger_when = $9, version = $10
            WHERE id = $1
            """;
    }
}

/// <summary>Which workflows to list; null does not narrow.</summary>
public sealed record WorkflowFilter(Guid? AgentId = null, string? Category = null, bool? IsTemplate = null, bool? IsActive = null, string? Tag = null);
