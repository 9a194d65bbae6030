using Microsoft.Extensions.Logging;

namespace AgentPlatform.Console;

internal static partial class Log
{
    [LoggerMessage(9501, LogLevel.Error, "The page {Path} failed")]
    internal static partial void PageFailed(this ILogger log, string path, Exception exception);
}
