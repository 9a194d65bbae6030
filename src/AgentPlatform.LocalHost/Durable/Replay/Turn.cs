namespace AgentPlatform.LocalHost.Durable;

/// <summary>What came of a turn: the steps it decided, and how the execution ended, if it did.</summary>
/// <param name="CustomStatus">The custom status it set, in a box of its own since null clears it.</param>
internal sealed record Turn(
    IReadOnlyList<HistoryEvent> Decisions, IReadOnlyList<int> CancelledTimers, ValueTuple<string?>? CustomStatus, Ending? Ending)
{
    internal static Turn Nothing { get; } = new([], [], null, null);

    /// <summary>Ends the execution, and undoes whatever the turn decided.</summary>
    internal static Turn Failing(TaskFailureDetails failure) => Nothing with { Ending = new Ending.Failed(failure) };
}

/// <summary>How an execution ends.</summary>
internal abstract record Ending
{
    private Ending()
    {
    }

    internal sealed record Completed(string? Output) : Ending;

    internal sealed record Failed(TaskFailureDetails Failure) : Ending;

    internal sealed record Terminated(string? Output, bool Recursive) : Ending;

    /// <param name="Events">What nobody waited for, taken along.</param>
    internal sealed record ContinuedAsNew(string? Input, string? Version, IReadOnlyList<HistoryEvent> Events) : Ending;
}
