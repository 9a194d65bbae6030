using AgentPlatform.Channels.Intake;
using System.Text.Json;
using AgentPlatform.Kernel;

namespace AgentPlatform.Channels;

/// <summary>The kinds of channel, and the name each has among a contact's identities.</summary>
public static class ChannelTypes
{
    public const string Sms = "sms";
    public const string Email = "email";
    public const string CustomWebhook = "custom_webhook";

    /// <summary>Characters of a text message that providers take; a longer one is refused as a whole.</summary>
    public const int LongestSms = 1600;

    public static IReadOnlyList<string> All { get; } = [Sms, Email, CustomWebhook];

    /// <summary>The channel of Contacts and Conversations: <c>sms</c>, <c>email</c> or <c>webhook</c>.</summary>
    public static string Identity(string channelType) => channelType == CustomWebhook ? "webhook" : channelType;

    /// <summary>The channel type that carries a conversation's channel, or null when none does (<c>web</c>, <c>console</c>).</summary>
    public static string? ForConversation(string channel) => channel switch
    {
        "sms" => Sms,
        "email" => Email,
        "webhook" => CustomWebhook,
        _ => null,
    };
}

/// <summary>A channel as the intake sees it: found by its token, with its secrets opened.</summary>
internal sealed record InboundChannel(ChannelGateway.Row Row, IReadOnlyList<string> Secrets, DateTimeOffset? RetiredUntil)
{
    public Guid TenantId => Row.TenantId;

    public Guid Id => Row.Id;

    public InboundSource Source => new(Row.Id, Row.AgentId, Row.ChannelType);

    /// <summary>Why this channel takes nothing now; null when it does.</summary>
    public Problem? Refusal(DateTimeOffset now) => this switch
    {
        { RetiredUntil: { } until } when until <= now => Problem.Gone("token_rotated", "This token has been rotated."),
        { Row.TokenExpiresAt: { } expires } when expires <= now => Problem.Gone("token_expired", "This token has expired."),
        { Row.TokenRotationRequired: true } => Problem.Gone("token_rotation_required", "This token has to be rotated before it is used again."),
        { Row.IsActive: false } => Problem.Forbidden("channel_inactive", "This channel is not active."),
        { Row.IsVerified: false } => Problem.Forbidden("channel_unverified", "This channel is not verified yet."),
        _ => null,
    };
}

/// <summary>One secret of a channel as stored: sealed, with what may be shown of it.</summary>
internal sealed record StoredSecret(string Sealed, string Hint, DateTimeOffset CreatedAt, DateTimeOffset? ExpiresAt);

/// <summary>The key that sealed a channel's secrets is not among the settings any more.</summary>
public sealed class SecretsUnreadableException(Guid channelId) : Exception($"The secrets of channel {channelId} cannot be opened with the keys of the settings.");

/// <summary>Opens, adds and retires the sealed secrets of a channel.</summary>
public sealed class ChannelSecrets(SecretBox box, TimeProvider clock, Microsoft.Extensions.Logging.ILogger<ChannelSecrets> log)
{
    /// <summary>The secrets that count now, newest first; none only when the channel has none.</summary>
    /// <exception cref="SecretsUnreadableException">It has some, and none opens: taken for a channel without, it would take what nobody has signed.</exception>
    public IReadOnlyList<string> Open(JsonElement secretKeys, Guid channelId)
    {
        var now = clock.GetUtcNow();
        var open = new List<string>();
        var unreadable = false;
        foreach (var stored in Json.Read<StoredSecret[]>(secretKeys))
        {
            if (stored.ExpiresAt is { } expires && expires <= now)
            {
                continue;
            }

            if (box.Open(stored.Sealed, channelId) is { } secret)
            {
                open.Add(secret);
            }
            else
            {
                unreadable = true;
                Log.SecretUnreadable(log, channelId);
            }
        }

        return open.Count > 0 || !unreadable ? open : throw new SecretsUnreadableException(channelId);
    }

    /// <summary>The list with a new secret in front; the ones before it serve until <paramref name="grace"/> has passed.</summary>
    internal IReadOnlyList<StoredSecret> Add(IEnumerable<StoredSecret> stored, string secret, Guid channelId, TimeSpan grace)
    {
        var now = clock.GetUtcNow();
        var until = now + grace;
        return
        [
            new StoredSecret(box.Seal(secret, channelId), Hint(secret), now, null),
            .. stored
                .Select(s => s with { ExpiresAt = s.ExpiresAt is { } earlier && earlier < until ? earlier : until })
                .Where(s => s.ExpiresAt > now),
        ];
    }

    private static string Hint(string secret) => secret.Length >= 12 ? $"…{secret[^4..]}" : "…";
}
