using Microsoft.Extensions.Logging;

namespace AgentPlatform.Tasks;

/// <summary>Event ids 3400–3449.</summary>
internal static partial class Log
{
    [LoggerMessage(3400, LogLevel.Information, "Agency task {TaskId} of type {TaskType} is completed")]
    internal static partial void TaskCompleted(this ILogger log, Guid taskId, string taskType);

    [LoggerMessage(3401, LogLevel.Warning, "Agency task {TaskId} of type {TaskType} has failed: {ErrorCode}")]
    internal static partial void TaskFailed(this ILogger log, Guid taskId, string taskType, string errorCode);
}
