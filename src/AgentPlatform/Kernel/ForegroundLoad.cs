namespace AgentPlatform.Kernel;

/// <summary>
/// How many callers wait for an answer of this process. A provider whose webhook is answered late delivers it again, while
/// work that was taken in can wait: background work makes room when callers crowd.
/// </summary>
public sealed class ForegroundLoad(TimeProvider clock)
{
    /// <summary>For so long a crowd is believed to come back: served quickly, it is gone at most moments, and yet the next are on their way.</summary>
    private static readonly TimeSpan Lull = TimeSpan.FromMilliseconds(250);

    private readonly int _ample = 2 * Environment.ProcessorCount;
    private int _waiting;
    private long _crowdedAt = clock.GetTimestamp() - clock.TimestampFrequency;

    /// <summary>More wait than the machine can serve side by side, or did a moment ago.</summary>
    public bool IsCrowded => clock.GetElapsedTime(Volatile.Read(ref _crowdedAt)) < Lull || Look() > _ample;

    /// <summary>Counts a caller until it is disposed of.</summary>
    public IDisposable Enter()
    {
        if (Interlocked.Increment(ref _waiting) > _ample)
        {
            Volatile.Write(ref _crowdedAt, clock.GetTimestamp());
        }

        return new Caller(this);
    }

    private int Look()
    {
        var waiting = Volatile.Read(ref _waiting);
        if (waiting > _ample)
        {
            Volatile.Write(ref _crowdedAt, clock.GetTimestamp());
        }

        return waiting;
    }

    private sealed class Caller(ForegroundLoad load) : IDisposable
    {
        public void Dispose() => Interlocked.Decrement(ref load._waiting);
    }
}
