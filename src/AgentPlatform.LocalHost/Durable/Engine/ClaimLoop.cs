using Microsoft.Extensions.Logging;
using Npgsql;

namespace AgentPlatform.LocalHost.Durable;

/// <summary>Claims as much as there is room for, runs it, and sleeps until a signal or the next due time.</summary>
internal sealed class ClaimLoop<T>(string signal, int room, DurableSignals signals, TimeProvider clock, ILogger log)
{
    private static readonly TimeSpan AfterError = TimeSpan.FromSeconds(1);
    private readonly List<Task> _running = [];

    internal required Func<int, CancellationToken, Task<IReadOnlyList<T>>> Claim { get; init; }

    internal required Func<CancellationToken, Task<DateTimeOffset?>> NextDue { get; init; }

    internal required Func<T, Task> Run { get; init; }

    /// <summary>Until <paramref name="stopping"/>; then waits for what runs.</summary>
    internal async Task RunAsync(CancellationToken stopping)
    {
        await Task.Yield();
        while (!stopping.IsCancellationRequested)
        {
            try
            {
                await StepAsync(stopping);
            }
            catch (OperationCanceledException) when (stopping.IsCancellationRequested)
            {
                break;
            }
            catch (Exception e) when (e is NpgsqlException or TimeoutException)
            {
                log.DurableUnreadable(e);
                await Task.WhenAny(Task.Delay(AfterError, clock, stopping));
            }
        }

        await Task.WhenAll(_running);
    }

    private async Task StepAsync(CancellationToken stopping)
    {
        _running.RemoveAll(t => t.IsCompleted);
        if (_running.Count >= room)
        {
            await Task.WhenAny(_running).WaitAsync(stopping);
            return;
        }

        // Not cancelled in the middle: a claim that was made and not heard of would rest until its lease is over.
        var claimed = await Claim(room - _running.Count, CancellationToken.None);
        _running.AddRange(claimed.Select(c => Task.Run(() => Run(c), CancellationToken.None)));
        if (claimed.Count > 0)
        {
            return;
        }

        var due = await NextDue(stopping);
        var left = due is { } next ? next - clock.GetUtcNow() : DurableSettings.Poll;
        if (left > TimeSpan.Zero)
        {
            await signals.WaitAsync(signal, left < DurableSettings.Poll ? left : DurableSettings.Poll, clock, stopping);
        }
        else
        {
            // Due, but another host is about to have it.
            await signals.WaitAsync(signal, TimeSpan.FromMilliseconds(10), TimeProvider.System, stopping);
        }
    }
}
