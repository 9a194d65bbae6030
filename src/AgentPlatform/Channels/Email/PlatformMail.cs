using System.Text.Json;

namespace AgentPlatform.Channels.Email;

/// <summary>
/// Mail of the platform itself, about people's accounts: through its own mail server and with its own sender, and never over a tenant's channel, whose
/// operators could read it or send it elsewhere.
/// </summary>
internal sealed class PlatformMail(SmtpProvider smtp)
{
    private static readonly JsonElement None = JsonSerializer.SerializeToElement(new { });

    private static readonly OutboundChannel Own = new(Guid.Empty, Guid.Empty, ChannelTypes.Email, "AgentPlatform", None, None, []);

    /// <summary>There is a mail server, and a sender.</summary>
    internal bool IsSetUp => smtp.Serves(Own);

    /// <summary>Id: the same on every attempt, so that whoever receives a mail twice can tell.</summary>
    internal Task<SendOutcome> SendAsync(Guid id, string to, string? toName, string subject, string text, CancellationToken ct) =>
        smtp.SendAsync(new OutboundMessage(id, Own, to, toName, text) { Subject = subject }, ct);
}
