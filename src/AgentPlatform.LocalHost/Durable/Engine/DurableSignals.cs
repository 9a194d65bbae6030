using System.Collections.Concurrent;
using AgentPlatform.LocalHost.Queues;

namespace AgentPlatform.LocalHost.Durable;

/// <summary>Wakes this process's loops, and those who wait for an instance, as soon as this process has written something for them.</summary>
internal sealed class DurableSignals : IDisposable
{
    internal const string Turns = "turns";
    internal const string Activities = "activities";

    private readonly QueueSignals _loops = new();
    private readonly ConcurrentDictionary<string, TaskCompletionSource> _instances = new(StringComparer.Ordinal);

    public void Dispose() => _loops.Dispose();

    internal void Pulse(string loop) => _loops.Pulse(loop);

    internal Task WaitAsync(string loop, TimeSpan delay, TimeProvider clock, CancellationToken ct) => _loops.WaitAsync(loop, delay, clock, ct);

    /// <summary>The instance stands elsewhere now.</summary>
    internal void Changed(string instance)
    {
        if (_instances.TryRemove(instance, out var waiting))
        {
            waiting.TrySetResult();
        }
    }

    internal void Forget(string instance) => _instances.TryRemove(instance, out _);

    /// <summary>Completes at the next change that this process makes. Taken before looking, so that no change falls between.</summary>
    internal Task NextChange(string instance) =>
        _instances.GetOrAdd(instance, static _ => new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task;
}
