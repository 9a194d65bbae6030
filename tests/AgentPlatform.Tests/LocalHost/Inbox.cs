using System.Threading.Channels;

namespace AgentPlatform.Tests.LocalHost;

/// <summary>What test functions received, in order; they can be made to fail or to wait.</summary>
public sealed class Inbox
{
    private readonly Channel<object> _received = Channel.CreateUnbounded<object>();
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _count;
    private int _running;
    private int _mostRunning;

    public int Count => _count;

    public bool Fails { get; set; }

    /// <summary>Functions wait for it before they end.</summary>
    public Task Gate { get; set; } = Task.CompletedTask;

    /// <summary>When set, each function needs one of these to end.</summary>
    public SemaphoreSlim? Permits { get; set; }

    public int MostRunning => _mostRunning;

    public async Task TakeAsync(object message, CancellationToken ct = default)
    {
        Interlocked.Increment(ref _count);
        var running = Interlocked.Increment(ref _running);
        InterlockedMax(ref _mostRunning, running);
        _received.Writer.TryWrite(message);
        try
        {
            await Gate.WaitAsync(ct);
            await (Permits?.WaitAsync(ct) ?? Task.CompletedTask);
        }
        finally
        {
            if (Interlocked.Decrement(ref _running) == 0)
            {
                _ended.TrySetResult();
            }
        }

        if (Fails)
        {
            throw new InvalidOperationException("The test wants it to fail.");
        }
    }

    public async Task<object> NextAsync()
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(90));
        return await _received.Reader.ReadAsync(limit.Token);
    }

    /// <summary>Until none runs any more.</summary>
    public Task EndedAsync() => _ended.Task.WaitAsync(TimeSpan.FromSeconds(90));

    private static void InterlockedMax(ref int target, int value)
    {
        int seen;
        while ((seen = target) < value && Interlocked.CompareExchange(ref target, value, seen) != seen)
        {
            // Another one was faster; look again.
        }
    }
}
