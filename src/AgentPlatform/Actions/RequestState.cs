using System.Text.Json;
using AgentPlatform.Actions.Registry;

namespace AgentPlatform.Actions;

/// <summary>What parameters and eligibility make of a request: blocked before pending, pending before ready.</summary>
internal sealed record RequestState(QueueStatus Status, ParameterCheck Check, Blocked? Blocked, JsonElement Params)
{
    internal static RequestState Decide(ParameterCheck check, Blocked? blocked, JsonElement values) => new(
        blocked is not null ? QueueStatus.Blocked : check.IsComplete ? QueueStatus.Ready : QueueStatus.Pending, check, blocked, values);
}
