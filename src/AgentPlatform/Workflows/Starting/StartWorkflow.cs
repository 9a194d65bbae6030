using System.Text.Json;
using AgentPlatform.Contacts;
using AgentPlatform.Conversations;
using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Workflows.Definitions;
using AgentPlatform.Workflows.Running;

namespace AgentPlatform.Workflows.Starting;

/// <summary>
/// A run to start, for the contact of a conversation. The same <paramref name="StartKey"/> starts once, however often it is said.
/// <paramref name="StartedBy"/>: api, intent, event, schedule, workflow, fork or task.
/// </summary>
public sealed record WorkflowStart(string WorkflowId, Guid ConversationId, string StartedBy, string StartKey)
{
    public JsonElement? Input { get; init; }
    public string? IntentId { get; init; }

    /// <summary>An earlier version than the current one.</summary>
    public int? Version { get; init; }

    /// <summary>The browser session it works in.</summary>
    public string? BrowserSessionId { get; init; }
    internal Guid? ParentStep { get; init; }

    /// <summary>See <see cref="WorkflowInstance.StartChain"/>.</summary>
    internal string[] Chain { get; init; } = [];
    internal Guid? ForkedFrom { get; init; }
    internal string? ForkedAtStep { get; init; }

    /// <summary>A fork goes on where its definition was switched off meanwhile.</summary>
    internal bool EvenIfInactive { get; init; }
}

/// <summary>Makes an instance and its execution, counts the run, and leaves word that there is something to do.</summary>
internal sealed class StartWorkflow(
    WorkflowCatalogue catalogue, InstanceStore store, WakeUps wakeUps, ConversationLog conversations, SessionStore sessions, EventStore events, TimeProvider clock)
{
    internal async Task<Result<WorkflowInstance>> RunAsync(Transaction tx, WorkflowStart start, CancellationToken ct)
    {
        if (await catalogue.FindAsync(tx, start.WorkflowId, ct) is not { } workflow)
        {
            return Problem.NotFound("workflow");
        }

        if (await conversations.FindAsync(tx, start.ConversationId, ct) is not { } conversation)
        {
            return Problem.NotFound("conversation");
        }

        if (Refusal(workflow, conversation, start) is { } refusal)
        {
            return refusal;
        }

        var version = start.Version ?? workflow.Version;
        if (await catalogue.DefinitionAsync(tx, workflow.Id, version, ct) is not { } definition)
        {
            return Problem.NotFound("workflow_version");
        }

        var address = new ChannelAddress(conversation.Channel, conversation.ParticipantIdentifier);
        var session = await sessions.LoadOrStartAsync(tx, conversation.Id, workflow.AgentId, conversation.ContactId!.Value, address, ct);
        return await StartAsync(tx, start, (workflow, version, definition), (conversation.ContactId.Value, session.SessionId), ct);
    }

    private static Problem? Refusal(Workflow workflow, Conversation conversation, WorkflowStart start) =>
        !workflow.IsActive && !start.EvenIfInactive ? Problem.Conflict("workflow_inactive", "The workflow is switched off.")
        : conversation.ContactId is null ? Problem.Conflict("no_contact", "The conversation has no contact to run the workflow for.")
        : start.Input is { ValueKind: not JsonValueKind.Object } ? Problem.Invalid("input", "Must be an object.")
        : null;

    private async Task<WorkflowInstance> StartAsync(
        Transaction tx, WorkflowStart start, (Workflow Workflow, int Version, WorkflowDefinition Definition) what, (Guid Contact, Guid Session) who, CancellationToken ct)
    {
        var (id, now) = (clock.NewId(), clock.GetUtcNow());
        var user = tx.Actor!.UserId;
        var (workflow, steps) = (what.Workflow, what.Definition.Steps.Count);
        var started = await tx.ExecuteAsync(Sql.Start,
        [
            tx.TenantId, id, $"wfi_{id:n}", workflow.Id, workflow.WorkflowId, workflow.Name, what.Version, who.Session, who.Contact, workflow.AgentId, start.ConversationId, start.IntentId,
            start.StartedBy, start.StartKey, start.ParentStep, start.ForkedFrom, start.ForkedAtStep, steps, now, now + what.Definition.Timeout,
            Json.Param(start.Input ?? Json.Of(new { })), user == Guid.Empty ? null : user, start.BrowserSessionId, start.Chain,
        ], ct);
        if (started == 0)
        {
            return (await store.FindByStartKeyAsync(tx, start.StartKey, ct))!;
        }

        var instance = (await store.FindAsync(tx, id, ct))!;
        var estimate = Progress.Of(new RunState(instance, what.Definition, [], []), now).EstimatedCompletionAt;
        tx.Post(Sql.Estimate, id, estimate?.ToUniversalTime());
        events.Append(tx, WorkflowEvents.Of("workflow.started", instance, new { start.StartedBy, start.IntentId, instance.Input, instance.ForkedFrom, instance.ForkedAtStep, steps_total = steps }));
        wakeUps.Wake(tx, id);
        // Last, for all runs of a workflow wait for each other here.
        tx.BeforeCommit(() => tx.Post(Sql.Count, workflow.Id, now));
        return instance with { EstimatedCompletionAt = estimate };
    }

    private static class Sql
    {
        internal const string Start =
            """
            WITH instance AS (
                INSERT INTO workflows.workflow_instances (tenant_id, id, workflow_instance_id, workflow, workflow_id, workflow_name, workflow_version, session_id,
                    contact_id, agent_id, conversation_id, intent_id, started_by, start_key, parent_step, forked_from, forked_at_step, current_step, steps_total,
                    steps_remaining, started_at, timeout_at, wake_at, start_chain)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, 1, $18, $18, $19, $20, $20, $24)
                ON CONFLICT (tenant_id, start_key) DO NOTHING
                RETURNING tenant_id, id, workflow, workflow_version
            )
            INSERT INTO workflows.workflow_executions (tenant_id, id, workflow, version, input, user_id, browser_session_id, created_at)
            SELECT tenant_id, id, workflow, workflow_version, $21, $22, $23, $19 FROM instance
            """;

        internal const string Estimate = "UPDATE workflows.workflow_instances SET estimated_completion_at = $2 WHERE id = $1";

        internal const string Count = "UPDATE workflows.automation_workflows SET execution_count = execution_count + 1, last_executed_at = $2 WHERE id = $1";
    }
}
