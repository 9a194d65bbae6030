using AgentPlatform.Actions.Execution;

namespace AgentPlatform.Functions;

/// <summary>Requests that execute without a sign of life are looked after.</summary>
public sealed class ActionFunctions(RecoverStuck recovery)
{
    [Function("ActionRecovery")]
    public Task Recover([TimerTrigger("30 * * * * *", UseMonitor = false)] TimerInfo timer, CancellationToken ct) => recovery.RunAsync(ct);
}
