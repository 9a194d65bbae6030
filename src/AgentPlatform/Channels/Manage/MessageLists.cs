using System.Text.Json;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Channels.Manage;

/// <summary>A message that came in.</summary>
public sealed record InboundView(
    Guid Id, Guid WebhookId, Guid AgentId, Guid? ContactId, string? ExternalMessageId, string SenderIdentifier, string? SenderName, string MessageType, string Content,
    JsonElement? ContentParsed, bool HasAttachments, JsonElement Attachments, string ProcessingStatus, string? ProcessingError, Guid? TaskId, Guid? ConversationId, bool IsPartOfThread,
    Guid? ParentMessageId, JsonElement? RawPayload, JsonElement? ProviderMetadata, DateTimeOffset ReceivedAt, DateTimeOffset? ProcessedAt, DateTimeOffset CreatedAt);

/// <summary>A message that went out, or is about to. TraceId: of the W3C trace from the webhook to the provider and its reports.</summary>
public sealed record OutboundView(
    Guid Id, Guid WebhookId, Guid AgentId, Guid? ContactId, Guid? InboundMessageId, Guid? TaskId, Guid? ConversationId, Guid? MessageId, string MessageType, string? Subject,
    string Content, string RecipientIdentifier, string? RecipientName, short? Segments, string DeliveryStatus, string? DeliveryError, string? ErrorCode, string? Provider,
    string? ExternalMessageId, JsonElement? ProviderResponse, DateTimeOffset? ScheduledFor, DateTimeOffset? SentAt, DateTimeOffset? DeliveredAt, DateTimeOffset? ReadAt, DateTimeOffset CreatedAt,
    string? TraceId);

/// <summary>One webhook call, made or received; secrets are masked.</summary>
public sealed record WebhookLogView(
    Guid Id, Guid WebhookId, string Direction, string Event, Guid? InboundMessageId, Guid? OutboundMessageId, string Url, string Method, JsonElement? RequestHeaders,
    JsonElement? RequestBody, int? ResponseStatus, string? ResponseBody, int? ResponseTime, string Status, int Attempts, DateTimeOffset? NextRetryAt, string? Error, string? ErrorCode,
    DateTimeOffset CreatedAt, DateTimeOffset? CompletedAt);

/// <summary>A file of an inbound mail.</summary>
internal sealed record AttachmentFile(string FileName, string ContentType, byte[] Content);

/// <summary>Reads what went over the channels, newest first.</summary>
public sealed class MessageLists(Database database)
{
    internal async Task<Page<InboundView>> InboundAsync(Actor actor, Guid? channelId, Guid? conversationId, string? status, PageRequest page, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        return Page<InboundView>.Cut(await tx.QueryAsync<InboundView>(Sql.Inbound, [actor.TenantId, channelId, conversationId, status, page.Before, page.Fetch], ct), page, m => m.Id);
    }

    internal async Task<Page<OutboundView>> OutboundAsync(Actor actor, Guid? channelId, Guid? conversationId, string? status, PageRequest page, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        return Page<OutboundView>.Cut(await tx.QueryAsync<OutboundView>(Sql.Outbound, [actor.TenantId, channelId, conversationId, status, page.Before, page.Fetch], ct), page, m => m.Id);
    }

    internal async Task<Page<WebhookLogView>> LogsAsync(Actor actor, Guid? channelId, string? eventType, string? status, PageRequest page, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        return Page<WebhookLogView>.Cut(await tx.QueryAsync<WebhookLogView>(Sql.Logs, [actor.TenantId, channelId, eventType, status, page.Before, page.Fetch], ct), page, l => l.Id);
    }

    internal async Task<AttachmentFile?> AttachmentAsync(Actor actor, Guid id, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        return await tx.FindAsync<AttachmentFile>(Sql.Attachment, [actor.TenantId, id], ct);
    }

    private static class Sql
    {
        internal const string Inbound =
            """
            SELECT id, webhook_id, agent_id, contact_id, external_message_id, sender_identifier, sender_name, message_type, content, content_parsed, has_attachments, attachments,
                   processing_status, processing_error, task_id, conversation_id, is_part_of_thread, parent_message_id, raw_payload, provider_metadata, received_at, processed_at, created_at
            FROM channels.inbound_messages
            WHERE tenant_id = $1 AND ($2::uuid IS NULL OR webhook_id = $2) AND ($3::uuid IS NULL OR conversation_id = $3)
              AND ($4::text IS NULL OR processing_status = $4) AND ($5::uuid IS NULL OR id < $5)
            ORDER BY id DESC LIMIT $6
            """;

        internal const string Outbound =
            """
            SELECT id, webhook_id, agent_id, contact_id, inbound_message_id, task_id, conversation_id, message_id, message_type, subject, content, recipient_identifier, recipient_name,
                   segments, delivery_status, delivery_error, error_code, provider, external_message_id, provider_response, scheduled_for, sent_at, delivered_at, read_at, created_at,
                   nullif(split_part(trace_parent, '-', 2), '') AS trace_id
            FROM channels.outbound_messages
            WHERE tenant_id = $1 AND ($2::uuid IS NULL OR webhook_id = $2) AND ($3::uuid IS NULL OR conversation_id = $3)
              AND ($4::text IS NULL OR delivery_status = $4) AND ($5::uuid IS NULL OR id < $5)
            ORDER BY id DESC LIMIT $6
            """;

        internal const string Logs =
            """
            SELECT id, webhook_id, direction, event, inbound_message_id, outbound_message_id, url, method, request_headers, request_body, response_status, response_body,
                   response_time, status, attempts, next_retry_at, error, error_code, created_at, completed_at
            FROM channels.webhook_logs
            WHERE tenant_id = $1 AND ($2::uuid IS NULL OR webhook_id = $2) AND ($3::text IS NULL OR event = $3)
              AND ($4::text IS NULL OR status = $4) AND ($5::uuid IS NULL OR id < $5)
            ORDER BY id DESC LIMIT $6
            """;

        internal const string Attachment = "SELECT file_name, content_type, content FROM channels.inbound_attachments WHERE tenant_id = $1 AND id = $2";
    }
}
