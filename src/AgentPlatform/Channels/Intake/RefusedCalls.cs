using AgentPlatform.Api;
using AgentPlatform.Audit;
using AgentPlatform.Kernel;
using Microsoft.Extensions.Logging;

namespace AgentPlatform.Channels.Intake;

/// <summary>What is made of a webhook that a channel did not take: a line in the log, and a threat when it may have been forged.</summary>
public sealed class RefusedCalls(ThreatLog threats, ClientOrigins origins, ILogger<RefusedCalls> log)
{
    internal void Report(InboundChannel channel, WebhookCall call, Problem refusal)
    {
        Log.Refused(log, channel.Id, refusal.Code);
        if (TypeOf(refusal) is { } type)
        {
            threats.Report(new Threat(channel.TenantId, type, "channel", channel.Id, refusal.Title) { Origin = origins.Of(call.Peer, call.Headers) });
        }
    }

    /// <summary>Whatever else is refused is the channel's own state, or not a message.</summary>
    private static string? TypeOf(Problem refusal) => refusal.Code switch
    {
        "bad_signature" => "bad_signature",
        "token_rotated" or "token_expired" => "retired_token",
        _ => null,
    };
}
