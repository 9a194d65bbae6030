using System.Collections.Concurrent;
using System.Diagnostics;

namespace AgentPlatform.Work;

/// <summary>What one statement claimed together. When each of its items has ended, and that is written, nobody need look at its leases.</summary>
internal sealed class Claim(long id, int items)
{
    private int _left = items;

    internal long Id => id;

    /// <summary>True for the last.</summary>
    internal bool EndOne() => Interlocked.Decrement(ref _left) == 0;
}

/// <summary>What is to be written: how items ended, and the claims of which every item has.</summary>
internal sealed record Ends(IReadOnlyCollection<Settlement> Items, IReadOnlyCollection<long> Claims)
{
    internal static readonly Ends None = new([], []);
}

/// <summary>What this process has in hand: items that run, a few that wait for a free slot, and ends that are not written yet.</summary>
internal sealed class WorkSlots(WorkExecutor executor, int slots, Signal changed)
{
    private const int WakeEvery = 64;

    /// <summary>
    /// By claim, which is an object and not its number: a process may take over from itself while what it claimed before still runs, and a claim that
    /// Postgres lost in a crash is made again with the same fence.
    /// </summary>
    private readonly ConcurrentDictionary<WorkItem, CancellationTokenSource> _inHand = new(ReferenceEqualityComparer.Instance);

    private readonly ConcurrentQueue<WorkItem> _waiting = new();
    private readonly ConcurrentQueue<Settlement> _ended = new();
    private readonly ConcurrentQueue<long> _over = new();
    private readonly ConcurrentQueue<Freed> _freed = new();
    private long _average = TimeSpan.FromSeconds(1).Ticks;
    private int _ends;
    private int _busy;
    private int _count;

    /// <summary>What a run of an item took of late. Before the first it counts as long, so that a new process takes no more than it can run.</summary>
    internal TimeSpan Average => TimeSpan.FromTicks(Volatile.Read(ref _average));

    /// <summary>Claimed and not over.</summary>
    internal int InHand => Volatile.Read(ref _count);

    internal bool HasEnded => !_ended.IsEmpty;

    /// <summary>Ends that are not written yet.</summary>
    internal int Ended => _ended.Count;

    internal IReadOnlyCollection<WorkItem> Items => [.. _inHand.Keys];

    internal void Run(IEnumerable<WorkItem> items)
    {
        foreach (var item in items)
        {
            _inHand[item] = new CancellationTokenSource();
            Interlocked.Increment(ref _count);
            _waiting.Enqueue(item);
        }

        for (var i = Math.Min(_waiting.Count, slots); i > 0 && TryEnter(); i--)
        {
            _ = Task.Run(SlotAsync);
        }
    }

    /// <summary>Claims first: the end of each of their items is among what is taken after them, or has been written.</summary>
    internal Ends TakeEnded()
    {
        var claims = TakeAll(_over);
        return new Ends(TakeAll(_ended), claims);
    }

    /// <summary>These could not be written: they come with the next that end.</summary>
    internal void Keep(Ends ended)
    {
        foreach (var settlement in ended.Items)
        {
            _ended.Enqueue(settlement);
        }

        foreach (var claim in ended.Claims)
        {
            _over.Enqueue(claim);
        }
    }

    /// <summary>What has not started goes back, untried, for another process.</summary>
    internal void HandBack()
    {
        while (_waiting.TryDequeue(out var item))
        {
            Over(item, Settlement.Of(item, new WorkOutcome.Snooze(TimeSpan.Zero)));
        }
    }

    /// <summary>What something may have become due in, because something else ended.</summary>
    internal IReadOnlyCollection<Freed> TakeFreed() => TakeAll(_freed).ToHashSet();

    /// <summary>Another process has taken these over.</summary>
    internal void Lose(IEnumerable<WorkItem> items)
    {
        foreach (var item in items)
        {
            if (_inHand.TryGetValue(item, out var held))
            {
                Cancel(held);
            }
        }
    }

    private static void Cancel(CancellationTokenSource held)
    {
        try
        {
            held.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // It has just ended.
        }
    }

    private static List<T> TakeAll<T>(ConcurrentQueue<T> queue)
    {
        var all = new List<T>();
        while (queue.TryDequeue(out var one))
        {
            all.Add(one);
        }

        return all;
    }

    private bool TryEnter()
    {
        if (Interlocked.Increment(ref _busy) <= slots)
        {
            return true;
        }

        Interlocked.Decrement(ref _busy);
        return false;
    }

    /// <summary>Runs what waits, one after the other. An item that came while the slot was leaving finds it, or another, again.</summary>
    private async Task SlotAsync()
    {
        do
        {
            while (_waiting.TryDequeue(out var item))
            {
                var held = _inHand[item];
                var started = Stopwatch.GetTimestamp();
                Over(item, held.IsCancellationRequested ? null : await executor.RunAsync(item, held.Token));
                Learn(Stopwatch.GetElapsedTime(started));
            }

            Interlocked.Decrement(ref _busy);
        }
        while (!_waiting.IsEmpty && TryEnter());
    }

    /// <summary>A sixteenth of each run: an estimate may miss one that another slot writes at the same time.</summary>
    private void Learn(TimeSpan took)
    {
        var average = Volatile.Read(ref _average);
        Volatile.Write(ref _average, Math.Max(average + ((took.Ticks - average) / 16), 1));
    }

    private void Over(WorkItem item, Settlement? settlement)
    {
        if (settlement is not null)
        {
            _ended.Enqueue(settlement);
        }

        var end = settlement ?? item.Settled;
        if (end is not null && item.Claim is { } claim && claim.EndOne())
        {
            _over.Enqueue(claim.Id);
        }

        if (item.SerialKey is not null)
        {
            _freed.Enqueue(new Freed(item.TenantId, item.SerialKey));
        }

        var isBack = item.SerialKey is null && end is { State: "ready" };
        if (isBack || item.IsLimited)
        {
            _freed.Enqueue(new Freed(item.TenantId, null, InLimit: !isBack));
        }

        if (_inHand.TryRemove(item, out var held))
        {
            held.Dispose();
        }

        Interlocked.Decrement(ref _count);
        // While short items run one after the other, waking for each end would cost more than the item.
        if (_waiting.IsEmpty || Interlocked.Increment(ref _ends) % WakeEvery == 0)
        {
            changed.Set();
        }
    }
}
