namespace AgentPlatform.Work.Simulate;

/// <summary>An item on its way through the simulation.</summary>
internal sealed class Play(Arrival arrival, KindPolicy policy)
{
    internal Arrival Arrival { get; } = arrival;

    internal short Priority { get; } = policy.Priority ?? arrival.Priority;

    /// <summary>It expires then, unless it has started.</summary>
    internal DateTimeOffset? StartBy { get; } = policy.StartWithinSeconds is { } seconds ? arrival.EnqueuedAt + TimeSpan.FromSeconds(seconds) : arrival.StartBy;

    internal DateTimeOffset DueAt { get; set; } = arrival.DueAt;

    internal int Runs { get; set; }

    /// <summary>It waits, and its time has come.</summary>
    internal bool IsDue { get; set; }

    internal bool IsOver { get; set; }

    /// <summary>It stands in its group's order; it is looked at again when it comes to the front.</summary>
    internal bool IsOffered { get; set; }

    internal required Group Group { get; init; }

    internal required SerialLine? Line { get; init; }

    /// <summary>As <c>work.claim_order</c>: a point of priority is worth a minute.</summary>
    internal (DateTimeOffset Place, long Id) Order => (DueAt + TimeSpan.FromMinutes(Priority), Arrival.Id);

    internal bool MayStart => IsDue && !IsOver && (Line is null || Line.Admits(this));
}

/// <summary>The items of one serial key that are not over: the first of them alone may run.</summary>
internal sealed class SerialLine
{
    private readonly SortedDictionary<long, Play> _unfinished = [];
    private Play? _running;

    internal Play? First => _unfinished.Count > 0 ? _unfinished.First().Value : null;

    internal bool Admits(Play play) => _running is null && First == play;

    internal void Join(Play play) => _unfinished[play.Arrival.Id] = play;

    internal void Leave(Play play) => _unfinished.Remove(play.Arrival.Id);

    internal void Start(Play play) => _running = play;

    internal void Stop() => _running = null;
}

/// <summary>Due work that the same limits are for, the most urgent first.</summary>
internal sealed class Group(Turn turn, IReadOnlyList<LimitState> limits)
{
    private readonly PriorityQueue<Play, (DateTimeOffset Place, long Id)> _due = new();

    internal Turn Turn { get; } = turn;

    internal IReadOnlyList<LimitState> Limits { get; } = limits;

    internal void Offer(Play play)
    {
        if (!play.IsOffered)
        {
            play.IsOffered = true;
            _due.Enqueue(play, play.Order);
        }
    }

    /// <summary>What would start next, were there room: items that may not start are passed over, and offered again when they may.</summary>
    internal Play? Peek()
    {
        while (_due.TryPeek(out var play, out _))
        {
            if (play.MayStart)
            {
                return play;
            }

            _due.Dequeue().IsOffered = false;
        }

        return null;
    }

    internal void Take() => _due.Dequeue().IsOffered = false;

    internal bool HasRoom(DateTimeOffset now) => Limits.All(l => l.HasRoom(now));
}

/// <summary>Who takes turns: a tenant, or all of them as one when turns are off.</summary>
internal sealed class Turn
{
    internal List<Group> Groups { get; } = [];

    /// <summary>Waits for its turn: something of it may be able to start.</summary>
    internal bool IsKnown { get; set; }

    /// <summary>It is looked at again then, for a token will have come.</summary>
    internal DateTimeOffset? WakesAt { get; set; }

    /// <summary>The most urgent item that limits let start now; null when there is none.</summary>
    internal Play? Next(DateTimeOffset now)
    {
        Play? next = null;
        foreach (var group in Groups)
        {
            if (group.Peek() is { } first && (next is null || first.Order.CompareTo(next.Order) < 0) && group.HasRoom(now))
            {
                next = first;
            }
        }

        return next;
    }

    /// <summary>When a rate lets something of it start that it keeps back now.</summary>
    internal DateTimeOffset? NextToken(DateTimeOffset now) =>
        Groups.Where(g => g.Peek() is not null).SelectMany(g => g.Limits).Select(l => l.NextToken(now)).Where(at => at is not null).Min();
}
