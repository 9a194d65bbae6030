namespace AgentPlatform.Work.Simulate;

/// <summary>
/// Plays arrivals through a queue in memory under a policy, event by event: claims cost no time and no host dies. The rules are the engine's, and
/// each stands where the engine has it: <see cref="Lanes"/> (turns), <c>WorkLeases.Sql.Claim</c> (order, serial keys, limits),
/// <see cref="LookForWork"/> (deadlines), <see cref="Settlement"/> (backoff), <see cref="WorkQueue"/> (merging, full queues).
/// </summary>
public sealed class Simulation
{
    private readonly SimulationPolicy _policy;
    private readonly LimitBook _limits;
    private readonly PriorityQueue<Event, (DateTimeOffset At, long Number)> _events = new();
    private readonly Queue<Turn> _turns = new();
    private readonly Dictionary<Guid, Turn> _turnOf = [];
    private readonly Dictionary<(Guid Tenant, string Kind, string? Key), Group> _groups = [];
    private readonly Dictionary<(Guid Tenant, string SerialKey), SerialLine> _lines = [];
    private readonly Dictionary<(Guid Tenant, string Kind, string MergeKey), Play> _unstarted = [];
    private readonly Dictionary<(Guid Tenant, string Kind), int> _waiting = [];
    private readonly Dictionary<long, SimulatedItem> _fates = [];
    private readonly Turn _everyone = new();
    private DateTimeOffset _now;
    private long _number;
    private int _free;

    private Simulation(SimulationPolicy policy)
    {
        _policy = policy;
        _limits = new LimitBook(policy.Limits ?? []);
        _free = policy.Slots;
    }

    private enum What
    {
        Arrives,
        FallsDue,
        Expires,
        Ends,
        TokenComes,
    }

    /// <summary>What becomes of each arrival.</summary>
    public static IReadOnlyList<SimulatedItem> Run(SimulationPolicy policy, IReadOnlyList<Arrival> arrivals)
    {
        var simulation = new Simulation(policy);
        foreach (var arrival in arrivals.OrderBy(a => a.Id))
        {
            simulation.At(arrival.EnqueuedAt, What.Arrives, simulation.Enter(arrival), null);
        }

        simulation.Play();
        return [.. arrivals.Select(a => simulation._fates[a.Id])];
    }

    private void Play()
    {
        while (_events.TryPeek(out _, out var first))
        {
            _now = first.At;
            while (_events.TryPeek(out var next, out var order) && order.At == _now)
            {
                _events.Dequeue();
                Happen(next);
            }

            Claim();
        }
    }

    private void Happen(Event e)
    {
        switch (e.What)
        {
            case What.Arrives:
                Arrive(e.Play!);
                break;
            case What.FallsDue:
                FallDue(e.Play!);
                break;
            case What.Expires:
                Expire(e.Play!);
                break;
            case What.Ends:
                End(e.Play!);
                break;
            default:
                e.Turn!.WakesAt = null;
                Know(e.Turn);
                break;
        }
    }

    private Play Enter(Arrival a)
    {
        var key = (a.TenantId, a.Kind, a.ConcurrencyKey);
        if (!_groups.TryGetValue(key, out var group))
        {
            var limits = _limits.On(a.TenantId, a.Kind, a.ConcurrencyKey);
            var turn = TurnOf(a.TenantId);
            if (turn.Groups.Find(g => g.Limits.SequenceEqual(limits)) is not { } same)
            {
                turn.Groups.Add(same = new Group(turn, limits));
            }

            _groups[key] = group = same;
        }

        return new Play(a, _policy.Of(a.Kind)) { Group = group, Line = a.SerialKey is null ? null : LineOf((a.TenantId, a.SerialKey)) };
    }

    private Turn TurnOf(Guid tenant)
    {
        if (!_policy.Fairness)
        {
            return _everyone;
        }

        return _turnOf.TryGetValue(tenant, out var turn) ? turn : _turnOf[tenant] = new Turn();
    }

    private SerialLine LineOf((Guid Tenant, string SerialKey) key) => _lines.TryGetValue(key, out var line) ? line : _lines[key] = new SerialLine();

    private void Arrive(Play play)
    {
        var a = play.Arrival;
        if (_limits.MaxWaiting(a.TenantId, a.Kind) <= _waiting.GetValueOrDefault((a.TenantId, a.Kind)))
        {
            Over(play, Fate.Refused);
            return;
        }

        if (a.MergeKey is not null && !_unstarted.TryAdd((a.TenantId, a.Kind, a.MergeKey), play))
        {
            Over(play, Fate.Merged);
            return;
        }

        play.Line?.Join(play);
        Wait(play, +1);
        At(play.DueAt, What.FallsDue, play, null);
        if (play.StartBy is { } by)
        {
            At(by, What.Expires, play, null);
        }
    }

    private void FallDue(Play play)
    {
        play.IsDue = true;
        Offer(play);
    }

    private void Expire(Play play)
    {
        if (!play.IsOver && play.Runs == 0)
        {
            HasNotToWait(play);
            Over(play, Fate.Expired);
            play.Line?.Leave(play);
            OfferFirst(play.Line);
        }
    }

    private void Start(Play play)
    {
        _free--;
        play.Runs++;
        play.IsDue = false;
        play.Line?.Start(play);
        foreach (var limit in play.Group.Limits)
        {
            limit.Start(_now);
        }

        HasNotToWait(play);
        _fates[play.Arrival.Id] = new SimulatedItem(play.Arrival, Fate.Started, _now, _now - play.DueAt);
        At(_now + play.Arrival.Took, What.Ends, play, null);
    }

    /// <summary>A run that was not the last failed: the item keeps its place in its serial key, and waits as long as the engine lets it.</summary>
    private void End(Play play)
    {
        _free++;
        play.Line?.Stop();
        foreach (var limit in play.Group.Limits)
        {
            limit.End();
        }

        if (play.Runs < play.Arrival.Runs)
        {
            Wait(play, +1);
            play.DueAt = _now + Settlement.Backoff(play.Runs, jitter: 0);
            At(play.DueAt, What.FallsDue, play, null);
        }
        else
        {
            play.IsOver = true;
            play.Line?.Leave(play);
        }

        OfferFirst(play.Line);
        Know(play.Group.Turn);
    }

    private void OfferFirst(SerialLine? line)
    {
        if (line?.First is { } first)
        {
            Offer(first);
        }
    }

    private void Over(Play play, Fate fate)
    {
        play.IsOver = true;
        _fates[play.Arrival.Id] = new SimulatedItem(play.Arrival, fate, null, null);
    }

    private void Offer(Play play)
    {
        if (play.MayStart)
        {
            play.Group.Offer(play);
            Know(play.Group.Turn);
        }
    }

    private void Know(Turn turn)
    {
        if (!turn.IsKnown)
        {
            turn.IsKnown = true;
            _turns.Enqueue(turn);
        }
    }

    /// <summary>Those whose turn it is get equal shares of what is free; what one does not use goes to the others with the next claim.</summary>
    private void Claim()
    {
        while (_free > 0 && _turns.Count > 0)
        {
            var capacity = _free;
            var asked = Enumerable.Range(0, Math.Min(_turns.Count, Math.Min(capacity, Lanes.Tenants))).Select(_ => _turns.Dequeue()).ToList();
            for (var i = 0; i < asked.Count; i++)
            {
                asked[i].IsKnown = false;
                if (Fill(asked[i], (capacity / asked.Count) + (i < capacity % asked.Count ? 1 : 0)))
                {
                    Know(asked[i]);
                }
            }
        }
    }

    /// <summary>True when the whole share was used, so that there may be more.</summary>
    private bool Fill(Turn turn, int share)
    {
        for (var started = 0; started < share; started++)
        {
            if (turn.Next(_now) is not { } play)
            {
                WakeWithNextToken(turn);
                return false;
            }

            play.Group.Take();
            Start(play);
        }

        return true;
    }

    private void WakeWithNextToken(Turn turn)
    {
        if (turn.NextToken(_now) is { } at && !(turn.WakesAt <= at))
        {
            turn.WakesAt = at;
            At(at, What.TokenComes, null, turn);
        }
    }

    /// <summary>It has started, or expired: new work of its merge key is work of its own again.</summary>
    private void HasNotToWait(Play play)
    {
        var a = play.Arrival;
        Wait(play, -1);
        if (a.MergeKey is not null && play.Runs <= 1)
        {
            _unstarted.Remove((a.TenantId, a.Kind, a.MergeKey));
        }
    }

    private void Wait(Play play, int change)
    {
        var kind = (play.Arrival.TenantId, play.Arrival.Kind);
        _waiting[kind] = _waiting.GetValueOrDefault(kind) + change;
    }

    private void At(DateTimeOffset at, What what, Play? play, Turn? turn) => _events.Enqueue(new Event(what, play, turn), (at > _now ? at : _now, _number++));

    private sealed record Event(What What, Play? Play, Turn? Turn);
}
