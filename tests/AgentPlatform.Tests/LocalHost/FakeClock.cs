using System.Collections.Immutable;

namespace AgentPlatform.Tests.LocalHost;

/// <summary>Time that stands still until a test moves it; timers fire in order as it passes them.</summary>
internal sealed class FakeClock(DateTimeOffset start) : TimeProvider
{
    private readonly Lock _lock = new();
    private DateTimeOffset _now = start;
    private ImmutableList<FakeTimer> _timers = [];

    internal static FakeClock AtNoon() => new(new DateTimeOffset(2026, 3, 2, 12, 0, 0, TimeSpan.Zero));

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public override DateTimeOffset GetUtcNow()
    {
        lock (_lock)
        {
            return _now;
        }
    }

    public override long GetTimestamp() => GetUtcNow().Ticks;

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = new FakeTimer(this, () => callback(state));
        timer.Change(dueTime, period);
        return timer;
    }

    internal void Advance(TimeSpan by) => AdvanceTo(GetUtcNow() + by);

    internal void AdvanceTo(DateTimeOffset target)
    {
        while (NextDue(target) is { } due)
        {
            due();
        }

        lock (_lock)
        {
            _now = target;
        }
    }

    /// <summary>Until somebody waits for exactly <paramref name="due"/>.</summary>
    internal async Task SleeperAsync(DateTimeOffset due)
    {
        var found = await Eventually.SeeAsync(() => Task.FromResult(_timers.Any(t => t.Due == due)), seen => seen);
        Assert.True(found, $"Nobody waits for {due:O}; there are {string.Join(", ", _timers.Select(t => $"{t.Due:O}"))}.");
    }

    private Action? NextDue(DateTimeOffset target)
    {
        lock (_lock)
        {
            var next = _timers.Where(t => t.Due <= target).MinBy(t => t.Due);
            if (next is null)
            {
                return null;
            }

            _now = next.Due > _now ? next.Due.Value : _now;
            next.Due = next.Period > TimeSpan.Zero ? next.Due + next.Period : null;
            return next.Callback;
        }
    }

    private sealed class FakeTimer(FakeClock clock, Action callback) : ITimer
    {
        internal Action Callback => callback;

        internal DateTimeOffset? Due { get; set; }

        internal TimeSpan Period { get; private set; }

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            lock (clock._lock)
            {
                Period = period == Timeout.InfiniteTimeSpan ? TimeSpan.Zero : period;
                Due = dueTime == Timeout.InfiniteTimeSpan ? null : clock._now + dueTime;
                clock._timers = clock._timers.Remove(this).Add(this);
            }

            return true;
        }

        public void Dispose()
        {
            lock (clock._lock)
            {
                clock._timers = clock._timers.Remove(this);
            }
        }

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
