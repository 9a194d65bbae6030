using Microsoft.Extensions.Logging;

namespace AgentPlatform.Workflows;

/// <summary>Event ids 3450–3499.</summary>
internal static partial class Log
{
    [LoggerMessage(3450, LogLevel.Information, "Workflow {WorkflowInstanceId} of {WorkflowId} is {Status}")]
    internal static partial void Ended(this ILogger log, string workflowInstanceId, string workflowId, string status);
}
