using Microsoft.Extensions.Logging;

namespace AgentPlatform.Events;

internal static partial class Log
{
    [LoggerMessage(3001, LogLevel.Warning, "Consumer {Consumer} failed at event {EventId}")]
    internal static partial void ConsumerFailed(this ILogger logger, string consumer, Guid eventId, Exception e);

    [LoggerMessage(3003, LogLevel.Warning, "The event listener lost its connection; streams poll")]
    internal static partial void ListenerFailed(this ILogger logger, Exception e);

    [LoggerMessage(3004, LogLevel.Warning, "Events could not be announced; their readers find them by looking")]
    internal static partial void AnnouncementLost(this ILogger logger, Exception e);

    [LoggerMessage(3002, LogLevel.Error, "Consumer {Consumer} stopped at event {EventId} after {Attempts} attempts")]
    internal static partial void ConsumerDied(this ILogger logger, string consumer, Guid eventId, int attempts);
}
