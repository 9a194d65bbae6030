using Microsoft.Extensions.Logging;

namespace AgentPlatform.LocalHost;

internal static partial class Log
{
    [LoggerMessage(7001, LogLevel.Error, "Function {Function} failed (request {Request})")]
    internal static partial void FunctionFailed(this ILogger log, string function, string request, Exception e);

    [LoggerMessage(7002, LogLevel.Information, "Created {Count} keys; they are in {Path} and nowhere else")]
    internal static partial void KeysCreated(this ILogger log, int count, string path);

    [LoggerMessage(7003, LogLevel.Information, "Applied {Count} migrations")]
    internal static partial void Migrated(this ILogger log, int count);

    [LoggerMessage(7010, LogLevel.Error, "Function {Function} failed on message {Message}, attempt {Attempt} of {Limit}")]
    internal static partial void MessageFailed(this ILogger log, string function, string message, long attempt, int limit, Exception e);

    [LoggerMessage(7011, LogLevel.Warning, "Message {Message} of queue {Queue} went to the poison queue: {Reason}")]
    internal static partial void MessagePoisoned(this ILogger log, string message, string queue, string reason);

    [LoggerMessage(7012, LogLevel.Error, "Queue {Queue} cannot be read; trying again")]
    internal static partial void QueueUnreadable(this ILogger log, string queue, Exception e);

    [LoggerMessage(7013, LogLevel.Warning, "Message {Message} of queue {Queue} was taken over by another host while it ran")]
    internal static partial void MessageLost(this ILogger log, string message, string queue);

    [LoggerMessage(7020, LogLevel.Error, "Function {Function} failed")]
    internal static partial void TimerFailed(this ILogger log, string function, Exception e);

    [LoggerMessage(7021, LogLevel.Error, "Timers cannot be read; trying again")]
    internal static partial void TimersUnreadable(this ILogger log, Exception e);
}
