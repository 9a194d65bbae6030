using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace AgentPlatform.LocalHost.Durable;

/// <summary>Works off activities that are rows: each runs at least once and is answered once.</summary>
internal sealed class ActivityWorker(
    ActivityRunner runner, ActivityStore store, AnswerDesk desk, DurableSignals signals, ILogger<ActivityWorker> log)
{
    private readonly ConcurrentDictionary<ClaimedActivity, bool> _held = new();

    internal async Task<Claims<ClaimedActivity>> ClaimAsync(int max, CancellationToken ct)
    {
        var claims = await store.ClaimAsync(max, ct);
        foreach (var activity in claims.Items)
        {
            _held[activity] = true;
        }

        return claims;
    }

    internal async Task RenewAsync(CancellationToken ct)
    {
        if (_held.Keys is { Count: > 0 } held)
        {
            await store.RenewAsync([.. held], ct);
        }
    }

    /// <summary>Runs one, or goes on with one that runs already. <paramref name="killed"/> leaves everything as it is.</summary>
    internal async Task RunAsync(ClaimedActivity activity, Task<Answer>? running, CancellationToken aborting, CancellationToken killed)
    {
        _held[activity] = true;
        try
        {
            var answer = await (running ?? runner.RunAsync(activity, aborting));
            killed.ThrowIfCancellationRequested();
            await desk.GiveAsync(answer, killed);
        }
        catch (OperationCanceledException) when (killed.IsCancellationRequested)
        {
            // As if the process had ended here.
        }
        catch (OperationCanceledException) when (aborting.IsCancellationRequested)
        {
            await ReleaseAsync(activity);
        }
        catch (Exception e)
        {
            // The answer could not be written: the activity runs again.
            log.AnswerLost(activity.Name, activity.Instance, e);
            await ReleaseAsync(activity);
        }
        finally
        {
            _held.TryRemove(activity, out _);
        }
    }

    private async Task ReleaseAsync(ClaimedActivity activity)
    {
        try
        {
            await store.ReleaseAsync(activity, CancellationToken.None);
            signals.Pulse(DurableSignals.Activities);
        }
        catch (Exception e) when (e is NpgsqlException or TimeoutException)
        {
            // Its lease runs out.
            log.AnswerLost(activity.Name, activity.Instance, e);
        }
    }
}
