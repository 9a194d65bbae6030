using Microsoft.Extensions.Logging;

namespace AgentPlatform.Identity;

internal static partial class Log
{
    [LoggerMessage(2002, LogLevel.Information, "{Count} requests of the deleted tenant {TenantId} were not logged")]
    internal static partial void RequestsOfDeletedTenant(this ILogger logger, Guid tenantId, int count);

    [LoggerMessage(2003, LogLevel.Warning, "Sign-ins to an address without an account are blocked after repeated failures")]
    internal static partial void StrangersLockedOut(this ILogger logger);

    [LoggerMessage(2001, LogLevel.Error, "The request log could not be written")]
    internal static partial void RequestLogFailed(this ILogger logger, Exception e);
}
