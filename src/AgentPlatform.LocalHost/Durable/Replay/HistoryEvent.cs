namespace AgentPlatform.LocalHost.Durable;

/// <summary>What may stand in a history; the names are those of the column.</summary>
internal enum HistoryKind
{
    TurnStarted,
    ExecutionStarted,
    TaskScheduled,
    TaskCompleted,
    TaskFailed,
    TimerCreated,
    TimerFired,
    SubOrchestrationCreated,
    SubOrchestrationCompleted,
    SubOrchestrationFailed,
    EventSent,
    EventRaised,
    ExecutionSuspended,
    ExecutionResumed,
    ExecutionTerminated,
    ExecutionCompleted,
    ExecutionFailed,
}

/// <summary>
/// One line of a history. <paramref name="TaskId"/> is the number of the step it schedules or answers; <paramref name="Name"/> that of the
/// activity, orchestrator or event, and for a turn the version of the app that took it; <paramref name="Target"/> the other instance.
/// </summary>
internal sealed record HistoryEvent(
    HistoryKind Kind, DateTimeOffset At, int? TaskId = null, string? Name = null, string? Target = null, DateTimeOffset? DueAt = null, string? Payload = null)
{
    /// <summary>The payload as the database has it; a large one is there by reference.</summary>
    internal string? Stored { get; init; } = Payload;

    /// <summary>The version a sub-orchestration is started with; it stands with the instance, not in the history.</summary>
    internal string? Version { get; init; }

    /// <summary>Whether an orchestrator decides it, rather than takes it in.</summary>
    internal bool IsDecision => Kind is HistoryKind.TaskScheduled or HistoryKind.TimerCreated or HistoryKind.SubOrchestrationCreated or HistoryKind.EventSent;

    /// <summary>The step in the words of a message about it.</summary>
    internal string Step() => Kind switch
    {
        HistoryKind.TaskScheduled => $"#{TaskId} activity '{Name}'",
        HistoryKind.TimerCreated => $"#{TaskId} timer",
        HistoryKind.SubOrchestrationCreated => $"#{TaskId} sub-orchestration '{Name}'",
        HistoryKind.EventSent => $"#{TaskId} event '{Name}'",
        _ => $"#{TaskId} {Kind}",
    };
}
