using Microsoft.Extensions.Logging;

namespace AgentPlatform.Schedules;

internal static partial class Log
{
    [LoggerMessage(3300, LogLevel.Information, "Task {TaskId} of type {TaskType} is completed")]
    internal static partial void TaskCompleted(this ILogger log, Guid taskId, string taskType);
}
