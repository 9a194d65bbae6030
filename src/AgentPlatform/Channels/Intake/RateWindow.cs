namespace AgentPlatform.Channels.Intake;

/// <summary>
/// A sliding window over two buckets: what came in the current minute (or hour), plus the share of the one before that still lies
/// within the window. It never lets a burst straddle a boundary, and costs one row a channel.
/// </summary>
internal sealed record RateWindow(TimeSpan Length, DateTimeOffset Start, int Count, int Before)
{
    /// <summary>The weight of the window at <paramref name="now"/>, before the message in question.</summary>
    public double Load(DateTimeOffset now)
    {
        var elapsed = now - Start;
        if (elapsed >= Length + Length)
        {
            return 0;
        }

        // The row may be older than the current bucket: then its count has become the share of the bucket before.
        return elapsed >= Length
            ? Count * (1 - ((elapsed - Length) / Length))
            : Count + (Before * (1 - (elapsed / Length)));
    }

    public bool Admits(int limit, DateTimeOffset now) => Load(now) + 1 <= limit;

    /// <summary>When the window will admit a message again: whole seconds, at least one.</summary>
    public TimeSpan RetryAfter(int limit, DateTimeOffset now)
    {
        var window = this;
        var seconds = Enumerable.Range(1, (int)(Length.TotalSeconds * 2) + 1)
            .FirstOrDefault(s => window.Admits(limit, now.AddSeconds(s)), (int)(Length.TotalSeconds * 2));
        return TimeSpan.FromSeconds(seconds);
    }

    public static DateTimeOffset StartOf(DateTimeOffset now, TimeSpan length) => new(now.UtcTicks - (now.UtcTicks % length.Ticks), TimeSpan.Zero);
}
