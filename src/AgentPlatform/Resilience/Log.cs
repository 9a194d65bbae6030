using Microsoft.Extensions.Logging;

namespace AgentPlatform.Resilience;

/// <summary>Event ids 1100–1149.</summary>
internal static partial class Log
{
    [LoggerMessage(1100, LogLevel.Warning, "The circuit of {Service} is open after {Failures} failures")]
    internal static partial void CircuitOpened(this ILogger log, string service, int failures);

    [LoggerMessage(1101, LogLevel.Information, "The circuit of {Service} is closed again")]
    internal static partial void CircuitClosed(this ILogger log, string service);
}
