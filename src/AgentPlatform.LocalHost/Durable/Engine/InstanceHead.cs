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
    /// <summary>Messages that the history holds already: a host had the instance in hand and died.</summary>
    internal IReadOnlyList<long>? Taken { get; init; }

    /// <summary>How this host started it and claimed it in one.</summary>
    internal Birth? Birth { get; init; }
}

/// <param name="Started">The line that its first turn begins with; the start has written it.</param>
/// <param name="Message">The message that it was started with.</param>
internal sealed record Birth(HistoryEvent Started, long Message);
