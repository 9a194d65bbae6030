namespace AgentPlatform.Kernel;

/// <summary>
/// How many callers wait for an answer of this process at the moment. A provider whose webhook is answered late delivers it again, while
/// work that was taken in can wait: background work makes room when callers crowd.
/// </summary>
public sealed class ForegroundLoad
{
    private readonly int _ample = 2 * Environment.ProcessorCount;
    private int _waiting;

    /// <summary>More wait than the machine can serve side by side.</summary>
    public bool IsCrowded => Volatile.Read(ref _waiting) > _ample;

    /// <summary>Counts a caller until it is disposed of.</summary>
    public IDisposable Enter()
    {
        Interlocked.Increment(ref _waiting);
        return new Caller(this);
    }

    private sealed class Caller(ForegroundLoad load) : IDisposable
    {
        public void Dispose() => Interlocked.Decrement(ref load._waiting);
    }
}
