using Microsoft.Extensions.Logging;

namespace AgentPlatform.Api;

internal static partial class Log
{
    [LoggerMessage(1001, LogLevel.Error, "A request failed")]
    internal static partial void RequestFailed(this ILogger logger, Exception e);

    [LoggerMessage(1002, LogLevel.Warning, "A request failed because the database is not available")]
    internal static partial void DependencyFailed(this ILogger logger, Exception e);
}
