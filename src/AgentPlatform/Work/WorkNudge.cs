using System.Threading.Channels;
using Azure.Storage.Queues;
using Microsoft.Extensions.Logging;

namespace AgentPlatform.Work;

/// <summary>Makes a claim happen soon after a commit. Losing a nudge loses no work: a timer sweeps.</summary>
public interface IWorkNudge
{
    /// <summary>Something somewhere may be due. Never blocks and never throws.</summary>
    void Nudge();

    /// <summary>New work of this sort waits: spares the look for it.</summary>
    void Nudge(Guid tenantId, string kind, short priority) => Nudge();
}

/// <summary>One process: wakes the drain that is running, or the pump that starts one.</summary>
internal sealed class InProcessNudge(WorkRunner runner) : IWorkNudge
{
    private readonly Signal _signal = new();

    public void Nudge()
    {
        runner.WakeToLook();
        _signal.Set();
    }

    public void Nudge(Guid tenantId, string kind, short priority)
    {
        runner.Wake(new Lane(tenantId, kind, priority));
        _signal.Set();
    }

    internal Task WaitAsync(CancellationToken ct) => _signal.TakeAsync(ct);
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

/// <summary>Something has happened: set any number of times, seen once.</summary>
internal sealed class Signal
{
    private readonly Channel<bool> _set = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });

    internal bool IsSet => _set.Reader.Count > 0;

    internal void Set() => _set.Writer.TryWrite(true);

    /// <summary>True, and no longer set, when it was.</summary>
    internal bool TryTake() => _set.Reader.TryRead(out _);

    internal async Task TakeAsync(CancellationToken ct) => await _set.Reader.ReadAsync(ct);
}
