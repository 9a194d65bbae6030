using System.Collections.Concurrent;

namespace AgentPlatform.LocalHost.Queues;

/// <summary>Wakes this process's listener of a queue as soon as this process sends to it.</summary>
internal sealed class QueueSignals : IDisposable
{
    private readonly ConcurrentDictionary<string, SemaphoreSlim> _signals = new(StringComparer.Ordinal);

    public void Dispose()
    {
        foreach (var signal in _signals.Values)
        {
            signal.Dispose();
        }
    }

    internal void Pulse(string queue)
    {
        try
        {
            Of(queue).Release();
        }
        catch (SemaphoreFullException)
        {
            // A pulse is waiting already; one receive serves both.
        }
    }

    /// <summary>Until a pulse, or <paramref name="delay"/>.</summary>
    internal async Task WaitAsync(string queue, TimeSpan delay, TimeProvider clock, CancellationToken ct)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(ct);
        await Task.WhenAny(Of(queue).WaitAsync(over.Token), Task.Delay(delay, clock, over.Token));
        await over.CancelAsync();
        ct.ThrowIfCancellationRequested();
    }

    private SemaphoreSlim Of(string queue) => _signals.GetOrAdd(queue, static _ => new SemaphoreSlim(0, 1));
}
