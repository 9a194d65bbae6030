using Microsoft.Extensions.Logging;

namespace AgentPlatform.Brain;

internal static partial class Log
{
    [LoggerMessage(1300, LogLevel.Debug, "Turn {TurnNumber} of conversation {ConversationId} answered {Messages} message(s).")]
    internal static partial void TurnTaken(this ILogger log, Guid conversationId, int turnNumber, int messages);

    [LoggerMessage(1301, LogLevel.Information, "The classifier of agent {AgentId} was trained from {Examples} examples in {Milliseconds} ms.")]
    internal static partial void ModelTrained(this ILogger log, Guid agentId, int examples, long milliseconds);

    [LoggerMessage(1302, LogLevel.Warning, "Drafts of a reply in conversation {ConversationId} could not be shown.")]
    internal static partial void DraftsLost(this ILogger log, Guid conversationId, Exception e);
}
