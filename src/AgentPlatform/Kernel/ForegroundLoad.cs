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
    private long _leftCrowdAt = clock.GetTimestamp() - clock.TimestampFrequency;

    /// <summary>More wait than the machine can serve side by side, or did a moment ago.</summary>
    public bool IsCrowded => Volatile.Read(ref _waiting) > _ample || clock.GetElapsedTime(Volatile.Read(ref _leftCrowdAt)) < Lull;

    /// <summary>Counts a caller until it is disposed of.</summary>
    public IDisposable Enter()
    {
        Interlocked.Increment(ref _waiting);
        return new Caller(this);
    }

    private void Leave()
    {
        if (Interlocked.Decrement(ref _waiting) >= _ample)
        {
            Volatile.Write(ref _leftCrowdAt, clock.GetTimestamp());
        }
    }

    private sealed class Caller(ForegroundLoad load) : IDisposable
    {
        public void Dispose() => load.Leave();
    }
}
