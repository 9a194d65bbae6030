using System.Text.Json;
using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Workflows.Definitions;
using AgentPlatform.Workflows.Running;

namespace AgentPlatform.Workflows.Starting;

/// <summary>
/// Starts the workflows whose <c>trigger_event</c> has happened to a conversation, with the event as input: what one agent has done sets the next one
/// going. A workflow is not started by its own runs, nor by what these have started: two would start each other for ever.
/// </summary>
internal sealed class EventStarts(WorkflowCatalogue catalogue, StartWorkflow starts, InstanceStore instances, EventStore events) : IEventConsumer
{
    /// <summary>So many workflows start each other one after the other. Of those that listen to all ends each would start all others.</summary>
    internal const int MostInChain = 5;

    internal const string Consumer = "workflows.starts";

    /// <summary>Every event of these types is looked at; more of them cost more.</summary>
    internal static readonly string[] Types =
    [
        "agency_task.completed", "agency_task.failed", "conversation.status_changed",
        "workflow.completed", "workflow.failed", "workflow.cancelled", "workflow.step_completed",
    ];

    public async Task HandleAsync(StoredEvent e, Transaction tx, CancellationToken ct)
    {
        var input = Json.Of(new { e.EventType, e.AggregateType, e.AggregateId, e.Payload });
        if (ConversationOf(e) is not { } conversation)
        {
            return;
        }

        var wanted = (await catalogue.StartedByAsync(tx, e.EventType, ct)).Where(w => Wants(w, e, input)).ToList();
        var chain = wanted.Count > 0 && e.AggregateType == WorkflowEvents.Aggregate && await instances.FindAsync(tx, e.AggregateId, ct) is { } instance ? instance.ChainOn : [];
        foreach (var workflow in wanted)
        {
            var start = new WorkflowStart(workflow.WorkflowId, conversation, "event", $"event:{e.Id:n}:{workflow.Id:n}") { Input = input, Chain = chain };
            var started = Refusal(start) is { } refusal ? refusal : await starts.RunAsync(tx, start, ct);
            if (!started.IsOk)
            {
                events.Append(tx, new NewEvent("workflow.not_started", "conversation", conversation, new { workflow_id = workflow.WorkflowId, event_id = e.Id, code = started.Problem.Code, started.Problem.Title }) { CreatedBy = "workflows" });
            }
        }
    }

    private static Problem? Refusal(WorkflowStart start) =>
        start.Chain.Contains(start.WorkflowId, StringComparer.Ordinal) ? Problem.Conflict("workflow_loop", "What happened follows from a run of this very workflow.")
        : start.Chain.Length >= MostInChain ? Problem.Conflict("workflow_chain_too_long", "Too many workflows have started each other.")
        : null;

    private static bool Wants(Workflow workflow, StoredEvent e, JsonElement input) =>
        Text(e.Payload, "workflow_id") != workflow.WorkflowId
        && (workflow.TriggerWhen is not { } when || Condition.Holds(when, Json.Of(new { input })));

    /// <summary>The conversation that an event is about.</summary>
    internal static Guid? ConversationOf(StoredEvent e) =>
        e.AggregateType == "conversation" ? e.AggregateId : Guid.TryParse(Text(e.Payload, "conversation_id"), out var id) ? id : null;

    private static string? Text(JsonElement payload, string name) =>
        payload.ValueKind == JsonValueKind.Object && payload.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
}
