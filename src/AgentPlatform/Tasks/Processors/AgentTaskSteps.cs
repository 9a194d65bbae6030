using System.Text.Json;
using System.Text.Json.Nodes;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Schedules;

namespace AgentPlatform.Tasks.Processors;

/// <summary>
/// What agents set themselves as tasks can be put on the board too: <c>create_conversation_summary</c>, <c>schedule_followup</c>,
/// <c>re_engagement_check</c>. Config: what such a task's context holds; the conversation is the task's own.
/// </summary>
internal sealed class AgentTaskSteps(IEnumerable<IAgentTaskHandler> handlers) : IAgencyTaskProcessor
{
    public bool Knows(string taskType) => handlers.Any(h => h.TaskType == taskType);

    public string? Refuses(AgencyTask task) => task.ConversationId is null ? $"A task of type '{task.TaskType}' is about a conversation; this one has none." : null;

    public IReadOnlyList<TaskStep> StepsOf(string taskType)
    {
        var handler = handlers.First(h => h.TaskType == taskType);
        return [new(taskType, async (run, tx, ct) => Outcome(await handler.RunAsync(AsAgentTask(run.Task), tx, ct)))];
    }

    private static StepOutcome Outcome(AgentTaskOutcome outcome) => outcome switch
    {
        AgentTaskOutcome.Completed completed => new StepOutcome.Done(Json.Of(completed.Result)),
        AgentTaskOutcome.Retry retry => new StepOutcome.Failed(new TaskFailure("not_done", retry.Error), Again: true),
        AgentTaskOutcome.Failed failed => new StepOutcome.Failed(new TaskFailure("not_possible", failed.Error), Again: false),
        _ => throw new ArgumentOutOfRangeException(nameof(outcome), outcome, "Not an outcome of a task."),
    };

    private static AgentTask AsAgentTask(AgencyTask task)
    {
        var context = JsonNode.Parse(task.ExecutionConfig.GetRawText()) as JsonObject ?? [];
        context["conversation_id"] = task.ConversationId;
        return new AgentTask(
            task.Id, task.TaskType, "agent", null, task.ConversationId, "conversation", task.ScheduledFor ?? task.CreatedAt, task.Priority, "processing", task.ErrorCount,
            task.MaxRetries, task.StartedAt, JsonSerializer.SerializeToElement(context), null, task.LastError, task.CreatedAt, "board", null, null);
    }
}
