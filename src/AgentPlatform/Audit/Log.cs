using Microsoft.Extensions.Logging;

namespace AgentPlatform.Audit;

internal static partial class Log
{
    [LoggerMessage(2601, LogLevel.Error, "{Action} could not be written to the security log")]
    internal static partial void SecurityLogFailed(this ILogger logger, string action, Exception e);

    [LoggerMessage(2602, LogLevel.Error, "The log of threats could not be written")]
    internal static partial void ThreatLogFailed(this ILogger logger, Exception e);
}
