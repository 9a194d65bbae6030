using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Schedules;

namespace AgentPlatform.Workflows.Starting;

/// <summary>
/// Starts a workflow at the time of a scheduled task of type <c>start_workflow</c>, whose context is
/// <c>{"workflow_id": "…", "conversation_id": "…", "input": {…}}</c>.
/// </summary>
internal sealed class ScheduledStart(StartWorkflow starts) : IAgentTaskHandler
{
    public string TaskType => "start_workflow";

    public async Task<AgentTaskOutcome> RunAsync(AgentTask task, Transaction tx, CancellationToken ct)
    {
        var context = Json.Read<Context>(task.ContextJson);
        var conversation = context.ConversationId ?? (task.ContextType == "conversation" ? task.ContextId : null);
        if (context.WorkflowId is null || conversation is null)
        {
            return new AgentTaskOutcome.Failed("The context must name workflow_id and conversation_id.");
        }

        var started = await starts.RunAsync(tx, new WorkflowStart(context.WorkflowId, conversation.Value, "schedule", $"task:{task.Id:n}") { Input = context.Input }, ct);
        return started.IsOk
            ? new AgentTaskOutcome.Completed(new { started.Value.WorkflowInstanceId })
            : new AgentTaskOutcome.Failed($"{started.Problem.Code}: {started.Problem.Title}");
    }

    private sealed record Context(string? WorkflowId, Guid? ConversationId, System.Text.Json.JsonElement? Input);
}
