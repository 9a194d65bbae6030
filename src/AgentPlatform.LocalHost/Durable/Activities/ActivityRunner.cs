using System.Text.Json;
using AgentPlatform.LocalHost.Hosting;
using AgentPlatform.LocalHost.Invocation;
using Microsoft.Extensions.Logging;

namespace AgentPlatform.LocalHost.Durable;

/// <summary>Calls activities, each in room that was taken for it.</summary>
internal sealed class ActivityRunner(
    FunctionCatalog catalog, ActivityRoom room, FunctionExecutor executor, HostJson host, TimeProvider clock, ILogger<ActivityRunner> log)
{
    private readonly Dictionary<string, LocalFunction> _functions = catalog.Of<ActivityTriggerAttribute>()
        .ToDictionary(f => f.Trigger.Activity ?? f.Function.Name, f => f.Function, StringComparer.OrdinalIgnoreCase);

    internal bool HasFunctions => _functions.Count > 0;

    /// <summary>
    /// Calls it and gives its room back: the next one may begin while the answer is written. Whatever the activity throws is its answer, unless
    /// <paramref name="aborting"/>, the host's stop after its drain limit, took it away.
    /// </summary>
    internal async Task<Answer> RunAsync(ClaimedActivity activity, CancellationToken aborting)
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

    private async Task<Answer> CallAsync(ClaimedActivity activity, CancellationToken aborting)
    {
        if (!_functions.TryGetValue(activity.Name, out var function))
        {
            return Failed(activity, new TaskFailureDetails("ActivityTaskNotFound", $"There is no activity '{activity.Name}'.", null, null, null));
        }

        if (activity.Claim > DurableSettings.MaxClaims)
        {
            return Failed(activity, new TaskFailureDetails(
                "ActivityInterrupted", $"The activity '{activity.Name}' was begun {DurableSettings.MaxClaims} times and ended none of them.", null, null, null));
        }

        using var late = new CancellationTokenSource(host.FunctionTimeout, clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(aborting, late.Token);
        try
        {
            var result = await executor.ExecuteAsync(function, ActivityTriggerKind.Data(activity), either.Token);
            return new Answer(activity, HistoryKind.TaskCompleted, DurableJson.Instance.Serialize(result));
        }
        catch (Exception e) when (!aborting.IsCancellationRequested || e is not OperationCanceledException)
        {
            log.ActivityFailed(activity.Name, activity.Instance, e);
            return Failed(activity, TaskFailureDetails.FromException(e));
        }
    }

    private static Answer Failed(ClaimedActivity activity, TaskFailureDetails failure) =>
        new(activity, HistoryKind.TaskFailed, JsonSerializer.Serialize(failure));
}
