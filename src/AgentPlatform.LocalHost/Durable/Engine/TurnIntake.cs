namespace AgentPlatform.LocalHost.Durable;

/// <summary>What a step does with the messages it finds, decided before the orchestrator sees any.</summary>
/// <param name="Status">Where the instance stands afterwards, unless the orchestrator ends.</param>
/// <param name="Deliver">What happened, for the history and the orchestrator.</param>
/// <param name="Consumed">Messages that are gone after this step.</param>
/// <param name="Parked">Messages that wait until the instance is resumed.</param>
internal sealed record TurnIntake(
    string Status, IReadOnlyList<HistoryEvent> Deliver, IReadOnlyList<long> Consumed, IReadOnlyList<long> Parked, HistoryEvent? Terminate)
{
    internal static TurnIntake Sort(InstanceHead head, IReadOnlyList<Message> messages)
    {
        // Whatever reached an instance that has ended, or was meant for an earlier execution, is dropped.
        var meant = head.HasEnded ? [] : messages.Where(m => m.Execution is null || m.Execution == head.Execution).ToList();
        if (meant.FirstOrDefault(m => m.Event.Kind == HistoryKind.ExecutionTerminated) is { } terminate)
        {
            return new TurnIntake("Terminated", [], [.. messages.Select(m => m.Id)], [], terminate.Event);
        }

        var hasStarted = head.NextSequence > 0;
        var (deliver, held, isSuspended) = Deliverable(meant, head.Status == "Suspended", hasStarted);

        // An event may be due before the start: the orchestrator begins first.
        deliver = [.. deliver.OrderBy(e => e.Kind != HistoryKind.ExecutionStarted)];
        hasStarted |= deliver.Exists(e => e.Kind == HistoryKind.ExecutionStarted);
        var parked = held.Select(m => m.Id).ToHashSet();
        if (!hasStarted && !isSuspended)
        {
            // A start at a later time: events wait for it.
            parked.UnionWith(meant.Where(m => m.Event.Kind == HistoryKind.EventRaised).Select(m => m.Id));
            deliver.RemoveAll(e => e.Kind == HistoryKind.EventRaised);
        }

        return new TurnIntake(
            head.HasEnded ? head.Status : isSuspended ? "Suspended" : hasStarted ? "Running" : "Pending",
            deliver, [.. messages.Select(m => m.Id).Where(id => !parked.Contains(id))], [.. parked], null);
    }

    /// <summary>What reaches the orchestrator, what waits until the instance is resumed, and whether it is suspended afterwards.</summary>
    private static (List<HistoryEvent> Deliver, List<Message> Held, bool IsSuspended) Deliverable(IReadOnlyList<Message> meant, bool isSuspended, bool hasStarted)
    {
        var (deliver, held) = (new List<HistoryEvent>(), new List<Message>());
        foreach (var message in meant)
        {
            switch (message.Event.Kind)
            {
                case HistoryKind.ExecutionSuspended when !isSuspended:
                    isSuspended = true;
                    deliver.Add(message.Event);
                    break;
                case HistoryKind.ExecutionResumed when isSuspended:
                    isSuspended = false;
                    deliver.Add(message.Event);
                    deliver.AddRange(held.Select(m => m.Event));
                    held.Clear();
                    break;
                case HistoryKind.ExecutionSuspended or HistoryKind.ExecutionResumed:
                    break;
                case HistoryKind.ExecutionStarted when hasStarted:
                    // A rewound parent started it once more.
                    break;
                case var _ when isSuspended:
                    held.Add(message);
                    break;
                default:
                    deliver.Add(message.Event);
                    break;
            }
        }

        return (deliver, held, isSuspended);
    }
}
