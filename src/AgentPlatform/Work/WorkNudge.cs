using Azure.Storage.Queues;
using Microsoft.Extensions.Logging;

namespace AgentPlatform.Work;

/// <summary>Makes a claim happen soon after a commit. Losing a nudge loses no work: a timer sweeps.</summary>
public interface IWorkNudge
{
    /// <summary>Never blocks and never throws.</summary>
    void Nudge();
}

/// <summary>One process: wakes the drain that is running, or the pump that starts one.</summary>
internal sealed class InProcessNudge(WorkRunner runner) : IWorkNudge, IDisposable
{
    private readonly SemaphoreSlim _signal = new(0, 1);

    public void Nudge()
    {
        runner.Wake();
        try
        {
            _signal.Release();
        }
        catch (SemaphoreFullException)
        {
            // A nudge is waiting already; one claim serves both.
        }
    }

    public void Dispose() => _signal.Dispose();

    internal Task WaitAsync(CancellationToken ct) => _signal.WaitAsync(ct);
}

/// <summary>Many hosts: a message on storage queue <c>work-ready</c> starts the function of that name on whichever host is free.</summary>
internal sealed class StorageQueueNudge(QueueClient queue, ILogger<StorageQueueNudge> log) : IWorkNudge
{
    internal const string QueueName = "work-ready";

    private int _pending;

    public void Nudge()
    {
        // While one message is on its way, later commits are covered by it only if it has not been read: so at most one more follows.
        if (Interlocked.Increment(ref _pending) <= 2)
        {
            _ = SendAsync();
        }
    }

    private async Task SendAsync()
    {
        try
        {
            await queue.SendMessageAsync("{}");
        }
        catch (Exception e) when (e is Azure.RequestFailedException or HttpRequestException or IOException)
        {
            log.NudgeFailed(e);
        }
        finally
        {
            Interlocked.Exchange(ref _pending, 0);
        }
    }
}
