using System.Collections.Concurrent;

namespace AgentPlatform.LocalHost.Durable;

/// <summary>
/// Writes in one transaction what came in while the last one was written: the busier, the fewer commits; alone, none waits for another.
/// A write that fails is tried again item by item, so that one bad item does not take the others with it.
/// </summary>
internal sealed class Batcher<TItem, TResult>(Func<IReadOnlyList<TItem>, Task<IReadOnlyList<TResult>>> write)
{
    private const int Most = 64;
    private readonly ConcurrentQueue<Waiting> _queue = new();
    private int _writing;

    /// <summary>
    /// Completes when the item is written. <paramref name="ct"/> withdraws it until its write begins; that is not cancelled, for others are in it.
    /// </summary>
    internal Task<TResult> AddAsync(TItem item, CancellationToken ct)
    {
        var waiting = new Waiting(item, new TaskCompletionSource<TResult>(TaskCreationOptions.RunContinuationsAsynchronously), ct);
        _queue.Enqueue(waiting);
        Begin();
        return waiting.Done.Task;
    }

    private void Begin()
    {
        if (Interlocked.CompareExchange(ref _writing, 1, 0) == 0)
        {
            _ = Task.Run(RunAsync);
        }
    }

    private async Task RunAsync()
    {
        while (Take() is { Count: > 0 } batch)
        {
            if (!await TryAsync(batch, isLast: batch.Count == 1))
            {
                foreach (var one in batch)
                {
                    await TryAsync([one], isLast: true);
                }
            }
        }

        Volatile.Write(ref _writing, 0);
        // What came in after the last look, and found it busy.
        if (!_queue.IsEmpty)
        {
            Begin();
        }
    }

    private List<Waiting> Take()
    {
        var taken = new List<Waiting>();
        while (taken.Count < Most && _queue.TryDequeue(out var next))
        {
            if (next.Withdrawn.IsCancellationRequested)
            {
                next.Done.TrySetCanceled(next.Withdrawn);
            }
            else
            {
                taken.Add(next);
            }
        }

        return taken;
    }

    private async Task<bool> TryAsync(IReadOnlyList<Waiting> batch, bool isLast)
    {
        try
        {
            var results = await write([.. batch.Select(b => b.Item)]);
            for (var i = 0; i < batch.Count; i++)
            {
                batch[i].Done.TrySetResult(results[i]);
            }

            return true;
        }
        catch (Exception) when (!isLast)
        {
            return false;
        }
        catch (Exception e)
        {
            foreach (var one in batch)
            {
                one.Done.TrySetException(e);
            }

            return true;
        }
    }

    private sealed record Waiting(TItem Item, TaskCompletionSource<TResult> Done, CancellationToken Withdrawn);
}
