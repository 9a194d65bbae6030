using System.Text.Json;
using AgentPlatform.Workflows.Definitions;

namespace AgentPlatform.Workflows;

/// <summary>
/// A run of one version of a workflow for one contact: a row of <c>workflow_instances</c> with what its <c>workflow_executions</c> row says of
/// input and outcome. Status: in_progress, completed, failed or cancelled. Control: running, paused, cancelled or awaiting_approval. Phase:
/// forward, or undoing once something has failed or was cancelled.
/// </summary>
public sealed record WorkflowInstance
{
    public Guid Id { get; init; }

    /// <summary>The id to show: <c>wfi_…</c>; queued actions carry it.</summary>
    public string WorkflowInstanceId { get; init; } = "";

    /// <summary>The definition's row; <see cref="WorkflowId"/> names it.</summary>
    public Guid Workflow { get; init; }
    public string WorkflowId { get; init; } = "";
    public string? WorkflowName { get; init; }

    /// <summary>The version it was started with, and keeps.</summary>
    public int WorkflowVersion { get; init; }
    public Guid SessionId { get; init; }
    public Guid ContactId { get; init; }
    public Guid AgentId { get; init; }
    public Guid ConversationId { get; init; }
    public string? IntentId { get; init; }

    /// <summary>api, intent, event, schedule, workflow, fork or task.</summary>
    public string StartedBy { get; init; } = "";
    public string StartKey { get; init; } = "";

    /// <summary>The step row of another instance that waits for this one.</summary>
    public Guid? ParentStep { get; init; }

    /// <summary>The workflows by which it came to be started, oldest first: each started the next, as a step or by an event.</summary>
    public string[] StartChain { get; init; } = [];

    /// <summary>The same for what this instance starts.</summary>
    internal string[] ChainOn => [.. StartChain, WorkflowId];
    public Guid? ForkedFrom { get; init; }
    public string? ForkedAtStep { get; init; }
    public string Status { get; init; } = "";
    public string Phase { get; init; } = "";
    public string Control { get; init; } = "";
    public string? ControlReason { get; init; }
    public DateTimeOffset LastStateChange { get; init; }

    /// <summary>The place, from 1, of the first step that is not over; the number of steps when all are.</summary>
    public int? CurrentStep { get; init; }
    public int ProgressPercentage { get; init; }
    public int StepsCompleted { get; init; }
    public int StepsTotal { get; init; }
    public int StepsRemaining { get; init; }

    /// <summary><c>{"sequence_id", "step_id", "action_id", "status", "execution_id", "started_at", "completed_at", "result"}</c> of each step that is over, in that order.</summary>
    public JsonElement StepsExecuted { get; init; }
    public DateTimeOffset StartedAt { get; init; }
    public DateTimeOffset? CompletedAt { get; init; }
    public DateTimeOffset? TimeoutAt { get; init; }
    public bool TimedOut { get; init; }
    public DateTimeOffset? EstimatedCompletionAt { get; init; }
    public DateTimeOffset? WakeAt { get; init; }
    public bool RollbackPerformed { get; init; }

    /// <summary><c>{"step_id", "iteration", "action_id", "status", "execution_id", "completed_at", "error"}</c> of each undoing, in the order in which they ended.</summary>
    public JsonElement RollbackSteps { get; init; }

    /// <summary>The execution's status: pending, running, completed, failed or cancelled.</summary>
    public string ExecutionStatus { get; init; } = "";

    /// <summary>The member who started it; null when the platform did.</summary>
    public Guid? UserId { get; init; }

    /// <summary>The browser session it works in, if it works in one.</summary>
    public string? BrowserSessionId { get; init; }
    public JsonElement Input { get; init; }
    public JsonElement? Output { get; init; }
    public string? Error { get; init; }
    public string? ErrorCode { get; init; }

    /// <summary>The step that failed.</summary>
    public string? ErrorStep { get; init; }

    /// <summary>What runs that failed alike have in common.</summary>
    public string? ErrorSignature { get; init; }

    /// <summary>Milliseconds, once it is over.</summary>
    public int? Duration { get; init; }
    public DateTimeOffset CreatedAt { get; init; }
    public DateTimeOffset UpdatedAt { get; init; }

    internal bool IsOver => Status != "in_progress";
}

/// <summary>
/// What was done of one step: a row of <c>workflow_steps</c>. Iteration 0 is the step itself, 1 and up the elements of its for-each; direction
/// <c>undo</c> is the undoing. Status: running, waiting, completed, failed, skipped or cancelled.
/// </summary>
public sealed record WorkflowStep
{
    public Guid Id { get; init; }
    public Guid InstanceId { get; init; }
    public string StepId { get; init; } = "";
    public int Iteration { get; init; }
    public string Direction { get; init; } = "forward";

    /// <summary>The instance that did it, when this one was forked from it.</summary>
    public Guid OriginInstance { get; init; }
    public StepType Type { get; init; }
    public string? ActionId { get; init; }
    public string Status { get; init; } = "";
    public JsonElement? Input { get; init; }
    public JsonElement? Result { get; init; }
    public string? Error { get; init; }
    public string? ErrorCode { get; init; }

    /// <summary>It failed, and nothing tells whether its call was carried out.</summary>
    public bool MayHaveHappened { get; init; }
    public Guid? ActionQueueId { get; init; }
    public Guid? ChildInstance { get; init; }
    public string? ExecutionId { get; init; }
    public string? EventName { get; init; }
    public DateTimeOffset? DueAt { get; init; }
    public DateTimeOffset StartedAt { get; init; }
    public DateTimeOffset? CompletedAt { get; init; }

    internal bool IsUndo => Direction == "undo";

    internal bool IsOpen => Status is "running" or "waiting";

    /// <summary>Over, and what follows may begin.</summary>
    internal bool IsDone => Status is "completed" or "skipped";
}

/// <summary>An event that was sent to an instance.</summary>
public sealed record WorkflowSignal
{
    public Guid Id { get; init; }
    public string Name { get; init; } = "";
    public JsonElement Payload { get; init; }

    /// <summary>The member who sent it; null when the platform did.</summary>
    public Guid? SentBy { get; init; }
    public DateTimeOffset ReceivedAt { get; init; }
    public DateTimeOffset? ConsumedAt { get; init; }

    /// <summary>The step row that took it.</summary>
    public Guid? ConsumedBy { get; init; }
}
