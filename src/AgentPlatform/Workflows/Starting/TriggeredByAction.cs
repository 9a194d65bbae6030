using AgentPlatform.Actions;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Events;
using AgentPlatform.Postgres;
using AgentPlatform.Workflows.Definitions;

namespace AgentPlatform.Workflows.Starting;

/// <summary>
/// An intent starts a workflow by an action with <c>triggers_workflow</c>: what the action was given, and what it brought, is the input. A workflow that
/// nobody has defined is the sequence of the registry's actions with its <c>workflow_id</c>.
/// </summary>
internal sealed class TriggeredByAction(StartWorkflow starts, RegistrySequence sequences, EventStore events) : IActionListener
{
    public async Task ChangedAsync(Transaction tx, ActionChange change, CancellationToken ct)
    {
        var item = change.Item;
        if (item is not { Status: QueueStatus.Completed, WorkflowInstanceId: null, RollbackOf: null } || change.Definition is not { TriggersWorkflow: true, WorkflowId: { } workflowId } action)
        {
            return;
        }

        var refused = await sequences.EnsureAsync(tx, item.AgentId, workflowId, ct);
        if (refused is null)
        {
            var started = await starts.RunAsync(tx, new WorkflowStart(workflowId, item.ConversationId, "intent", $"action:{item.Id:n}")
            {
                Input = Merged(action, item),
                IntentId = item.IntentId,
            }, ct);
            refused = started.Problem;
        }

        if (refused is not null)
        {
            // The action has happened; that its workflow has not begun must not undo it, and must be seen.
            events.Append(tx, new NewEvent("workflow.not_started", "conversation", item.ConversationId, new { workflow_id = workflowId, item.QueueId, code = refused.Code, refused.Title, refused.Errors }) { CreatedBy = "workflows" });
        }
    }

    private static System.Text.Json.JsonElement Merged(ActionDefinition action, QueuedAction item) =>
        item.Result is { ValueKind: System.Text.Json.JsonValueKind.Object } result && !System.Text.Json.JsonElement.DeepEquals(result, item.ParamsCollected)
            ? Kernel.Json.Of(new Dictionary<string, System.Text.Json.JsonElement>(item.ParamsCollected.EnumerateObject().ToDictionary(p => p.Name, p => p.Value), StringComparer.Ordinal) { ["result"] = result })
            : item.ParamsCollected;
}
