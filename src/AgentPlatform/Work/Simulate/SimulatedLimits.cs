namespace AgentPlatform.Work.Simulate;

/// <summary>A limit as one tenant has it: what runs under it, and its bucket of tokens, which begins full.</summary>
internal sealed class LimitState(SimulatedLimit limit)
{
    private double _tokens = limit.Bucket;
    private DateTimeOffset? _refilledAt;
    private int _running;

    internal bool HasRoom(DateTimeOffset now) => Lets(_running) && (limit.PerSecond is null || Tokens(now) >= 1);

    /// <summary>When the next token comes; null when something else, or nothing, keeps work back.</summary>
    internal DateTimeOffset? NextToken(DateTimeOffset now) =>
        limit.PerSecond is { } rate && Lets(_running) && Tokens(now) is var tokens and < 1 ? now + TimeSpan.FromTicks((long)Math.Ceiling((1 - tokens) / rate * TimeSpan.TicksPerSecond)) : null;

    internal void Start(DateTimeOffset now)
    {
        _running++;
        if (limit.PerSecond is not null)
        {
            _tokens = Tokens(now) - 1;
            _refilledAt = now;
        }
    }

    internal void End() => _running--;

    private bool Lets(int running) => limit.MaxRunning is null || running < limit.MaxRunning;

    /// <summary>A tick is what is lost by rounding.</summary>
    private double Tokens(DateTimeOffset now) =>
        _refilledAt is { } since ? Math.Min(limit.Bucket, _tokens + (limit.PerSecond!.Value * ((now - since).TotalSeconds + 1e-7))) : _tokens;
}

/// <summary>The limits of a policy, a state for each tenant they hold for.</summary>
internal sealed class LimitBook(IReadOnlyList<SimulatedLimit> limits)
{
    private readonly Dictionary<(SimulatedLimit Limit, Guid Tenant), LimitState> _states = [];

    /// <summary>Those that say how work of this sort may start.</summary>
    internal IReadOnlyList<LimitState> On(Guid tenant, string kind, string? concurrencyKey) =>
        [.. limits.Where(l => l.LimitsStarts && l.Covers(tenant, kind, concurrencyKey)).Select(l => StateOf(l, tenant))];

    /// <summary>How much of the kind may wait; null when that is not said.</summary>
    internal int? MaxWaiting(Guid tenant, string kind) => limits.Where(l => l.MaxWaiting is not null && l.Covers(tenant, kind, null)).Min(l => l.MaxWaiting);

    private LimitState StateOf(SimulatedLimit limit, Guid tenant)
    {
        if (!_states.TryGetValue((limit, tenant), out var state))
        {
            _states[(limit, tenant)] = state = new LimitState(limit);
        }

        return state;
    }
}
