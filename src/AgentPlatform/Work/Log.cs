using AgentPlatform.Work.Operate;
using Microsoft.Extensions.Logging;

namespace AgentPlatform.Work;

/// <summary>Event ids 1000–1049.</summary>
internal static partial class Log
{
    [LoggerMessage(1000, LogLevel.Warning, "{Kind} {Key} failed in attempt {Attempt} of {MaxAttempts}")]
    internal static partial void AttemptFailed(this ILogger logger, string kind, string key, int attempt, int maxAttempts, Exception exception);

    [LoggerMessage(1001, LogLevel.Error, "{Kind} {Key} is dead: {Error}")]
    internal static partial void ItemDied(this ILogger logger, string kind, string key, string error);

    [LoggerMessage(1002, LogLevel.Warning, "{Kind} {Key} was taken over by another worker; this run's result is discarded")]
    internal static partial void LeaseLost(this ILogger logger, string kind, string key);

    [LoggerMessage(1003, LogLevel.Warning, "Leases could not be renewed")]
    internal static partial void RenewalFailed(this ILogger logger, Exception exception);

    [LoggerMessage(1004, LogLevel.Warning, "A nudge could not be sent; the sweep will find the work")]
    internal static partial void NudgeFailed(this ILogger logger, Exception exception);

    [LoggerMessage(1005, LogLevel.Warning, "Work could not be claimed")]
    internal static partial void DrainFailed(this ILogger logger, Exception exception);

    [LoggerMessage(1006, LogLevel.Error, "The end of {Kind} {Key} could not be written; it will be taken over when its lease runs out")]
    internal static partial void EndNotWritten(this ILogger logger, string kind, string key, Exception exception);

    [LoggerMessage(1007, LogLevel.Error, "{Kind} {Key} died, and its handler failed to note it")]
    internal static partial void LastWordFailed(this ILogger logger, string kind, string key, Exception exception);

    [LoggerMessage(1008, LogLevel.Warning, "{Kind} {Key} was interrupted: the database went away")]
    internal static partial void RunInterrupted(this ILogger logger, string kind, string key, Exception exception);

    [LoggerMessage(1009, LogLevel.Warning, "An old snapshot holds vacuum back ({State}): {Seconds:0} s, {Transactions} transactions, {DeadRows} dead rows in the queue")]
    internal static partial void VacuumHeld(this ILogger logger, VacuumState state, double seconds, long transactions, long deadRows);

    [LoggerMessage(1010, LogLevel.Information, "No old snapshot holds vacuum back any more")]
    internal static partial void VacuumFree(this ILogger logger);
}
