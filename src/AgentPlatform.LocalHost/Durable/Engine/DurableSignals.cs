using System.Collections.Concurrent;
using AgentPlatform.LocalHost.Queues;

namespace AgentPlatform.LocalHost.Durable;

/// <summary>Wakes this process's loops, and those who wait for an instance, as soon as this process has written something for them.</summary>
internal sealed class DurableSignals : IDisposable
{
    internal const string Turns = "turns";
    internal const string Activities = "activities";

    private readonly QueueSignals _loops = new();
    private readonly ConcurrentDictionary<string, TaskCompletionSource> _changes = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, TaskCompletionSource> _ends = new(StringComparer.Ordinal);
    // Instances that are stepped here, and whether something has reached them since.
    private readonly ConcurrentDictionary<string, bool> _stepped = new(StringComparer.Ordinal);
    private long _turnPulses;

    /// <summary>How often <see cref="Turns"/> was pulsed.</summary>
    internal long TurnPulses => Interlocked.Read(ref _turnPulses);

    public void Dispose() => _loops.Dispose();

    internal void Pulse(string loop)
    {
        if (loop == Turns)
        {
            Interlocked.Increment(ref _turnPulses);
        }

        _loops.Pulse(loop);
    }

    /// <summary>Something waits for the instance. Claims pass over one that is stepped here: it is looked for once that is over.</summary>
    internal void Reach(string instance)
    {
        Miss(instance);
        Pulse(Turns);
    }

    /// <summary>Something may wait for any instance.</summary>
    internal void ReachAll()
    {
        foreach (var instance in _stepped.Keys)
        {
            Miss(instance);
        }

        Pulse(Turns);
    }

    /// <summary>The instance is stepped here from now on, unless one of its id is stepped here already.</summary>
    internal bool TryWatch(string instance) => _stepped.TryAdd(instance, false);

    /// <summary>The instance is stepped here from now on.</summary>
    internal void Watch(string instance) => _stepped[instance] = false;

    /// <summary>Something may have reached the instance that its claim has not seen.</summary>
    internal void Miss(string instance) => _stepped.TryUpdate(instance, true, false);

    /// <summary>Whether the instance is stepped here, and nobody has been told of its end.</summary>
    internal bool IsStepped(string instance) => _stepped.ContainsKey(instance);

    /// <summary>The instance is no longer stepped here.</summary>
    internal void LetGo(string instance)
    {
        if (_stepped.TryRemove(instance, out var wasReached) && wasReached)
        {
            Pulse(Turns);
        }
    }

    internal Task WaitAsync(string loop, TimeSpan delay, TimeProvider clock, CancellationToken ct) => _loops.WaitAsync(loop, delay, clock, ct);

    /// <summary>The instance has another status now.</summary>
    internal void Changed(string instance, bool hasEnded)
    {
        if (hasEnded)
        {
            LetGo(instance);
        }

        Complete(_changes, instance);
        if (hasEnded)
        {
            Complete(_ends, instance);
        }
    }

    internal void Forget(string instance)
    {
        _changes.TryRemove(instance, out _);
        _ends.TryRemove(instance, out _);
    }

    /// <summary>Completes at the next change of status, or end, that this process makes. Taken before looking, so that none falls between.</summary>
    internal Task Next(string instance, bool end) => (end ? _ends : _changes)
        .GetOrAdd(instance, static _ => new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task;

    private static void Complete(ConcurrentDictionary<string, TaskCompletionSource> waiting, string instance)
    {
        if (waiting.TryRemove(instance, out var source))
        {
            source.TrySetResult();
        }
    }
}
