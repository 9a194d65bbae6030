using AgentPlatform.LocalHost.Hosting;
using AgentPlatform.LocalHost.Invocation;
using Azure;
using Azure.Storage.Queues.Models;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace AgentPlatform.LocalHost.Queues;

/// <summary>
/// Feeds one function from one queue with the official host's pace: a batch at a time, the next one as soon as no more than
/// <c>newBatchThreshold</c> messages run; polling backs off to <c>maxPollingInterval</c> while the queue is empty.
/// </summary>
internal sealed class QueueListener(
    LocalFunction function, IMessageQueue queue, HostJson host, FunctionExecutor executor, TimeProvider clock, ILogger log)
{
    // Long enough for a slow database, short enough that a killed host's messages are soon taken by another; renewed at half.
    internal static readonly TimeSpan Hidden = TimeSpan.FromMinutes(1);

    private static readonly TimeSpan FirstDelay = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan PoisonRetry = TimeSpan.FromMinutes(1);

    private readonly QueueSettings _settings = host.Queues;
    private readonly bool _isPoison = queue.Name.EndsWith(QueueFactory.PoisonSuffix, StringComparison.Ordinal);

    /// <summary>Until <paramref name="stopping"/>; then waits for what runs, whose token is <paramref name="aborting"/>.</summary>
    internal async Task ListenAsync(CancellationToken stopping, CancellationToken aborting)
    {
        var running = new List<Task>();
        var delay = FirstDelay;
        while (!stopping.IsCancellationRequested)
        {
            var batch = await ReceiveAsync(stopping);
            running.RemoveAll(t => t.IsCompleted);
            running.AddRange(batch.Select(m => RunAsync(m, aborting)));
            try
            {
                if (batch.Count == 0)
                {
                    await queue.WaitAsync(delay, stopping);
                    delay = TimeSpan.FromTicks(Math.Min(delay.Ticks * 2, _settings.MaxPollingInterval.Ticks));
                    continue;
                }

                delay = FirstDelay;
                while (running.Count > _settings.NewBatchThreshold)
                {
                    running.Remove(await Task.WhenAny(running).WaitAsync(stopping));
                }
            }
            catch (OperationCanceledException) when (stopping.IsCancellationRequested)
            {
                break;
            }
        }

        await Task.WhenAll(running);
    }

    private async Task<IReadOnlyList<RawMessage>> ReceiveAsync(CancellationToken stopping)
    {
        try
        {
            return await queue.ReceiveAsync(_settings.BatchSize, Hidden, stopping);
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            return [];
        }
        catch (Exception e) when (e is NpgsqlException or RequestFailedException or AggregateException or TimeoutException)
        {
            log.QueueUnreadable(queue.Name, e);
            return [];
        }
    }

    private async Task RunAsync(RawMessage message, CancellationToken aborting)
    {
        // Off the receiving loop, which goes on even if the function never awaits.
        await Task.Yield();
        try
        {
            if (!MessageText.TryDecode(message.Text, _settings.Base64, out var body) && !_isPoison)
            {
                await PoisonAsync(message, "it is not base64, as host.json says it should be");
            }
            else if (message.DequeueCount > _settings.MaxDequeueCount && !_isPoison)
            {
                await PoisonAsync(message, "every attempt so far ended without an answer");
            }
            else
            {
                await ExecuteAsync(message, body, aborting);
            }
        }
        catch (Exception e) when (e is NpgsqlException or RequestFailedException or AggregateException or TimeoutException)
        {
            // The queue is away: the message shows up again when its time is over.
            log.QueueUnreadable(queue.Name, e);
        }
    }

    private async Task ExecuteAsync(RawMessage message, BinaryData body, CancellationToken aborting)
    {
        using var running = CancellationTokenSource.CreateLinkedTokenSource(aborting);
        using var timeout = new CancellationTokenSource(host.FunctionTimeout, clock);
        await using var late = timeout.Token.Register(running.Cancel);
        await using var hold = new MessageHold(queue, message, Hidden, clock, running);
        Exception? failure = null;
        try
        {
            await executor.ExecuteAsync(function, QueueTriggerKind.Data(Typed(message, body)), running.Token);
        }
        catch (Exception e)
        {
            failure = e;
        }

        if (await hold.ReleaseAsync() is not { } held)
        {
            log.MessageLost(message.Id, queue.Name);
        }
        else if (failure is null)
        {
            await queue.DeleteAsync(held, CancellationToken.None);
        }
        else
        {
            await FailAsync(held, failure, aborting.IsCancellationRequested);
        }
    }

    private async Task FailAsync(RawMessage message, Exception failure, bool aborted)
    {
        if (aborted && failure is OperationCanceledException)
        {
            // Cut off by this host's stop: another one may take it at once.
            await queue.HideAsync(message, TimeSpan.Zero, CancellationToken.None);
            return;
        }

        log.MessageFailed(function.Name, message.Id, message.DequeueCount, _settings.MaxDequeueCount, failure);
        var spent = message.DequeueCount >= _settings.MaxDequeueCount;
        if (spent && !_isPoison)
        {
            await PoisonAsync(message, "it failed too often");
            return;
        }

        // A poison queue has no further one. Its messages stay, and come back slowly.
        await queue.HideAsync(message, spent && _settings.RetryAfter < PoisonRetry ? PoisonRetry : _settings.RetryAfter, CancellationToken.None);
    }

    private async Task PoisonAsync(RawMessage message, string reason)
    {
        await queue.MoveAsync(message, queue.Name + QueueFactory.PoisonSuffix, CancellationToken.None);
        log.MessagePoisoned(message.Id, queue.Name, reason);
    }

    private static QueueMessage Typed(RawMessage message, BinaryData body) => QueuesModelFactory.QueueMessage(
        message.Id, message.PopReceipt, body, message.DequeueCount, message.NextVisibleOn, message.InsertedOn, message.ExpiresOn);
}
