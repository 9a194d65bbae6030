using System.Text.Json;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Channels;

/// <summary>How a message can leave: the channel with its secrets opened, who carries it, and what would stop it.</summary>
public sealed record OutboundRoute(OutboundChannel Channel, IMessageProvider Provider, Guid AgentId, bool IsActive, bool IsVerified, bool OutboundEnabled, Uri? StatusUrl)
{
    /// <summary>Why nothing may leave by this channel; null when it may.</summary>
    public string? Refusal => this switch
    {
        { IsActive: false } => "channel_inactive",
        { IsVerified: false } => "channel_unverified",
        { OutboundEnabled: false } => "outbound_disabled",
        _ => null,
    };

    /// <summary>Where the provider reports this message to: the id lets a report find it even before its send has settled.</summary>
    public Uri? StatusCallback(Guid outboundId) => StatusUrl is null ? null : new Uri($"{StatusUrl}?message={outboundId}");
}

/// <summary>The message a reply answers, as its thread knows it.</summary>
public sealed record ThreadPosition(string? ExternalMessageId, string? Subject, IReadOnlyList<string> References);

/// <summary>A channel of the tenant that messages can leave by. Channel: as contacts and conversations name it.</summary>
public sealed record Outlet(Guid Id, Guid AgentId, string Channel);

/// <summary>What other modules may know of channels. Every method joins the caller's transaction.</summary>
public sealed class ChannelDirectory(MessageProviders providers, ChannelSecrets secrets, PublicAddress address)
{
    /// <summary>
    /// The channel the conversation was held over, else the agent's channel of that kind (its primary one first); null when there is
    /// none. <paramref name="channel"/>: sms, email or webhook.
    /// </summary>
    public async Task<OutboundRoute?> RouteAsync(Transaction tx, Guid? channelId, Guid? agentId, string channel, CancellationToken ct)
    {
        if (ChannelTypes.ForConversation(channel) is not { } type || await tx.FindAsync<Row>(Sql.Route, [tx.TenantId, type, channelId, agentId], ct) is not { } row)
        {
            return null;
        }

        return Route(tx.TenantId, row);
    }

    /// <summary>
    /// By which channels the tenant writes first to people it has not met: of each kind one that is active, verified and lets messages out, a primary one
    /// and an older one before others.
    /// </summary>
    public Task<IReadOnlyList<Outlet>> OutletsAsync(Transaction tx, CancellationToken ct) => tx.QueryAsync<Outlet>(Sql.Outlets, [tx.TenantId], ct);

    /// <summary>The channel itself, whatever its state; null when there is none.</summary>
    public async Task<OutboundRoute?> FindAsync(Transaction tx, Guid channelId, CancellationToken ct) =>
        await tx.FindAsync<Row>(Sql.Find, [tx.TenantId, channelId], ct) is { } row ? Route(tx.TenantId, row) : null;

    /// <summary>The endpoint has said that it is gone for good.</summary>
    public void DisableOutbound(Transaction tx, Guid channelId) => tx.Post(Sql.DisableOutbound, tx.TenantId, channelId);

    /// <summary>Where in its thread an inbound message stands; null when it is not there any more.</summary>
    public async Task<ThreadPosition?> ThreadAsync(Transaction tx, Guid inboundId, CancellationToken ct)
    {
        var row = await tx.FindAsync<ThreadRow>(Sql.Thread, [tx.TenantId, inboundId], ct);
        return row is null
            ? null
            : new ThreadPosition(row.ExternalMessageId, row.Subject, [.. Json.Read<string[]>(row.References), .. row.ExternalMessageId is { } id ? [id] : Array.Empty<string>()]);
    }

    /// <summary>The public address of a channel's endpoint, or its path when the platform does not know its public address.</summary>
    internal string UrlOf(string channelType, Guid token) => $"{address.BaseUrl}{Path(channelType, token)}";

    private static string Path(string channelType, Guid token) => channelType switch
    {
        ChannelTypes.Sms => $"/webhooks/twilio/{token}/sms",
        ChannelTypes.Email => $"/webhooks/email/{token}",
        _ => $"/webhooks/custom/{token}",
    };

    private OutboundRoute Route(Guid tenantId, Row row)
    {
        var channel = new OutboundChannel(tenantId, row.Id, row.ChannelType, row.ChannelName, row.ProviderConfig, row.OutboundConfig, secrets.Open(row.SecretKeys, row.Id));
        var status = row.ChannelType == ChannelTypes.Sms && address.BaseUrl is { } url ? new Uri($"{url}/webhooks/twilio/{row.WebhookToken}/status") : null;
        return new OutboundRoute(channel, providers.For(channel), row.AgentId, row.IsActive, row.IsVerified, row.OutboundEnabled, status);
    }

    private sealed record Row(
        Guid Id, Guid AgentId, Guid WebhookToken, string ChannelType, string ChannelName, JsonElement ProviderConfig, JsonElement OutboundConfig, JsonElement SecretKeys,
        bool IsActive, bool IsVerified, bool OutboundEnabled);

    private sealed record ThreadRow(string? ExternalMessageId, string? Subject, JsonElement References);

    private static class Sql
    {
        internal const string Route =
            """
            SELECT id, agent_id, webhook_token, channel_type, channel_name, provider_config, outbound_config, secret_keys, is_active, is_verified, outbound_enabled
            FROM channels.user_webhooks
            WHERE tenant_id = $1 AND channel_type = $2 AND (id = $3 OR agent_id = $4)
            ORDER BY id = $3 DESC NULLS LAST, is_active DESC, is_primary DESC, channel_order
            LIMIT 1
            """;

        internal const string Outlets =
            """
            SELECT DISTINCT ON (channel_type) id, agent_id, CASE channel_type WHEN 'custom_webhook' THEN 'webhook' ELSE channel_type END AS channel
            FROM channels.user_webhooks
            WHERE tenant_id = $1 AND is_active AND is_verified AND outbound_enabled
            ORDER BY channel_type, is_primary DESC, id
            """;

        internal const string Find =
            """
            SELECT id, agent_id, webhook_token, channel_type, channel_name, provider_config, outbound_config, secret_keys, is_active, is_verified, outbound_enabled
            FROM channels.user_webhooks WHERE tenant_id = $1 AND id = $2
            """;

        internal const string DisableOutbound = "UPDATE channels.user_webhooks SET outbound_enabled = false WHERE tenant_id = $1 AND id = $2";

        internal const string Thread =
            """
            SELECT external_message_id, content_parsed ->> 'subject' AS subject, coalesce(provider_metadata -> 'references', '[]') AS "references"
            FROM channels.inbound_messages WHERE tenant_id = $1 AND id = $2
            """;
    }
}
