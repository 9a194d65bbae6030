using System.Text.Json;

namespace AgentPlatform.Channels;

/// <summary>A way a message leaves the platform: Twilio, SMTP, a signed webhook, or the built-in outbox.</summary>
public interface IMessageProvider
{
    /// <summary><c>twilio</c>, <c>smtp</c>, <c>custom_webhook</c> or <c>outbox</c>; a channel's <c>provider_config.provider</c> may name it.</summary>
    string Name { get; }

    /// <summary>How long one attempt may be under way: a question asked earlier may be answered before the attempt has arrived.</summary>
    TimeSpan Patience { get; }

    /// <summary>False when nothing is ever learnt of an attempt whose result was lost: it is given up as unknown, so that others do not wait behind it.</summary>
    bool CanBeAsked => true;

    /// <summary>True when this provider can carry a message of that channel with the credentials it has now.</summary>
    bool Serves(OutboundChannel channel);

    /// <summary>
    /// One attempt. <see cref="OutboundMessage.Id"/> is the idempotency key: whatever the provider lets a sender repeat safely is derived
    /// from it. A failure to reach the provider is an outcome, never an exception.
    /// </summary>
    Task<SendOutcome> SendAsync(OutboundMessage message, CancellationToken ct);

    /// <summary>
    /// Asks what became of an attempt whose result was lost: <see cref="SendOutcome.Accepted"/> when the provider has the message,
    /// <see cref="SendOutcome.NotSent"/> when it surely has not and a further attempt is safe, else <see cref="SendOutcome.Unknown"/>.
    /// </summary>
    Task<SendOutcome> ProbeAsync(OutboundMessage message, CancellationToken ct);
}

/// <summary>The channel a message leaves by, with its secrets opened. Never logged or stored.</summary>
public sealed record OutboundChannel(Guid TenantId, Guid Id, string ChannelType, string Name, JsonElement ProviderConfig, JsonElement OutboundConfig, IReadOnlyList<string> Secrets)
{
    /// <summary>A text of <c>provider_config</c>, or null.</summary>
    public string? Provider(string name) => Text(ProviderConfig, name);

    /// <summary>A text of <c>outbound_config</c>, or null.</summary>
    public string? Outbound(string name) => Text(OutboundConfig, name);

    public override string ToString() => $"{ChannelType} {Id}";

    private static string? Text(JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String && value.GetString() is { Length: > 0 } text
            ? text
            : null;
}

/// <summary>One message on its way out.</summary>
public sealed record OutboundMessage(Guid Id, OutboundChannel Channel, string To, string? ToName, string Text)
{
    public Guid? ConversationId { get; init; }

    /// <summary>The e-mail's subject.</summary>
    public string? Subject { get; init; }

    /// <summary>The provider's id of the message answered: a Message-ID, or the id of a custom webhook's message.</summary>
    public string? InReplyTo { get; init; }

    /// <summary>The thread so far, oldest first.</summary>
    public IReadOnlyList<string> References { get; init; } = [];

    /// <summary>Where the provider reports delivery to; null when the platform's public address is not known.</summary>
    public Uri? StatusCallback { get; init; }

    /// <summary>When the first attempt began: a probe looks no further back.</summary>
    public DateTimeOffset FirstAttemptAt { get; init; }

    /// <summary>Ids that belong to other messages of ours to the same recipient, so that a probe does not mistake an equal text for this one.</summary>
    public IReadOnlyCollection<string> KnownExternalIds { get; init; } = [];
}

/// <summary>What one attempt, or one probe, showed.</summary>
public abstract record SendOutcome
{
    private SendOutcome()
    {
    }

    /// <summary>The provider has the message; its id for it, if it gave one, and its answer.</summary>
    public sealed record Accepted(string? ExternalId, JsonElement Response) : SendOutcome;

    /// <summary>The provider will never take this message. <c>OptedOut</c>: because the recipient said so; <c>Gone</c>: because the endpoint has been removed.</summary>
    public sealed record Rejected(string Code, string Message, bool OptedOut = false, bool Gone = false) : SendOutcome;

    /// <summary>Not taken now; again after the pause.</summary>
    public sealed record Throttled(TimeSpan RetryAfter) : SendOutcome;

    /// <summary>It may or may not have been taken: ask before anything else.</summary>
    public sealed record Unknown(string Error) : SendOutcome;

    /// <summary>Surely not taken; a further attempt is safe.</summary>
    public sealed record NotSent(string Error) : SendOutcome;
}
