using Microsoft.Extensions.Logging;

namespace AgentPlatform.Schemas;

/// <summary>Event ids 1700–1749.</summary>
internal static partial class Log
{
    [LoggerMessage(1700, LogLevel.Information, "Of the expired schema caches {Refreshed} are asked for again, and {Purged} were removed.")]
    internal static partial void Expired(this ILogger log, int refreshed, int purged);
}
