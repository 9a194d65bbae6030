using Microsoft.Extensions.Logging;

namespace AgentPlatform.Messaging;

/// <summary>Event ids 4100 to 4199.</summary>
internal static partial class Log
{
    [LoggerMessage(4100, LogLevel.Information, "The outcome of message {OutboundId} is not known; asking {Provider}.")]
    internal static partial void Probing(ILogger logger, Guid outboundId, string provider);
}
