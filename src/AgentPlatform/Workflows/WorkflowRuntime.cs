namespace AgentPlatform.Workflows;

/// <summary>Which instance, and whose.</summary>
public sealed record WorkflowRef(Guid TenantId, Guid InstanceId);

/// <summary>What a move came to: the instance is over, or waits for news and, when there is a time, at most until then.</summary>
public sealed record WorkflowMove(bool IsOver, DateTimeOffset? WakeAt)
{
    internal static readonly WorkflowMove Over = new(IsOver: true, null);
}

/// <summary>
/// The durable runtime that moves instances on: one orchestration each, which alternates between <see cref="WorkflowEngine.AdvanceAsync"/> and waiting
/// for news or time. All it holds can be made anew from the instance's rows.
/// </summary>
public interface IWorkflowRuntime
{
    /// <summary>Tells the instance's orchestration that there is news; starts it when there is none.</summary>
    Task WakeAsync(WorkflowRef workflow, CancellationToken ct);
}

/// <summary>Of a process that moves no workflows: what it is asked to wake is tried again until a host that does has taken it.</summary>
internal sealed class NoWorkflowRuntime : IWorkflowRuntime
{
    public Task WakeAsync(WorkflowRef workflow, CancellationToken ct) => throw new InvalidOperationException("This process moves no workflows.");
}
