namespace AgentPlatform.LocalHost.Durable;

/// <summary>What a step needs to know of its instance besides the history.</summary>
internal sealed record InstanceHead(
    string Id, Guid Execution, string Name, string Version, string Status, long Fence, int NextSequence, bool HasLargeStatus,
    ParentOrchestrationInstance? Parent, Guid? ParentExecution, int? ParentTask)
{
    internal bool HasEnded => Status is "Completed" or "Failed" or "Terminated";
}

/// <summary>Something an instance has to take in.</summary>
internal sealed record Message(long Id, Guid? Execution, HistoryEvent Event);

/// <summary>An instance this host may step until its lease is over, and what it has to take in. The input is there for the first step.</summary>
internal sealed record ClaimedInstance(InstanceHead Head, string? Input, IReadOnlyList<Message> Messages)
{
    /// <summary>Pulses of <see cref="DurableSignals.Turns"/> before the claim.</summary>
    internal long Heard { get; init; }
}
