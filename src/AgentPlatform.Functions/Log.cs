using Microsoft.Extensions.Logging;

namespace AgentPlatform.Functions;

internal static partial class Log
{
    [LoggerMessage(7101, LogLevel.Error, "Nudge {Message} of {InsertedOn} failed too often; draining once more")]
    internal static partial void NudgePoisoned(this ILogger log, string message, DateTimeOffset? insertedOn);

    [LoggerMessage(7102, LogLevel.Warning, "Not ready")]
    internal static partial void NotReady(this ILogger log, Exception e);
}
