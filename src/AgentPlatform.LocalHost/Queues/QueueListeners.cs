using AgentPlatform.LocalHost.Hosting;
using AgentPlatform.LocalHost.Invocation;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace AgentPlatform.LocalHost.Queues;

/// <summary>Starts a listener for each queue-triggered function; at stop, lets running messages finish.</summary>
internal sealed class QueueListeners(
    FunctionCatalog catalog, QueueFactory queues, FunctionExecutor executor, HostJson host, TimeProvider clock, IHostApplicationLifetime lifetime,
    ILogger<QueueListeners> log) : IHostedService, IDisposable
{
    private readonly CancellationTokenSource _stopping = new();
    private readonly CancellationTokenSource _aborting = new();
    private Task _listening = Task.CompletedTask;

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        // As soon as the host begins to stop, not only when its turn comes after the servers: nothing new is taken while others drain.
        lifetime.ApplicationStopping.Register(_stopping.Cancel);
        var listeners = new List<QueueListener>();
        foreach (var (function, trigger) in catalog.Of<QueueTriggerAttribute>())
        {
            var queue = queues.Open(function, trigger);
            await queue.PrepareAsync(cancellationToken);
            listeners.Add(new QueueListener(function, queue, host, executor, clock, log));
        }

        _listening = Task.WhenAll(listeners.Select(l => Task.Run(() => l.ListenAsync(_stopping.Token, _aborting.Token), CancellationToken.None)));
    }

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        await _stopping.CancelAsync();
        await using var limit = cancellationToken.Register(_aborting.Cancel);
        await _listening;
    }

    public void Dispose()
    {
        _stopping.Dispose();
        _aborting.Dispose();
    }
}
