using Microsoft.Extensions.Logging;

namespace AgentPlatform.Brain;

internal static partial class Log
{
    [LoggerMessage(1300, LogLevel.Debug, "Turn {TurnNumber} of conversation {ConversationId} answered {Messages} message(s).")]
    internal static partial void TurnTaken(this ILogger log, Guid conversationId, int turnNumber, int messages);
}
