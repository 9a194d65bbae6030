using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Channels;

/// <summary>The log of outgoing webhook calls: one row a delivery, its attempts counted on it.</summary>
public sealed class WebhookAttempts(Database database, TimeProvider clock)
{
    /// <summary>The delivery is tried again then.</summary>
    public void RetryAt(Transaction tx, Guid outboundId, DateTimeOffset at) => tx.Post(Sql.RetryAt, tx.TenantId, outboundId, at.ToUniversalTime());

    /// <summary>The delivery has been given up.</summary>
    public void GiveUp(Transaction tx, Guid outboundId) => tx.Post(Sql.GiveUp, tx.TenantId, outboundId, clock.GetUtcNow());

    /// <summary>In a transaction of its own: what was tried stays on record whatever becomes of the sender.</summary>
    internal async Task RecordAsync(OutboundMessage message, WebhookAttempt attempt, CancellationToken ct)
    {
        var delivered = attempt.ErrorCode is null;
        await using var tx = database.Begin(Actor.System(message.Channel.TenantId));
        tx.Post(
            Sql.Record,
            message.Channel.TenantId, clock.NewId(), message.Channel.Id, message.Id, attempt.Url, Json.Param(WebhookLog.MaskHeaders(attempt.Headers)), Json.Param(attempt.Body),
            attempt.Status, WebhookLog.Clip(attempt.ResponseBody), attempt.ElapsedMs, delivered ? "delivered" : "pending", attempt.Error, attempt.ErrorCode,
            clock.GetUtcNow(), delivered ? clock.GetUtcNow() : null);
        await tx.CommitAsync(ct);
    }

    private static class Sql
    {
        internal const string Record =
            """
            INSERT INTO channels.webhook_logs AS l (
                tenant_id, id, webhook_id, direction, event, outbound_message_id, url, request_headers, request_body,
                response_status, response_body, response_time, status, error, error_code, created_at, completed_at)
            VALUES ($1, $2, $3, 'outbound', 'message.created', $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
            ON CONFLICT (tenant_id, outbound_message_id) WHERE outbound_message_id IS NOT NULL DO UPDATE SET
                attempts = l.attempts + 1, url = excluded.url, request_headers = excluded.request_headers, request_body = excluded.request_body,
                response_status = excluded.response_status, response_body = excluded.response_body, response_time = excluded.response_time,
                status = excluded.status, error = excluded.error, error_code = excluded.error_code, next_retry_at = NULL, completed_at = excluded.completed_at
            """;

        internal const string RetryAt =
            "UPDATE channels.webhook_logs SET status = 'retrying', next_retry_at = $3 WHERE tenant_id = $1 AND outbound_message_id = $2 AND status IN ('pending', 'retrying')";

        internal const string GiveUp =
            """
            UPDATE channels.webhook_logs SET status = 'failed', next_retry_at = NULL, completed_at = $3
            WHERE tenant_id = $1 AND outbound_message_id = $2 AND status IN ('pending', 'retrying')
            """;
    }
}
