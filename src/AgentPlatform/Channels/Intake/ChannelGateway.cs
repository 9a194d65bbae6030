using System.Collections.Concurrent;
using System.Text.Json;
using AgentPlatform.Postgres;

namespace AgentPlatform.Channels.Intake;

/// <summary>
/// Finds the one channel whose token a caller presents. Row level security shows no other: the token itself is the key. A channel is remembered
/// as it was found, for who asks with its next statement whether it still is so.
/// </summary>
public sealed class ChannelGateway(Database database, ChannelSecrets secrets)
{
    private const int Remembered = 1000;

    private readonly ConcurrentDictionary<Guid, Row> _rows = new();

    /// <summary>The channel as it was when its token was presented last; null when that is not remembered.</summary>
    internal InboundChannel? Recall(Guid token, string channelType) =>
        _rows.TryGetValue(token, out var row) && row.ChannelType == channelType ? Open(row) : null;

    internal void Forget(Guid token) => _rows.TryRemove(token, out _);

    /// <summary>The transaction that found the channel, still in the gateway, and the channel; null when no channel ever had this token.</summary>
    internal async Task<(Transaction Tx, InboundChannel? Channel)> OpenAsync(Guid token, string channelType, CancellationToken ct)
    {
        var tx = database.BeginGateway(token.ToString());
        try
        {
            var row = await tx.FindAsync<Row>(Sql.Find, [token], ct);
            if (row is null || row.ChannelType != channelType)
            {
                return (tx, null);
            }

            if (_rows.Count >= Remembered)
            {
                _rows.Clear();
            }

            _rows[token] = row;
            return (tx, Open(row));
        }
        catch
        {
            await tx.DisposeAsync();
            throw;
        }
    }

    private InboundChannel Open(Row row) => new(row, secrets.Open(row.SecretKeys, row.Id), row.ValidUntil);

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
        DateTimeOffset UpdatedAt,
        DateTimeOffset? ValidUntil);

    private static class Sql
    {
        internal const string Find =
            """
            SELECT w.tenant_id, w.id, w.agent_id, w.channel_type, w.provider_config, w.secret_keys, w.is_active, w.is_verified,
                   w.token_expires_at, w.token_rotation_required, w.rate_limit_per_minute, w.rate_limit_per_hour, w.updated_at, NULL::timestamptz AS valid_until
            FROM channels.user_webhooks AS w
            WHERE w.webhook_token = $1
            UNION ALL
            SELECT w.tenant_id, w.id, w.agent_id, w.channel_type, w.provider_config, w.secret_keys, w.is_active, w.is_verified,
                   NULL, false, w.rate_limit_per_minute, w.rate_limit_per_hour, w.updated_at, r.valid_until
            FROM channels.retired_tokens AS r
            JOIN channels.user_webhooks AS w ON w.tenant_id = r.tenant_id AND w.id = r.webhook_id
            WHERE r.token = $1
            """;
    }
}
