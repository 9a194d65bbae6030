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

    [LoggerMessage(7004, LogLevel.Error, "Function {Function} failed in a run by hand")]
    internal static partial void ManualRunFailed(this ILogger log, string function, Exception e);

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

    [LoggerMessage(7030, LogLevel.Error, "Orchestrations cannot be read; trying again")]
    internal static partial void DurableUnreadable(this ILogger log, Exception e);

    [LoggerMessage(7031, LogLevel.Error, "A step of instance {Instance} could not be written; it is taken again")]
    internal static partial void StepFailed(this ILogger log, string instance, Exception e);

    [LoggerMessage(7032, LogLevel.Warning, "Instance {Instance} was stepped by another host meanwhile; this step does not hold")]
    internal static partial void StepLost(this ILogger log, string instance);

    [LoggerMessage(7033, LogLevel.Warning, "Orchestration {Orchestrator} (instance {Instance}) failed: {Type}: {Message}")]
    internal static partial void OrchestrationFailed(this ILogger log, string orchestrator, string instance, string type, string message);

    [LoggerMessage(7034, LogLevel.Warning, "Activity {Activity} of instance {Instance} failed")]
    internal static partial void ActivityFailed(this ILogger log, string activity, string instance, Exception e);

    [LoggerMessage(7035, LogLevel.Error, "The answer of activity {Activity} of instance {Instance} could not be written; it runs again")]
    internal static partial void AnswerLost(this ILogger log, string activity, string instance, Exception e);
}
