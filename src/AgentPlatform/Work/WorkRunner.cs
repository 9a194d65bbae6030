using System.Collections.Concurrent;
using System.Diagnostics;
using AgentPlatform.Kernel;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Work;

/// <summary>
/// Claims due work and runs it, up to the process's concurrency, until nothing is due; then returns. One drain is active per
/// process: a second call wakes the first and returns at once.
/// </summary>
public sealed class WorkRunner : IDisposable
{
    internal static readonly ActivitySource Activities = new("AgentPlatform.Work");

    private readonly WorkLeases _leases;
    private readonly WorkExecutor _executor;
    private readonly IOptions<WorkOptions> _options;
    private readonly ForegroundLoad _callers;
    private readonly TimeProvider _clock;
    private readonly ILogger<WorkRunner> _log;
    private readonly SemaphoreSlim _draining = new(1, 1);
    private readonly SemaphoreSlim _wake = new(0, 1);
    private readonly ConcurrentDictionary<long, CancellationTokenSource> _held = new();

    internal WorkRunner(WorkLeases leases, WorkExecutor executor, IOptions<WorkOptions> options, ForegroundLoad callers, TimeProvider clock, ILogger<WorkRunner> log)
    {
        _leases = leases;
        _executor = executor;
        _options = options;
        _callers = callers;
        _clock = clock;
        _log = log;
    }

    /// <summary>One item at a time while callers crowd: the queue keeps what waits, and moves on.</summary>
    private int Concurrency => _callers.IsCrowded ? 1 : _options.Value.Concurrency;

    /// <summary>Runs all that is due. Cancelling stops new claims and lets running handlers finish. Returns how many items ran.</summary>
    public async Task<int> DrainAsync(CancellationToken ct)
    {
        Wake();
        var total = 0;
        // A wake-up that arrives while a drain is ending finds the lock taken: the ending drain looks once more.
        while (_wake.CurrentCount > 0 && !ct.IsCancellationRequested && await _draining.WaitAsync(0, CancellationToken.None))
        {
            total += await DrainWithRenewalAsync(ct);
        }

        return total;
    }

    public void Dispose()
    {
        _draining.Dispose();
        _wake.Dispose();
    }

    /// <summary>Something may be due: the running drain claims again.</summary>
    internal void Wake()
    {
        try
        {
            _wake.Release();
        }
        catch (SemaphoreFullException)
        {
            // Already awake.
        }
    }

    private async Task<int> DrainWithRenewalAsync(CancellationToken ct)
    {
        using var renewal = new CancellationTokenSource();
        var renewing = RenewAsync(renewal.Token);
        try
        {
            return await DrainUntilIdleAsync(ct);
        }
        finally
        {
            await renewal.CancelAsync();
            await renewing;
            _draining.Release();
        }
    }

    private async Task<int> DrainUntilIdleAsync(CancellationToken ct)
    {
        var running = new List<Task<Settlement?>>();
        var total = 0;
        while (true)
        {
            _wake.Wait(0, CancellationToken.None);
            var ended = Collect(running);
            var capacity = ct.IsCancellationRequested ? 0 : Concurrency - running.Count;
            if (ended.Count > 0 || capacity > 0)
            {
                var claimed = await _leases.CompleteAndClaimAsync(ended, capacity, CancellationToken.None);
                running.AddRange(claimed.Select(Start));
                total += claimed.Count;
                if (claimed.Count > 0 && claimed.Count < capacity)
                {
                    // Limits may have cut the batch short: others, behind those they held back, are found by looking again.
                    Wake();
                }
            }

            if (running.Count == 0)
            {
                return total;
            }

            await WaitAsync(running, ct);
        }
    }

    /// <summary>Until something ends, or something new may be due.</summary>
    private async Task WaitAsync(List<Task<Settlement?>> running, CancellationToken ct)
    {
        using var waiting = CancellationTokenSource.CreateLinkedTokenSource(ct);
        var woken = running.Count < Concurrency && !ct.IsCancellationRequested
            ? _wake.WaitAsync(waiting.Token)
            : Task.Delay(Timeout.InfiniteTimeSpan, _clock, waiting.Token);
        await Task.WhenAny(running.Append(woken));
        await waiting.CancelAsync();
    }

    private static List<Settlement> Collect(List<Task<Settlement?>> running)
    {
        var over = running.FindAll(t => t.IsCompleted);
        running.RemoveAll(over.Contains);
        return [.. over.Select(t => t.GetAwaiter().GetResult()).OfType<Settlement>()];
    }

    private async Task<Settlement?> Start(WorkItem item)
    {
        using var held = new CancellationTokenSource();
        _held[item.Id] = held;
        try
        {
            return await _executor.RunAsync(item, held.Token);
        }
        finally
        {
            _held.TryRemove(item.Id, out _);
        }
    }

    private async Task RenewAsync(CancellationToken ct)
    {
        using var timer = new PeriodicTimer(_leases.Lease / 3, _clock);
        try
        {
            while (await timer.WaitForNextTickAsync(ct))
            {
                await RenewOnceAsync(ct);
            }
        }
        catch (OperationCanceledException) when (ct.IsCancellationRequested)
        {
            // The drain is over.
        }
    }

    private async Task RenewOnceAsync(CancellationToken ct)
    {
        var before = _held.Keys.ToArray();
        try
        {
            var still = await _leases.RenewAsync(before, ct);
            foreach (var lost in before.Where(id => !still.Contains(id)))
            {
                if (_held.TryGetValue(lost, out var source))
                {
                    await source.CancelAsync();
                }
            }
        }
        catch (Exception e) when (e is Npgsql.NpgsqlException or TimeoutException)
        {
            // The leases live on for two more ticks; without a database the fence protects what cannot be renewed.
            _log.RenewalFailed(e);
        }
    }
}
