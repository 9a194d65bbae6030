using Microsoft.Extensions.Logging;

namespace AgentPlatform.Identity;

internal static partial class Log
{
    [LoggerMessage(2001, LogLevel.Error, "The request log could not be written")]
    internal static partial void RequestLogFailed(this ILogger logger, Exception e);
}
