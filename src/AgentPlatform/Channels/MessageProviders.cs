using System.Text.Json;
using AgentPlatform.Kernel;

namespace AgentPlatform.Channels;

/// <summary>Chooses who carries a message.</summary>
public sealed class MessageProviders(IEnumerable<IMessageProvider> providers)
{
    private readonly IReadOnlyList<IMessageProvider> _providers = [.. providers];

    /// <summary>
    /// The provider that <c>provider_config.provider</c> names, else the first that has what it needs to serve the channel; the built-in
    /// outbox when none has, so that a platform without credentials still answers, where its operator can see it.
    /// </summary>
    public IMessageProvider For(OutboundChannel channel) =>
        channel.Provider("provider") is { } named && _providers.FirstOrDefault(p => p.Name == named) is { } chosen
            ? chosen
            : _providers.First(p => p.Serves(channel));
}

/// <summary>
/// The built-in outbox: takes every message and delivers it nowhere. What it took is in <c>outbound_messages</c>, where the API, the
/// simulator and the command line show it.
/// </summary>
internal sealed class OutboxProvider : IMessageProvider
{
    public string Name => "outbox";

    public TimeSpan Patience => TimeSpan.Zero;

    public bool Serves(OutboundChannel channel) => true;

    public Task<SendOutcome> SendAsync(OutboundMessage message, CancellationToken ct) => Task.FromResult<SendOutcome>(Take(message));

    /// <summary>Taking has no effect outside the database, so an attempt whose settling was lost is simply taken again.</summary>
    public Task<SendOutcome> ProbeAsync(OutboundMessage message, CancellationToken ct) => Task.FromResult<SendOutcome>(Take(message));

    private static SendOutcome.Accepted Take(OutboundMessage message) =>
        new($"outbox_{message.Id:N}", Json.Of(new { provider = "outbox", to = message.To }));
}
