using System.Text.Json;
using AgentPlatform.Actions.Registry;

namespace AgentPlatform.Actions.Execution;

/// <summary>
/// One call of an effect that was recorded at <see cref="RecordedAt"/>. <see cref="Probe"/> is set when an earlier call of the same effect may
/// have been carried out; <see cref="AskOnly"/> when its tries are used up, and only what became of it is wanted.
/// </summary>
internal sealed record EndpointCall(Guid TenantId, ActionDefinition Action, QueuedAction Item, JsonElement Data, EffectProbe? Probe, DateTimeOffset RecordedAt)
{
    internal bool AskOnly { get; init; }
}

/// <summary>A call whose outcome is unknown is asked for, where that can be; only one that did not happen is made again.</summary>
internal sealed class CallEndpoint(HttpAction http, TimeProvider clock)
{
    /// <summary>A worker that was stopped for longer than this between record and call may have lost its lease, and does not call.</summary>
    internal static readonly TimeSpan MaxPause = TimeSpan.FromSeconds(5);

    internal async Task<ActionResult> RunAsync(EndpointCall call, CancellationToken ct)
    {
        if (call.Probe is { } probe)
        {
            var found = await http.ProbeAsync(call.TenantId, call.Action, probe, call.Item, call.Data, ct);
            if (call.AskOnly || found.Effect != "not_happened")
            {
                return found;
            }
        }

        var answer = clock.GetUtcNow() - call.RecordedAt > MaxPause
            ? ActionResult.Failed(new(ErrorKind.NetworkError, "The worker was held up before the call.") { Code = EffectRules.NotCalled }) with { Effect = "not_happened" }
            : await http.CallAsync(call.TenantId, call.Action, call.Item, call.Data, ct);
        return answer with { Probed = call.Probe is not null };
    }
}
