using Microsoft.Extensions.Logging;

namespace AgentPlatform.Channels;

/// <summary>Event ids 4000 to 4099.</summary>
internal static partial class Log
{
    [LoggerMessage(4000, LogLevel.Warning, "Channels:EncryptionKeys is empty: the secrets of channels are sealed with the development key. Set a key before storing real credentials.")]
    internal static partial void DevelopmentKey(ILogger logger);

    [LoggerMessage(4001, LogLevel.Warning, "Channel {ChannelId} has a secret that no configured key opens.")]
    internal static partial void SecretUnreadable(ILogger logger, Guid channelId);

    [LoggerMessage(4002, LogLevel.Information, "Channel {ChannelId} refused a delivery: {Code}.")]
    internal static partial void Refused(ILogger logger, Guid channelId, string code);

    [LoggerMessage(4003, LogLevel.Warning, "Provider {Provider} could not be reached for message {MessageId}: {Reason}.")]
    internal static partial void Unreachable(ILogger logger, string provider, Guid messageId, string reason);

    [LoggerMessage(4004, LogLevel.Warning, "The endpoint of channel {ChannelId} answered 410: its outbound side is disabled.")]
    internal static partial void OutboundDisabled(ILogger logger, Guid channelId);

    [LoggerMessage(4005, LogLevel.Error, "Message {MessageId} of channel {ChannelId} was taken down and could not be stored.")]
    internal static partial void NotStored(ILogger logger, Guid messageId, Guid channelId, Exception exception);
}
