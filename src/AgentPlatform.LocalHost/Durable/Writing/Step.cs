using System.Text;

namespace AgentPlatform.LocalHost.Durable;

/// <summary>One step of an instance, decided and not yet written.</summary>
/// <param name="Head">The instance before it.</param>
/// <param name="Answers">Activities that are rows, and whose answers it takes in without a message.</param>
/// <param name="At">When it was taken.</param>
/// <param name="Earlier">What the turn before decided, where that is not written yet.</param>
internal sealed record Step(
    InstanceHead Head, TurnIntake Intake, IReadOnlyList<Answer> Answers, HistoryEvent? Started, Turn Turn, DateTimeOffset At,
    IReadOnlyList<HistoryEvent> Earlier)
{
    /// <summary>Payloads above this size are kept aside; <c>durable.keep</c> knows the same number.</summary>
    private const int Large = 32_768;

    /// <summary>What it adds to the history.</summary>
    internal IReadOnlyList<HistoryEvent> Events { get; } = All(Earlier, Intake, Started, Turn, At);

    /// <summary>The scheduled activities that begin in this process: their rows are claimed from the start.</summary>
    internal IReadOnlyList<int> Here { get; init; } = [];

    /// <summary>Whether the instance stays claimed and its one activity runs without a row.</summary>
    internal bool IsHeld { get; init; }

    /// <summary>Whether the activity that the turn before decided gets its row now.</summary>
    internal bool PutsDown { get; init; }

    /// <summary>Whether a host died with the instance in hand: activities that nobody has answered get rows.</summary>
    internal bool Recovers { get; init; }

    /// <summary>From here on the history's activities get rows.</summary>
    internal int SchedulesFrom => Head.NextSequence + Earlier.Count - (PutsDown ? 1 : 0);

    internal bool Schedules => !IsHeld && (PutsDown || Decides(HistoryKind.TaskScheduled));

    /// <summary>The instance after it, unless it ends or begins anew.</summary>
    internal InstanceHead After => Head with
    {
        Status = Intake.Status,
        NextSequence = Head.NextSequence + Events.Count,
        HasLargeStatus = Turn.CustomStatus is { } status ? status.Item1 is { } text && Encoding.UTF8.GetByteCount(text) > Large : Head.HasLargeStatus,
    };

    internal bool Decides(HistoryKind kind) => Turn.Decisions.Any(d => d.Kind == kind);

    private static List<HistoryEvent> All(
        IReadOnlyList<HistoryEvent> earlier, TurnIntake intake, HistoryEvent? started, Turn turn, DateTimeOffset at)
    {
        List<HistoryEvent> events = [.. earlier];
        if (started is not null)
        {
            events.Add(started);
        }

        events.AddRange(intake.Deliver);
        events.AddRange(turn.Decisions);
        HistoryKind? last = turn.Ending switch
        {
            Ending.Completed => HistoryKind.ExecutionCompleted,
            Ending.Failed => HistoryKind.ExecutionFailed,
            Ending.Terminated => HistoryKind.ExecutionTerminated,
            _ => null,
        };
        if (last is { } kind)
        {
            events.Add(new HistoryEvent(kind, at));
        }

        return events;
    }
}
