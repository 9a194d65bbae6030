using AgentPlatform.Events;
using AgentPlatform.Workflows.Running;

namespace AgentPlatform.Workflows;

/// <summary>What the event store hears of instances: aggregate <c>workflow_instance</c>.</summary>
internal static class WorkflowEvents
{
    internal const string Aggregate = "workflow_instance";

    internal static NewEvent Of(string type, WorkflowInstance instance, object details) => new(type, Aggregate, instance.Id, new
    {
        instance.WorkflowInstanceId,
        instance.WorkflowId,
        version = instance.WorkflowVersion,
        instance.ConversationId,
        instance.ContactId,
        instance.AgentId,
        details,
    })
    { CreatedBy = "workflows" };

    /// <summary><c>workflow.step_started</c>, <c>workflow.step_completed</c>, <c>workflow.undo_failed</c> and so on.</summary>
    internal static NewEvent OfStep(RunState run, WorkflowStep row) => Of(
        $"workflow.{(row.IsUndo ? "undo" : "step")}_{(row.IsOpen ? "started" : row.Status)}", run.Instance,
        new { row.StepId, row.Iteration, sequence_id = run.Definition.PlaceOf(row.StepId), row.ActionId, row.ExecutionId, row.Error, row.ErrorCode });
}
