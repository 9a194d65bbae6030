using System.Collections.Concurrent;

namespace AgentPlatform.LocalHost.Durable;

/// <summary>What has been begun and not ended; a host that stops waits for it.</summary>
internal sealed class InFlight
{
    private readonly ConcurrentDictionary<Task, bool> _running = new();

    internal void Begin(Func<Task> run)
    {
        var task = Task.Run(run);
        _running[task] = true;
        _ = task.ContinueWith(ended => _running.TryRemove(ended, out _), CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
    }

    internal async Task EndAsync()
    {
        while (_running.Keys is { Count: > 0 } running)
        {
            await Task.WhenAll(running);
        }
    }
}
