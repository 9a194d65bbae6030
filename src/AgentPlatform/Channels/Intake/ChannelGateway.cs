using System.Text.Json;
using AgentPlatform.Postgres;

namespace AgentPlatform.Channels.Intake;

/// <summary>Finds the one channel whose token a caller presents. Row level security shows no other: the token itself is the key.</summary>
public sealed class ChannelGateway(Database database, ChannelSecrets secrets)
{
    /// <summary>The transaction that found the channel, still in the gateway, and the channel; null when no channel ever had this token.</summary>
    internal async Task<(Transaction Tx, InboundChannel? Channel)> OpenAsync(Guid token, string channelType, CancellationToken ct)
    {
        var tx = database.BeginGateway(token.ToString());
        try
        {
            var row = await tx.FindAsync<Row>(Sql.Find, [token], ct);
            return row is null || row.ChannelType != channelType
                ? (tx, null)
                : (tx, new InboundChannel(row, secrets.Open(row.SecretKeys, row.Id), row.ValidUntil));
        }
        catch
        {
            await tx.DisposeAsync();
            throw;
        }
    }

    internal sealed record Row(
        Guid TenantId,
        Guid Id,
        Guid AgentId,
        string ChannelType,
        JsonElement ProviderConfig,
        JsonElement SecretKeys,
        bool IsActive,
        bool IsVerified,
        DateTimeOffset? TokenExpiresAt,
        bool TokenRotationRequired,
        int RateLimitPerMinute,
        int RateLimitPerHour,
        DateTimeOffset? ValidUntil);

    private static class Sql
    {
        internal const string Find =
            """
            SELECT w.tenant_id, w.id, w.agent_id, w.channel_type, w.provider_config, w.secret_keys, w.is_active, w.is_verified,
                   w.token_expires_at, w.token_rotation_required, w.rate_limit_per_minute, w.rate_limit_per_hour, NULL::timestamptz AS valid_until
            FROM channels.user_webhooks AS w
            WHERE w.webhook_token = $1
            UNION ALL
            SELECT w.tenant_id, w.id, w.agent_id, w.channel_type, w.provider_config, w.secret_keys, w.is_active, w.is_verified,
                   NULL, false, w.rate_limit_per_minute, w.rate_limit_per_hour, r.valid_until
            FROM channels.retired_tokens AS r
            JOIN channels.user_webhooks AS w ON w.tenant_id = r.tenant_id AND w.id = r.webhook_id
            WHERE r.token = $1
            """;
    }
}
