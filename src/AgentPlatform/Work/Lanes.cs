namespace AgentPlatform.Work;

/// <summary>The waiting work of one tenant, kind and priority, in the order it falls due.</summary>
internal sealed record Lane(Guid TenantId, string Kind, short Priority);

/// <summary>How far a lane has been claimed by this process. What is behind it is looked at again with the next look.</summary>
internal sealed record Place(DateTimeOffset RunAt, long Id)
{
    internal static readonly Place Start = new(DateTimeOffset.MinValue, 0);
}

/// <summary>A question to the claim: at most <paramref name="Quota"/> items of the tenant; each of its lanes may fill it.</summary>
internal sealed record LaneTurn(Lane Lane, Place After, int Quota);

/// <summary>
/// Where this process believes that due work waits. Tenants take turns, each with an equal share of a claim. It is only a memory: a look at
/// the database finds all that is due, and losing it costs nothing but that look.
/// </summary>
internal sealed class Lanes
{
    /// <summary>Tenants that share one claim: the cost of a claim must not grow with their number.</summary>
    private const int Tenants = 64;

    /// <summary>New work is last in its lane, but a transaction may commit this much later than another that began after it.</summary>
    private static readonly TimeSpan LateCommit = TimeSpan.FromSeconds(10);

    private readonly Lock _lock = new();
    private readonly Dictionary<Guid, Dictionary<Lane, Place>> _known = [];
    private readonly Queue<Guid> _turns = new();

    /// <summary>Where lanes that have nothing left were left, until the next look.</summary>
    private readonly Dictionary<Lane, Place> _left = [];

    internal bool Any
    {
        get
        {
            lock (_lock)
            {
                return _known.Count > 0;
            }
        }
    }

    /// <summary>Something in the lane is new. While an old snapshot keeps vacuum back, what was claimed long ago would be read again and again.</summary>
    internal void Tell(Lane lane)
    {
        lock (_lock)
        {
            Of(lane.TenantId).TryAdd(lane, _left.TryGetValue(lane, out var left) ? new Place(left.RunAt - LateCommit, 0) : Place.Start);
        }
    }

    /// <summary>These lanes were seen to begin with something due: whatever was passed over in them is found now.</summary>
    internal void Found(IEnumerable<Lane> lanes)
    {
        lock (_lock)
        {
            foreach (var lane in lanes)
            {
                Of(lane.TenantId)[lane] = Place.Start;
            }

            _left.Clear();
        }
    }

    /// <summary>Takes the next tenants out, each with an equal share of <paramref name="capacity"/>. What is told of them from now on is kept apart.</summary>
    internal IReadOnlyList<LaneTurn> Take(int capacity)
    {
        lock (_lock)
        {
            var turns = new List<LaneTurn>();
            var tenants = Math.Min(Math.Min(_turns.Count, capacity), Tenants);
            for (var i = 0; i < tenants; i++)
            {
                var tenant = _turns.Dequeue();
                var quota = (capacity / tenants) + (i < capacity % tenants ? 1 : 0);
                turns.AddRange(_known[tenant].Select(lane => new LaneTurn(lane.Key, lane.Value, quota)));
                _known.Remove(tenant);
            }

            return turns;
        }
    }

    /// <summary>The claim came to nothing: the turns are put back as they were.</summary>
    internal void Return(IEnumerable<LaneTurn> turns)
    {
        lock (_lock)
        {
            foreach (var turn in turns)
            {
                Of(turn.Lane.TenantId)[turn.Lane] = turn.After;
            }
        }
    }

    /// <summary>
    /// A tenant that filled its share has more, perhaps, and gets another turn after the others; so does one whose share a limit <paramref name="cut"/>
    /// short. Any other has nothing left.
    /// </summary>
    internal void Answered(IReadOnlyList<LaneTurn> turns, IReadOnlyCollection<(Lane Lane, Place Place)> claimed, IReadOnlySet<Guid> cut)
    {
        var counts = claimed.CountBy(c => c.Lane.TenantId).ToDictionary();
        var last = claimed.GroupBy(c => c.Lane).ToDictionary(g => g.Key, g => g.Select(c => c.Place).MaxBy(p => (p.RunAt, p.Id))!);
        lock (_lock)
        {
            foreach (var turn in turns)
            {
                var place = last.GetValueOrDefault(turn.Lane, turn.After);
                if (counts.GetValueOrDefault(turn.Lane.TenantId) >= turn.Quota || cut.Contains(turn.Lane.TenantId))
                {
                    Of(turn.Lane.TenantId)[turn.Lane] = place;
                }
                else if (place != Place.Start)
                {
                    _left[turn.Lane] = place;
                }
            }
        }
    }

    private Dictionary<Lane, Place> Of(Guid tenant)
    {
        if (!_known.TryGetValue(tenant, out var lanes))
        {
            _known[tenant] = lanes = [];
            _turns.Enqueue(tenant);
        }

        return lanes;
    }
}
