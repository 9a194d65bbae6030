using System.Diagnostics;
using System.Text.Json;
using AgentPlatform.Channels.Intake;
using AgentPlatform.Channels.Twilio;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Channels;

/// <summary>A message about to leave, as it is recorded before any provider is called.</summary>
public sealed record NewOutbound(Guid Id, Guid ChannelId, Guid AgentId, string ChannelType, string To, string Text)
{
    /// <summary>text, verification or test.</summary>
    public string MessageType { get; init; } = "text";

    public Guid? ContactId { get; init; }

    public Guid? ConversationId { get; init; }

    public Guid? MessageId { get; init; }

    public Guid? InboundMessageId { get; init; }

    public Guid? TaskId { get; init; }

    public string? ToName { get; init; }

    public string? Subject { get; init; }

    public DateTimeOffset? ScheduledFor { get; init; }

    /// <summary>pending, or sending when the call follows at once.</summary>
    public string Status { get; init; } = "pending";
}

/// <summary>What the settling of a send found: where the message stands now, which a report that came first may have moved further.</summary>
public sealed record SettledOutbound(string DeliveryStatus, string? ErrorCode, string? DeliveryError);

/// <summary>Writes <c>outbound_messages</c> for whoever sends: Messaging, and the channel's own verification and test.</summary>
public sealed class OutboundLog(TimeProvider clock)
{
    public void Post(Transaction tx, NewOutbound message)
    {
        int? segments = message.ChannelType == ChannelTypes.Sms ? SmsSegments.Count(message.Text).Segments : null;
        tx.Post(
            Sql.Insert,
            tx.TenantId, message.Id, message.ChannelId, message.AgentId, message.ContactId, message.InboundMessageId, message.TaskId, message.ConversationId, message.MessageId,
            message.MessageType, message.Subject, message.Text, message.To, message.ToName, (short?)segments, message.Status, message.ScheduledFor?.ToUniversalTime(),
            Activity.Current?.Id);
    }

    /// <summary>The provider has it. Meets the reports that arrived before this commit.</summary>
    public async Task<SettledOutbound> AcceptedAsync(Transaction tx, Guid channelId, Guid id, string provider, SendOutcome.Accepted accepted, CancellationToken ct)
    {
        ChannelTraffic.Sent(tx, channelId, id, clock.GetUtcNow());
        return await tx.SingleAsync<SettledOutbound>(
            Sql.Accept, [tx.TenantId, channelId, id, accepted.ExternalId ?? id.ToString(), provider, Json.Param(accepted.Response), clock.GetUtcNow()], ct);
    }

    /// <summary>It will not be sent, or not any more.</summary>
    public void Failed(Transaction tx, Guid id, string provider, string code, string error) =>
        tx.Post(Sql.Fail, tx.TenantId, id, provider, code, error);

    /// <summary>It waits for another attempt (pending), for an answer (sending), or nobody will ever know (unknown).</summary>
    public void Waiting(Transaction tx, Guid id, string status, string? error) => tx.Post(Sql.Wait, tx.TenantId, id, status, error);

    /// <summary>Provider ids of other messages to the same recipient since a moment: what a probe must not mistake for this one.</summary>
    public Task<IReadOnlyList<string>> KnownIdsAsync(Transaction tx, Guid channelId, Guid id, string recipient, DateTimeOffset since, CancellationToken ct) =>
        tx.QueryAsync<string>(Sql.KnownIds, [tx.TenantId, channelId, id, recipient, since.ToUniversalTime().AddDays(-1)], ct);

    /// <summary>The provider's id, when a callback that named our message has brought it before any answer did.</summary>
    public Task<string?> ExternalIdAsync(Transaction tx, Guid id, CancellationToken ct) =>
        tx.FindAsync<string>(Sql.ExternalId, [tx.TenantId, id], ct);

    private static class Sql
    {
        internal const string Insert =
            """
            INSERT INTO channels.outbound_messages (
                tenant_id, id, webhook_id, agent_id, contact_id, inbound_message_id, task_id, conversation_id, message_id,
                message_type, subject, content, recipient_identifier, recipient_name, segments, delivery_status, scheduled_for, trace_parent)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
            """;

        internal const string Accept =
            """
            WITH receipt AS (
                INSERT INTO channels.delivery_receipts AS r (tenant_id, webhook_id, external_message_id, outbound_message_id)
                VALUES ($1, $2, $4, $3)
                ON CONFLICT (tenant_id, webhook_id, external_message_id) DO UPDATE SET outbound_message_id = excluded.outbound_message_id
                RETURNING r.delivery_status, r.error_code, r.error
            ),
            news AS (
                SELECT CASE WHEN channels.delivery_rank(delivery_status) > channels.delivery_rank('sent') THEN delivery_status ELSE 'sent' END AS status, error_code, error
                FROM receipt
            )
            UPDATE channels.outbound_messages AS o SET
                delivery_status = CASE WHEN channels.delivery_rank(news.status) > channels.delivery_rank(o.delivery_status) THEN news.status ELSE o.delivery_status END,
                external_message_id = $4,
                provider = $5,
                provider_response = $6,
                sent_at = coalesce(o.sent_at, $7),
                delivered_at = CASE WHEN news.status IN ('delivered', 'read') THEN coalesce(o.delivered_at, $7) ELSE o.delivered_at END,
                read_at = CASE WHEN news.status = 'read' THEN coalesce(o.read_at, $7) ELSE o.read_at END,
                error_code = CASE WHEN news.status = 'failed' THEN news.error_code END,
                delivery_error = CASE WHEN news.status = 'failed' THEN coalesce(news.error, news.error_code) END
            FROM news
            WHERE o.tenant_id = $1 AND o.id = $3
            RETURNING o.delivery_status, o.error_code, o.delivery_error
            """;

        internal const string Fail =
            """
            UPDATE channels.outbound_messages SET delivery_status = 'failed', provider = $3, error_code = $4, delivery_error = $5
            WHERE tenant_id = $1 AND id = $2 AND channels.delivery_rank('failed') > channels.delivery_rank(delivery_status)
            """;

        internal const string Wait =
            """
            UPDATE channels.outbound_messages SET delivery_status = $3, delivery_error = $4
            WHERE tenant_id = $1 AND id = $2 AND delivery_status IN ('pending', 'sending', 'unknown')
            """;

        internal const string KnownIds =
            """
            SELECT external_message_id FROM channels.outbound_messages
            WHERE tenant_id = $1 AND webhook_id = $2 AND id <> $3 AND recipient_identifier = $4 AND created_at >= $5 AND external_message_id IS NOT NULL
            """;

        internal const string ExternalId =
            "SELECT external_message_id FROM channels.outbound_messages WHERE tenant_id = $1 AND id = $2 AND external_message_id IS NOT NULL";
    }
}
