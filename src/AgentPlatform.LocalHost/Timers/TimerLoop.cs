using AgentPlatform.LocalHost.Invocation;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace AgentPlatform.LocalHost.Timers;

/// <summary>Runs one timer while this host holds its lease: makes up for a missed occurrence, then waits, runs and records, never two at once.</summary>
internal sealed class TimerLoop(
    LocalFunction function, TimerTriggerAttribute trigger, Schedule schedule, TimerStore store, FunctionExecutor executor, TimeSpan timeout,
    TimeProvider clock, ILogger log) : IDisposable
{
    // A wait is cut into days: timers of the platform end at 49 of them.
    private static readonly TimeSpan LongestWait = TimeSpan.FromDays(1);
    private static readonly TimeSpan AfterError = TimeSpan.FromSeconds(5);

    private CancellationTokenSource? _held;
    private bool _hasStarted;

    internal Task Ended { get; private set; } = Task.CompletedTask;

    internal bool IsRunning => !Ended.IsCompleted;

    /// <summary>The lease is this host's: starts the loop unless it runs.</summary>
    internal void Hold(TimerState state, CancellationToken stopping, CancellationToken aborting)
    {
        if (IsRunning)
        {
            return;
        }

        _held?.Dispose();
        _held = new CancellationTokenSource();
        Ended = RunAsync(state, stopping, aborting, _held.Token);
    }

    /// <summary>The lease is another host's: stops waiting and asks a running function to end.</summary>
    internal Task LoseAsync() => _held?.CancelAsync() ?? Task.CompletedTask;

    public void Dispose() => _held?.Dispose();

    private async Task RunAsync(TimerState state, CancellationToken stopping, CancellationToken aborting, CancellationToken lost)
    {
        using var waiting = CancellationTokenSource.CreateLinkedTokenSource(stopping, lost);
        using var running = CancellationTokenSource.CreateLinkedTokenSource(aborting, lost);
        await Task.Yield();
        while (!waiting.IsCancellationRequested)
        {
            try
            {
                state = await StartAsync(state, running.Token);
                while (true)
                {
                    await WaitUntilAsync(state.NextAt, waiting.Token);
                    state = await OccurAsync(state, isPastDue: false, running.Token);
                }
            }
            catch (OperationCanceledException) when (waiting.IsCancellationRequested)
            {
                return;
            }
            catch (LeaseLostException)
            {
                return;
            }
            catch (Exception e) when (e is NpgsqlException or TimeoutException)
            {
                log.TimersUnreadable(e);
                await Task.WhenAny(Task.Delay(AfterError, clock, waiting.Token));
            }
        }
    }

    // What is due at once: an occurrence that no host saw, or the run at start.
    private async Task<TimerState> StartAsync(TimerState state, CancellationToken running)
    {
        var now = clock.GetUtcNow();
        var isPastDue = IsMonitored(now) && state.NextAt < now;
        if (isPastDue || (trigger.RunOnStartup && !_hasStarted))
        {
            state = await OccurAsync(state, isPastDue, running);
            _hasStarted = true;
            return state;
        }

        if (state.NextAt >= now)
        {
            return state;
        }

        var next = schedule.After(now);
        await store.RecordAsync(function.Name, last: null, next, CancellationToken.None);
        return state with { NextAt = next, StatusAt = now };
    }

    private async Task<TimerState> OccurAsync(TimerState state, bool isPastDue, CancellationToken running)
    {
        // The lease may have run out while this process was suspended.
        if (!await store.ConfirmAsync(function.Name, CancellationToken.None))
        {
            throw new LeaseLostException();
        }

        var now = clock.GetUtcNow();
        await CallAsync(Info(state, isPastDue, now), running);
        var next = schedule.After(clock.GetUtcNow());
        await store.RecordAsync(function.Name, now, next, CancellationToken.None);
        return state with { LastAt = now, NextAt = next, StatusAt = now };
    }

    private TimerInfo Info(TimerState state, bool isPastDue, DateTimeOffset now) => new()
    {
        IsPastDue = isPastDue,
        ScheduleStatus = IsMonitored(now)
            ? new ScheduleStatus
            {
                Last = state.LastAt?.UtcDateTime ?? default,
                Next = schedule.After(now).UtcDateTime,
                LastUpdated = state.StatusAt.UtcDateTime,
            }
            : null,
    };

    private async Task CallAsync(TimerInfo info, CancellationToken running)
    {
        using var late = new CancellationTokenSource(timeout, clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(running, late.Token);
        try
        {
            await executor.ExecuteAsync(function, new TriggerData(info, new Dictionary<string, object?>()), either.Token);
        }
        catch (OperationCanceledException) when (running.IsCancellationRequested)
        {
            // Cut off by the host's stop.
        }
        catch (Exception e)
        {
            // As on Azure, a failed run waits for the next occurrence.
            log.TimerFailed(function.Name, e);
        }
    }

    private bool IsMonitored(DateTimeOffset now) => trigger.UseMonitor && schedule.IsSlow(now);

    private async Task WaitUntilAsync(DateTimeOffset due, CancellationToken ct)
    {
        for (var left = due - clock.GetUtcNow(); left > TimeSpan.Zero; left = due - clock.GetUtcNow())
        {
            await Task.Delay(left < LongestWait ? left : LongestWait, clock, ct);
        }

        ct.ThrowIfCancellationRequested();
    }

    private sealed class LeaseLostException : Exception;
}
