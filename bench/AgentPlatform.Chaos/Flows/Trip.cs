namespace AgentPlatform.Chaos.Flows;

/// <summary>How a trip shall end, whatever happens to hosts and servers.</summary>
internal enum TripEnd
{
    /// <summary>All steps are done.</summary>
    Departed,

    /// <summary>Its sub-workflow is refused, undoes itself and fails; what came before is undone.</summary>
    Declined,

    /// <summary>A step after the event is refused: sub-workflow and first step are undone.</summary>
    TurnedBack,
}

/// <summary>One instance of the workflow of six steps. <paramref name="EventComesEarly"/>: before there is a step that waits for it.</summary>
internal sealed record Trip(string Key, TripEnd End, bool EventComesEarly, int Conversation)
{
    /// <summary>What must be in the provider's ledger, in that order.</summary>
    internal string[] Effects => End switch
    {
        TripEnd.Departed => ["reserve", "charge", "issue", "depart"],
        TripEnd.Declined => ["reserve", "charge", "repay", "release"],
        _ => ["reserve", "charge", "issue", "refund", "release"],
    };

    /// <summary>The step rows of the trip and of its payment, as <c>workflow.step.direction.status</c>.</summary>
    internal IEnumerable<string> Rows =>
    [
        "trip.reserve.forward.completed", "trip.rest.forward.completed", "payment.charge.forward.completed", "payment.clear.forward.completed",
        .. End switch
        {
            TripEnd.Departed =>
            [
                "payment.decline.forward.skipped", "payment.issue.forward.completed", "trip.payment.forward.completed", "trip.confirmed.forward.completed",
                "trip.deny.forward.skipped", "trip.depart.forward.completed",
            ],
            TripEnd.Declined => (string[])
            [
                "payment.decline.forward.failed", "payment.charge.undo.completed", "trip.payment.forward.failed", "trip.reserve.undo.completed",
            ],
            _ =>
            [
                "payment.decline.forward.skipped", "payment.issue.forward.completed", "trip.payment.forward.completed", "trip.confirmed.forward.completed",
                "trip.deny.forward.failed", "trip.payment.undo.completed", "trip.reserve.undo.completed",
            ],
        },
    ];

    /// <summary>The two instances, as <c>workflow status progress-of-six error-step rolled-back</c>.</summary>
    internal string[] Instances => End switch
    {
        TripEnd.Departed => ["payment completed 4 - false", "trip completed 6 - false"],
        TripEnd.Declined => ["payment failed 2 decline true", "trip failed 2 payment true"],
        _ => ["payment completed 4 - false", "trip failed 4 deny true"],
    };

    /// <summary>A half departs, a quarter each is declined and turned back; of each the event comes early for a half.</summary>
    internal static IReadOnlyList<Trip> Plan(int count) => [.. Enumerable.Range(0, count).Select(n => new Trip(
        $"trip-{n:000000}", (n % 4) switch { 0 or 2 => TripEnd.Departed, 1 => TripEnd.Declined, _ => TripEnd.TurnedBack }, n / 4 % 2 == 0, n % Conversations(count)))];

    internal static int Conversations(int count) => Math.Max(1, count / 10);
}
