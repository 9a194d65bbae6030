using System.Collections.Concurrent;
using System.Text.Json;
using AgentPlatform.LocalHost.Hosting;
using AgentPlatform.LocalHost.Invocation;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace AgentPlatform.LocalHost.Durable;

/// <summary>Runs activities: each at least once, answered once.</summary>
internal sealed class ActivityWorker(
    FunctionCatalog catalog, ActivityStore store, ActivityRoom room, AnswerDesk desk, FunctionExecutor executor, DurableSignals signals,
    HostJson host, TimeProvider clock, ILogger<ActivityWorker> log)
{
    private readonly Dictionary<string, LocalFunction> _functions = catalog.Of<ActivityTriggerAttribute>()
        .ToDictionary(f => f.Trigger.Activity ?? f.Function.Name, f => f.Function, StringComparer.OrdinalIgnoreCase);

    private readonly ConcurrentDictionary<ClaimedActivity, bool> _held = new();

    internal bool HasFunctions => _functions.Count > 0;

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

    /// <summary>Runs one, in room that was taken for it. <paramref name="aborting"/> is the host's stop after its drain limit; <paramref name="killed"/> leaves everything as it is.</summary>
    internal async Task RunAsync(ClaimedActivity activity, CancellationToken aborting, CancellationToken killed)
    {
        _held[activity] = true;
        try
        {
            var (kind, payload) = await CallInRoomAsync(activity, aborting);
            killed.ThrowIfCancellationRequested();
            await desk.GiveAsync(new Answer(activity, kind, payload), killed);
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

    // The next one may begin while this one's answer is written.
    private async Task<(HistoryKind Kind, string? Payload)> CallInRoomAsync(ClaimedActivity activity, CancellationToken aborting)
    {
        try
        {
            return await CallAsync(activity, aborting);
        }
        finally
        {
            room.Give(1);
        }
    }

    private async Task<(HistoryKind Kind, string? Payload)> CallAsync(ClaimedActivity activity, CancellationToken aborting)
    {
        if (!_functions.TryGetValue(activity.Name, out var function))
        {
            return Failed(new TaskFailureDetails("ActivityTaskNotFound", $"There is no activity '{activity.Name}'.", null, null, null));
        }

        if (activity.Claim > DurableSettings.MaxClaims)
        {
            return Failed(new TaskFailureDetails(
                "ActivityInterrupted", $"The activity '{activity.Name}' was begun {DurableSettings.MaxClaims} times and ended none of them.", null, null, null));
        }

        using var late = new CancellationTokenSource(host.FunctionTimeout, clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(aborting, late.Token);
        try
        {
            var result = await executor.ExecuteAsync(function, ActivityTriggerKind.Data(activity), either.Token);
            return (HistoryKind.TaskCompleted, DurableJson.Instance.Serialize(result));
        }
        catch (Exception e) when (!aborting.IsCancellationRequested || e is not OperationCanceledException)
        {
            log.ActivityFailed(activity.Name, activity.Instance, e);
            return Failed(TaskFailureDetails.FromException(e));
        }
    }

    private static (HistoryKind, string?) Failed(TaskFailureDetails failure) => (HistoryKind.TaskFailed, JsonSerializer.Serialize(failure));

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
