using System.Text.Json;
using AgentPlatform.Workflows.Definitions;

namespace AgentPlatform.Workflows.Running;

/// <summary>Something to be done about an instance: a closed set.</summary>
internal abstract record Order
{
    private Order()
    {
    }

    /// <summary>A row of its own that is not run by anybody else: a sleep, a wait, a for-each, a step that is skipped or cannot begin.</summary>
    internal sealed record Write(WorkflowStep Row) : Order;

    /// <summary>A row ends, by time, by an event, or with its elements.</summary>
    internal sealed record Close(WorkflowStep Row) : Order;

    /// <summary>The step takes the event.</summary>
    internal sealed record Consume(WorkflowSignal Signal, WorkflowStep By) : Order;

    /// <summary>An action is requested, or a sub-workflow started.</summary>
    internal sealed record Run(StepDefinition Step, WorkflowStep Row) : Order;

    /// <summary>The action of the registry that undoes what the row did.</summary>
    internal sealed record Undo(StepDefinition Step, WorkflowStep Done, WorkflowStep Row) : Order;

    /// <summary>What has not begun is not begun any more; what is being done goes on, and its end is waited for.</summary>
    internal sealed record Stop(WorkflowStep Row, WorkflowStep Stopped) : Order;

    /// <summary>From here on there is only the way back.</summary>
    internal sealed record TurnBack(RunError Error) : Order;

    internal sealed record Finish(string Status, JsonElement? Output, bool RolledBack) : Order;
}

/// <summary>Why a run failed, and at which step.</summary>
internal sealed record RunError(string Code, string Message, string? StepId = null);

/// <summary>What to do now, and when to look again if nothing happens until then.</summary>
internal sealed record Decision(IReadOnlyList<Order> Orders, DateTimeOffset? WakeAt);
