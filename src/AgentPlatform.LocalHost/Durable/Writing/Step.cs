using System.Text;

namespace AgentPlatform.LocalHost.Durable;

/// <summary>One step of an instance, decided and not yet written.</summary>
/// <param name="Head">The instance before it.</param>
/// <param name="Answers">Activities whose answers it takes in without a message.</param>
/// <param name="At">When it was taken.</param>
internal sealed record Step(InstanceHead Head, TurnIntake Intake, IReadOnlyList<Answer> Answers, HistoryEvent? Started, Turn Turn, DateTimeOffset At)
{
    /// <summary>Payloads above this size are kept aside; <c>durable.keep</c> knows the same number.</summary>
    private const int Large = 32_768;

    /// <summary>What it adds to the history.</summary>
    internal IReadOnlyList<HistoryEvent> Events { get; } = All(Intake, Started, Turn, At);

    /// <summary>The scheduled activities that begin in this process: claimed from the start.</summary>
    internal IReadOnlyList<int> Here { get; init; } = [];

    /// <summary>The instance after it, unless it ends or begins anew.</summary>
    internal InstanceHead After => Head with
    {
        Status = Intake.Status,
        NextSequence = Head.NextSequence + Events.Count,
        HasLargeStatus = Turn.CustomStatus is { } status ? status.Item1 is { } text && Encoding.UTF8.GetByteCount(text) > Large : Head.HasLargeStatus,
    };

    /// <summary>Whether it leaves messages, now or later.</summary>
    internal bool LeavesMessages =>
        Turn.Ending is Ending.ContinuedAsNew or Ending.Terminated { Recursive: true } || (Turn.Ending is not null && Head.Parent is not null)
        || Turn.Decisions.Any(d => d.Kind != HistoryKind.TaskScheduled);

    internal bool Decides(HistoryKind kind) => Turn.Decisions.Any(d => d.Kind == kind);

    private static List<HistoryEvent> All(TurnIntake intake, HistoryEvent? started, Turn turn, DateTimeOffset at)
    {
        var events = new List<HistoryEvent>();
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
