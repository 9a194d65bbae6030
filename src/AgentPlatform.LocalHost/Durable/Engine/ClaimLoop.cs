using Microsoft.Extensions.Logging;
using Npgsql;

namespace AgentPlatform.LocalHost.Durable;

/// <summary>What a claim brought, and when the next falls due; null when none will.</summary>
internal sealed record Claims<T>(IReadOnlyList<T> Items, DateTimeOffset? NextDue);

/// <summary>Claims as much as there is room for, begins it, and sleeps until a signal or the next due time.</summary>
internal sealed class ClaimLoop<T>(string signal, SemaphoreSlim room, DurableSignals signals, InFlight inFlight, TimeProvider clock, ILogger log)
{
    private static readonly TimeSpan AfterError = TimeSpan.FromSeconds(1);

    internal required Func<int, CancellationToken, Task<Claims<T>>> Claim { get; init; }

    /// <summary>Gives its room back when it no longer needs it.</summary>
    internal required Func<T, Task> Run { get; init; }

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
    }

    private async Task StepAsync(CancellationToken stopping)
    {
        await room.WaitAsync(stopping);
        // Half of what is free: what this process schedules meanwhile finds room too.
        var taken = 1;
        while (taken <= room.CurrentCount && room.Wait(0, CancellationToken.None))
        {
            taken++;
        }

        Claims<T>? claims = null;
        try
        {
            // Not cancelled in the middle: a claim that was made and not heard of would rest until its lease is over.
            claims = await Claim(taken, CancellationToken.None);
        }
        finally
        {
            if (taken - (claims?.Items.Count ?? 0) is > 0 and var unused)
            {
                room.Release(unused);
            }
        }

        foreach (var item in claims.Items)
        {
            inFlight.Begin(() => Run(item));
        }

        if (claims.Items.Count < taken)
        {
            await SleepAsync(claims.NextDue, stopping);
        }
    }

    private async Task SleepAsync(DateTimeOffset? due, CancellationToken stopping)
    {
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
