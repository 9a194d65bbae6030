using Microsoft.Extensions.Logging;

namespace AgentPlatform.Actions;

internal static partial class Log
{
    [LoggerMessage(1200, LogLevel.Information, "Action {ActionId} of {QueueId} failed with {Kind}; next try at {NextRetryAt}.")]
    internal static partial void AttemptFailed(this ILogger log, string actionId, string queueId, string kind, DateTimeOffset nextRetryAt);

    [LoggerMessage(1201, LogLevel.Warning, "Action {ActionId} of {QueueId} failed for good with {Kind}; it is in the dead letters.")]
    internal static partial void GaveUp(this ILogger log, string actionId, string queueId, string kind);

    [LoggerMessage(1202, LogLevel.Information, "Action {ActionId} of {QueueId} was not repeated: execution {ExecutionId} has done it.")]
    internal static partial void Duplicate(this ILogger log, string actionId, string queueId, string executionId);

    [LoggerMessage(1203, LogLevel.Warning, "Action {ActionId} of {QueueId} was executing without a sign of life, and nothing would have taken it up; it runs again.")]
    internal static partial void Recovered(this ILogger log, string actionId, string queueId);
}
