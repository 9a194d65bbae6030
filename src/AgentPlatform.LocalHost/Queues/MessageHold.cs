using Azure;
using Npgsql;

namespace AgentPlatform.LocalHost.Queues;

/// <summary>Keeps a running message hidden from other receivers; cancels the run when it is theirs after all.</summary>
internal sealed class MessageHold : IAsyncDisposable
{
    private readonly IMessageQueue _queue;
    private readonly TimeSpan _hidden;
    private readonly CancellationTokenSource _running;
    private readonly CancellationTokenSource _released = new();
    private readonly Task _renewing;
    private RawMessage? _message;

    internal MessageHold(IMessageQueue queue, RawMessage message, TimeSpan hidden, TimeProvider clock, CancellationTokenSource running)
    {
        _queue = queue;
        _message = message;
        _hidden = hidden;
        _running = running;
        _renewing = RenewAsync(clock);
    }

    public async ValueTask DisposeAsync()
    {
        await ReleaseAsync();
        _released.Dispose();
    }

    /// <summary>Stops renewing; the message with its present receipt, or null when it was lost.</summary>
    internal async Task<RawMessage?> ReleaseAsync()
    {
        await _released.CancelAsync();
        await _renewing;
        return _message;
    }

    private async Task RenewAsync(TimeProvider clock)
    {
        using var timer = new PeriodicTimer(_hidden / 2, clock);
        try
        {
            while (_message is not null && await timer.WaitForNextTickAsync(_released.Token))
            {
                await RenewOnceAsync(_message);
            }
        }
        catch (OperationCanceledException) when (_released.IsCancellationRequested)
        {
            // The run is over.
        }
    }

    private async Task RenewOnceAsync(RawMessage message)
    {
        try
        {
            var receipt = await _queue.HideAsync(message, _hidden, CancellationToken.None);
            _message = receipt is null ? null : message with { PopReceipt = receipt };
            if (receipt is null)
            {
                await _running.CancelAsync();
            }
        }
        catch (Exception e) when (e is NpgsqlException or RequestFailedException or AggregateException or TimeoutException)
        {
            // The next tick comes before the message shows again; if that fails too, its receipt will have changed.
        }
    }
}
