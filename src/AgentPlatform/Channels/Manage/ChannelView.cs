using System.Text.Json;

namespace AgentPlatform.Channels.Manage;

/// <summary>
/// A channel to create, or what to change of one: then null leaves a field as it is. <c>Secret</c> is the auth token of an SMS channel, and
/// optional for the others: a custom webhook without one is given one. It is shown once, in the answer to the creation.
/// </summary>
public sealed record ChannelInput(string? ChannelType, string? ChannelName)
{
    public Guid? AgentId { get; init; }

    public short? ChannelOrder { get; init; }

    /// <summary><c>provider</c>; SMS: <c>account_sid</c>, <c>from</c> or <c>messaging_service_sid</c>; e-mail: <c>from</c>.</summary>
    public JsonElement? ProviderConfig { get; init; }

    public bool? OutboundEnabled { get; init; }

    /// <summary>Custom webhooks: <c>url</c>.</summary>
    public JsonElement? OutboundConfig { get; init; }

    public bool? IsActive { get; init; }

    public DateTimeOffset? TokenExpiresAt { get; init; }

    public bool? TokenRotationRequired { get; init; }

    public int? RateLimitPerMinute { get; init; }

    public int? RateLimitPerHour { get; init; }

    public JsonElement? Metadata { get; init; }

    public string[]? Tags { get; init; }

    public string? Secret { get; init; }
}

/// <summary>A channel as its operator sees it. Secrets are never part of it, only their hints.</summary>
public sealed record ChannelView
{
    public required Guid Id { get; init; }

    public Guid AgentId { get; init; }

    public Guid WebhookToken { get; init; }

    public string? WebhookUrl { get; init; }

    /// <summary>Where the provider reports deliveries to; SMS only.</summary>
    public string? StatusUrl => ChannelType == ChannelTypes.Sms && WebhookUrl is { } url ? $"{url[..^"sms".Length]}status" : null;

    public required string ChannelType { get; init; }

    public required string ChannelName { get; init; }

    public short ChannelOrder { get; init; }

    public JsonElement ProviderConfig { get; init; }

    public bool OutboundEnabled { get; init; }

    public JsonElement OutboundConfig { get; init; }

    public bool IsActive { get; init; }

    public bool IsPrimary { get; init; }

    public bool IsVerified { get; init; }

    public DateTimeOffset? VerifiedAt { get; init; }

    public DateTimeOffset? VerificationCodeExpiresAt { get; init; }

    public DateTimeOffset? TokenExpiresAt { get; init; }

    public bool TokenRotationRequired { get; init; }

    /// <summary>What may be shown of the secrets that count: <c>[{"hint", "created_at", "expires_at"}]</c>.</summary>
    public JsonElement Secrets { get; init; }

    /// <summary>Tokens that were rotated away, the last one first, and until when each still serves: <c>[{"hint", "retired_at", "valid_until"}]</c>.</summary>
    public JsonElement RetiredTokens { get; init; }

    public int RateLimitPerMinute { get; init; }

    public int RateLimitPerHour { get; init; }

    public long TotalMessagesReceived { get; init; }

    public long TotalMessagesSent { get; init; }

    public DateTimeOffset? LastMessageAt { get; init; }

    public JsonElement Metadata { get; init; }

    public JsonElement Tags { get; init; }

    public DateTimeOffset CreatedAt { get; init; }

    public DateTimeOffset UpdatedAt { get; init; }
}

/// <summary>A channel and the secret that was made for it, shown this once.</summary>
public sealed record ChannelWithSecret(ChannelView Channel, string? Secret);
