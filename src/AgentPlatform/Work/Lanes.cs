namespace AgentPlatform.Work;

/// <summary>The waiting work of one tenant, kind and priority, in the order it falls due.</summary>
internal sealed record Lane(Guid TenantId, string Kind, short Priority);

/// <summary>How far a lane has been claimed by this process. What is behind it is looked at again with the next look.</summary>
internal sealed record Place(DateTimeOffset RunAt, long Id)
{
    internal static readonly Place Start = new(DateTimeOffset.MinValue, 0);

    internal bool IsBefore(Place other) => RunAt < other.RunAt || RunAt == other.RunAt && Id < other.Id;
}

/// <summary>Lanes of this priority and less urgent ones are claimed no more often than that.</summary>
internal sealed record Throttle(short FromPriority, TimeSpan Pause);

/// <summary>A question to the claim: at most <paramref name="Quota"/> items of the tenant; each of its lanes may fill it.</summary>
internal sealed record LaneTurn(Lane Lane, Place After, int Quota, int Told, int Reading);

/// <summary>
/// Where this process believes that due work waits. Tenants take turns, each with an equal share of a claim. It is only a memory: a look at
/// the database finds all that is due, and losing it costs nothing but that look.
/// </summary>
internal sealed class Lanes(TimeProvider clock)
{
    /// <summary>Tenants that share one claim: the cost of a claim must not grow with their number.</summary>
    internal const int Tenants = 64;

    /// <summary>Of so many lanes it is remembered where they were left; of more, from one look to the next.</summary>
    private const int Remembered = 1000;

    /// <summary>New work is last in its lane, but a transaction may commit this much later than another that began after it.</summary>
    private static readonly TimeSpan LateCommit = TimeSpan.FromSeconds(10);

    private readonly Lock _lock = new();
    private readonly Dictionary<Guid, Dictionary<Lane, Known>> _known = [];

    /// <summary>Who is next. A tenant that is not known any more drops out when it is its turn.</summary>
    private readonly Queue<Guid> _turns = new();
    private readonly HashSet<Guid> _queued = [];

    /// <summary>Where lanes that have nothing left were left.</summary>
    private readonly Dictionary<Lane, Place> _left = [];
    private readonly Dictionary<Guid, long> _later = [];

    /// <summary>Tenants that a claim under way asks.</summary>
    private readonly HashSet<Guid> _asked = [];
    private int _told;
    private int _readings;
    private Throttle? _throttle;
    private long _heldUntil;

    /// <summary>Something may be claimed.</summary>
    internal bool Any
    {
        get
        {
            lock (_lock)
            {
                return _known.Keys.Any(MayAsk);
            }
        }
    }

    /// <summary>How long until work may start that a rate, or a throttle, holds back now; null when none is known to wait for that.</summary>
    internal TimeSpan? NextLater
    {
        get
        {
            lock (_lock)
            {
                var times = _known.Values.Any(lanes => lanes.Keys.Any(IsHeld)) ? _later.Values.Append(_heldUntil) : _later.Values;
                return times.Any() ? clock.GetElapsedTime(clock.GetTimestamp(), times.Min()) : null;
            }
        }
    }

    /// <summary>The tenant is to be looked at again after a while.</summary>
    internal void Later(Guid tenant, TimeSpan wait)
    {
        lock (_lock)
        {
            _later[tenant] = clock.GetTimestamp() + (long)(wait.TotalSeconds * clock.TimestampFrequency);
        }
    }

    /// <summary>The tenants that are to be looked at by now.</summary>
    internal IReadOnlyCollection<Guid> TakeLater()
    {
        lock (_lock)
        {
            var now = clock.GetTimestamp();
            var due = _later.Where(l => l.Value <= now).Select(l => l.Key).ToList();
            due.ForEach(tenant => _later.Remove(tenant));
            return due;
        }
    }

    /// <summary>Something in the lane is new. While an old snapshot keeps vacuum back, what was claimed long ago would be read again and again.</summary>
    internal void Tell(Lane lane)
    {
        lock (_lock)
        {
            var lanes = Of(lane.TenantId);
            var after = lanes.TryGetValue(lane, out var known) ? known.After
                : _left.TryGetValue(lane, out var left) ? new Place(left.RunAt - LateCommit, 0)
                : Place.Start;
            lanes[lane] = new Known(after, ++_told, known?.Reading ?? _readings);
        }
    }

    /// <summary>Something in any lane may be new: each goes on exactly where it was left. What began earlier and is committed later waits for a look.</summary>
    internal void Resume()
    {
        lock (_lock)
        {
            foreach (var (lane, left) in _left)
            {
                Of(lane.TenantId).TryAdd(lane, new Known(left, ++_told, _readings));
            }
        }
    }

    /// <summary>These lanes were seen to begin with something due. Read <paramref name="again"/>, they give what was passed over in them.</summary>
    internal void Found(IEnumerable<Lane> lanes, bool again)
    {
        lock (_lock)
        {
            foreach (var lane in lanes)
            {
                var known = Of(lane.TenantId);
                if (again || !known.ContainsKey(lane))
                {
                    known[lane] = new Known(Place.Start, ++_told, ++_readings);
                }
            }

            if (again && _left.Count > Remembered)
            {
                _left.Clear();
            }
        }
    }

    /// <summary>These may start now, though their lanes may have been read past them.</summary>
    internal void GoBack(IEnumerable<(Lane Lane, Place Place)> next)
    {
        lock (_lock)
        {
            foreach (var (lane, place) in next)
            {
                var lanes = Of(lane.TenantId);
                var before = place with { Id = place.Id - 1 };
                var after = lanes.TryGetValue(lane, out var known) && known.After.IsBefore(before) ? known.After : before;
                lanes[lane] = new Known(after, ++_told, ++_readings);
            }
        }
    }

    /// <summary>The next tenants, each with an equal share of <paramref name="capacity"/>. Claims at the same time may ask the same lanes.</summary>
    internal IReadOnlyList<LaneTurn> Take(int capacity, Throttle? throttle = null)
    {
        lock (_lock)
        {
            _throttle = throttle;
            var tenants = NextTenants(Math.Min(capacity, Tenants));
            List<LaneTurn> turns =
            [
                .. tenants.SelectMany((tenant, i) =>
                {
                    _asked.Add(tenant);
                    var quota = (capacity / tenants.Count) + (i < capacity % tenants.Count ? 1 : 0);
                    return _known[tenant].Where(lane => !IsHeld(lane.Key))
                        .Select(lane => new LaneTurn(lane.Key, lane.Value.After, quota, lane.Value.Told, lane.Value.Reading));
                }),
            ];
            if (throttle is not null && turns.Any(t => t.Lane.Priority >= throttle.FromPriority))
            {
                _heldUntil = clock.GetTimestamp() + (long)(throttle.Pause.TotalSeconds * clock.TimestampFrequency);
            }

            return turns;
        }
    }

    /// <summary>The claim came to nothing.</summary>
    internal void Failed(IEnumerable<LaneTurn> turns)
    {
        lock (_lock)
        {
            _asked.ExceptWith(turns.Select(t => t.Lane.TenantId));
        }
    }

    /// <summary>
    /// A tenant that filled its share has more, perhaps; so has one whose share a limit <paramref name="cut"/> short. Any other has nothing
    /// left, unless something new was told of meanwhile.
    /// </summary>
    internal void Answered(IReadOnlyList<LaneTurn> turns, IReadOnlyCollection<(Lane Lane, Place Place)> claimed, IReadOnlySet<Guid> cut)
    {
        var counts = claimed.CountBy(c => c.Lane.TenantId).ToDictionary();
        var last = claimed.GroupBy(c => c.Lane).ToDictionary(g => g.Key, g => g.Select(c => c.Place).MaxBy(p => (p.RunAt, p.Id))!);
        lock (_lock)
        {
            _asked.ExceptWith(turns.Select(t => t.Lane.TenantId));
            foreach (var turn in turns)
            {
                var place = last.GetValueOrDefault(turn.Lane, turn.After);
                if (counts.GetValueOrDefault(turn.Lane.TenantId) >= turn.Quota || cut.Contains(turn.Lane.TenantId))
                {
                    GoOn(turn, place);
                }
                else
                {
                    Leave(turn, place);
                }
            }
        }
    }

    /// <summary>A lane that is read from its beginning is read by one claim: under an old snapshot that takes a while.</summary>
    private bool MayAsk(Guid tenant) =>
        (!_asked.Contains(tenant) || _known[tenant].Values.All(lane => lane.After != Place.Start)) && !_known[tenant].Keys.All(IsHeld);

    private bool IsHeld(Lane lane) => _throttle is { } throttle && lane.Priority >= throttle.FromPriority && clock.GetTimestamp() < _heldUntil;

    private List<Guid> NextTenants(int most)
    {
        var next = new List<Guid>();
        for (var i = _turns.Count; i > 0 && next.Count < most; i--)
        {
            var tenant = _turns.Dequeue();
            if (!_known.ContainsKey(tenant))
            {
                _queued.Remove(tenant);
                continue;
            }

            _turns.Enqueue(tenant);
            if (MayAsk(tenant))
            {
                next.Add(tenant);
            }
        }

        return next;
    }

    private void GoOn(LaneTurn turn, Place place)
    {
        var lanes = Of(turn.Lane.TenantId);
        // A lane that is to be read from its beginning again, since the claim began, is not passed on from where that claim left it.
        if (!lanes.TryGetValue(turn.Lane, out var known) || known.Reading == turn.Reading)
        {
            lanes[turn.Lane] = new Known(place, known?.Told ?? turn.Told, turn.Reading);
        }
    }

    private void Leave(LaneTurn turn, Place place)
    {
        // Read to its end from wherever: nothing is left before the place that was reached earlier.
        if (place != Place.Start && !(_left.TryGetValue(turn.Lane, out var left) && place.IsBefore(left)))
        {
            _left[turn.Lane] = place;
        }

        if (_known.TryGetValue(turn.Lane.TenantId, out var lanes) && lanes.TryGetValue(turn.Lane, out var known) && known.Told == turn.Told)
        {
            lanes.Remove(turn.Lane);
            if (lanes.Count == 0)
            {
                _known.Remove(turn.Lane.TenantId);
            }
        }
    }

    private Dictionary<Lane, Known> Of(Guid tenant)
    {
        if (!_known.TryGetValue(tenant, out var lanes))
        {
            _known[tenant] = lanes = [];
            if (_queued.Add(tenant))
            {
                _turns.Enqueue(tenant);
            }
        }

        return lanes;
    }

    /// <summary>How far a lane was claimed in which reading of it, and which time it was told of that was.</summary>
    private sealed record Known(Place After, int Told, int Reading);
}
