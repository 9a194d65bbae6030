using System.Text.Json.Nodes;
using AgentPlatform.Contacts;
using AgentPlatform.Conversations;
using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Work;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace AgentPlatform.Channels.Intake;

/// <summary>
/// Takes a message in, whatever channel it comes over: who it is for, whether it is genuine, whether it is new, and then one
/// transaction that leaves everything the platform needs to answer. Thinking starts after the provider has had its answer.
/// </summary>
public sealed class InboundIntake(
    ChannelGateway gateway,
    Database database,
    ContactDirectory contacts,
    ConversationLog conversations,
    EventStore events,
    WorkQueue work,
    TimeProvider clock,
    ILogger<InboundIntake> log)
{
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan Hour = TimeSpan.FromHours(1);

    /// <summary>The id of the stored message; of the first one, when this is a repeated delivery.</summary>
    internal async Task<Result<Guid>> ReceiveAsync(IInboundAdapter adapter, Guid token, WebhookCall call, CancellationToken ct)
    {
        var (gate, channel) = await gateway.OpenAsync(token, adapter.ChannelType, ct);
        await using var tx = gate;
        if (channel is null)
        {
            return Problem.NotFound("channel");
        }

        var read = await adapter.ReadAsync(call, channel, ct);
        var refusal = read.Problem ?? channel.Refusal(clock.GetUtcNow());
        if (refusal is not null)
        {
            Log.Refused(log, channel.Id, refusal.Code);
            return refusal;
        }

        var admission = await AdmitAsync(tx, channel, read.Value, ct);
        if (admission.DuplicateOf is { } first)
        {
            return first;
        }

        return !admission.Admitted
            ? await OverLimitAsync(channel, ct)
            : await StoreAsync(channel, read.Value, call, admission, ct);
    }

    // Counting is a transaction of its own that does not wait for the disk: were it part of the next one, every message of a
    // channel would queue for the channel's row until its predecessor has been flushed. Its commit travels with the question.

    private async Task<Admission> AdmitAsync(Transaction tx, InboundChannel channel, InboundEnvelope message, CancellationToken ct)
    {
        var now = clock.GetUtcNow();
        var (minute, hour) = (RateWindow.StartOf(now, Minute), RateWindow.StartOf(now, Hour));
        tx.Enter(Actor.System(channel.TenantId));
        tx.FlushLater();
        tx.Gather();
        var sender = contacts.FindByAddressAsync(tx, Address(channel, message), ct);
        var counted = tx.SingleAsync<Counted>(
            Sql.Admit,
            [
                channel.TenantId, channel.Id, message.ExternalId, message.InReplyTo.ToArray(), minute, hour,
                (now - minute) / Minute, (now - hour) / Hour, channel.Row.RateLimitPerMinute, channel.Row.RateLimitPerHour,
            ],
            ct);
        await tx.CommitAsync(ct);
        var (duplicateOf, parentId, admitted) = await counted;
        return new(duplicateOf, parentId, admitted, await sender);
    }

    private static ChannelAddress Address(InboundChannel channel, InboundEnvelope message) => new(ChannelTypes.Identity(channel.Row.ChannelType), message.Sender);

    private async Task<Problem> OverLimitAsync(InboundChannel channel, CancellationToken ct)
    {
        await using var tx = database.Begin(Actor.System(channel.TenantId));
        var now = clock.GetUtcNow();
        var row = await tx.SingleAsync<Rates>(Sql.Rates, [channel.TenantId, channel.Id], ct);
        var waits = new[]
        {
            new RateWindow(Minute, row.MinuteStart, row.MinuteCount, row.MinuteBefore).RetryAfter(channel.Row.RateLimitPerMinute, now),
            new RateWindow(Hour, row.HourStart, row.HourCount, row.HourBefore).RetryAfter(channel.Row.RateLimitPerHour, now),
        };
        return Problem.TooManyRequests(waits.Max());
    }

    private async Task<Result<Guid>> StoreAsync(InboundChannel channel, InboundEnvelope message, WebhookCall call, Admission admission, CancellationToken ct)
    {
        var id = clock.NewId();
        await using var tx = database.Begin(Actor.System(channel.TenantId));
        var address = Address(channel, message);
        var contact = admission.Sender ?? await contacts.CreateAsync(tx, address, message.SenderName, ct);
        var conversation = await conversations.OpenAsync(tx, new OpenConversation(contact.Id, channel.Row.AgentId, address.Channel, address.Address, channel.Id), ct);
        Post(tx, channel, message, new Placed(id, contact.Id, conversation.Id, clock.NewId(), admission.ParentId));
        WebhookLog.PostInbound(tx, clock.NewId(), channel.Id, id, adapterEvent: "message.received", call, message.RawPayload);
        try
        {
            await tx.CommitAsync(ct);
            return id;
        }
        catch (PostgresException e) when (e.ConstraintName == "inbound_messages_once")
        {
            // Two deliveries of one message at the same moment: the other one was first.
            return await FirstDeliveryAsync(channel, message, ct);
        }
    }

    private void Post(Transaction tx, InboundChannel channel, InboundEnvelope message, Placed placed)
    {
        PostInbound(tx, channel, message, placed);
        conversations.Append(tx, new NewMessage(placed.MessageId, placed.ConversationId, placed.ContactId, "user", "inbound", message.Content) { InboundMessageId = placed.Id });
        events.Append(tx, new NewEvent("message.received", "conversation", placed.ConversationId, new
        {
            inbound_message_id = placed.Id,
            message_id = placed.MessageId,
            contact_id = placed.ContactId,
            channel = channel.Row.ChannelType,
            content = message.Content,
        }));
        if (message.IgnoredBecause is null)
        {
            EnqueueTurn(tx, channel, placed);
        }

        ChannelTraffic.Received(tx, channel.Id, placed.Id, clock.GetUtcNow());
    }

    private void EnqueueTurn(Transaction tx, InboundChannel channel, Placed placed) =>
        work.Enqueue(tx, new NewWork("conversation.turn", placed.Id.ToString(), new
        {
            inbound_message_id = placed.Id,
            message_id = placed.MessageId,
            conversation_id = placed.ConversationId,
            contact_id = placed.ContactId,
            agent_id = channel.Row.AgentId,
        })
        { SerialKey = $"conversation:{placed.ConversationId}", Priority = 10 });

    private void PostInbound(Transaction tx, InboundChannel channel, InboundEnvelope message, Placed placed)
    {
        var files = message.Attachments.Select(a => (Id: a.Content is null ? (Guid?)null : clock.NewId(), File: a)).ToList();
        var references = files.Select(f => new { id = f.Id, file_name = f.File.FileName, content_type = f.File.ContentType, url = f.File.Url, size = f.File.Content?.Length, content_id = f.File.ContentId });
        tx.Post(
            Sql.Insert,
            channel.TenantId, placed.Id, channel.Id, channel.Row.AgentId, placed.ContactId, message.ExternalId, message.Sender, message.SenderName, message.MessageType,
            message.Content, Json.Param(message.Parsed), files.Count > 0, Json.Param(references), placed.ConversationId,
            placed.ParentId is not null || message.InReplyTo.Count > 0, placed.ParentId, Json.Param(message.RawPayload), Json.Param(message.ProviderMetadata), clock.GetUtcNow(),
            message.IgnoredBecause is null ? "received" : "ignored", message.IgnoredBecause);
        foreach (var (fileId, file) in files.Where(f => f.Id is not null))
        {
            tx.Post(Sql.InsertFile, channel.TenantId, fileId, placed.Id, file.FileName, file.ContentType, file.ContentId, file.Content);
        }
    }

    private async Task<Guid> FirstDeliveryAsync(InboundChannel channel, InboundEnvelope message, CancellationToken ct)
    {
        await using var tx = database.Begin(Actor.System(channel.TenantId));
        return await tx.SingleAsync<Guid>(Sql.FindFirst, [channel.TenantId, channel.Id, message.ExternalId], ct);
    }

    private sealed record Placed(Guid Id, Guid ContactId, Guid ConversationId, Guid MessageId, Guid? ParentId);

    private sealed record Counted(Guid? DuplicateOf, Guid? ParentId, bool Admitted);

    private sealed record Admission(Guid? DuplicateOf, Guid? ParentId, bool Admitted, Contact? Sender);

    private sealed record Rates(DateTimeOffset MinuteStart, int MinuteCount, int MinuteBefore, DateTimeOffset HourStart, int HourCount, int HourBefore);

    private static class Sql
    {
        // The parent is looked for only when the message names one (the planner evaluates a condition of parameters alone first).
        // A repeated delivery is recognised before it is counted, so that a provider's retries never use up a channel's limit.
        internal const string Admit =
            """
            WITH seen AS (
                SELECT id FROM channels.inbound_messages WHERE tenant_id = $1 AND webhook_id = $2 AND external_message_id = $3
            ),
            parent AS (
                SELECT id FROM channels.inbound_messages
                WHERE cardinality($4::text[]) > 0 AND tenant_id = $1 AND webhook_id = $2 AND external_message_id = ANY ($4)
                UNION ALL
                SELECT inbound_message_id FROM channels.outbound_messages
                WHERE cardinality($4::text[]) > 0 AND tenant_id = $1 AND webhook_id = $2 AND external_message_id = ANY ($4) AND inbound_message_id IS NOT NULL
                ORDER BY id DESC LIMIT 1
            ),
            admitted AS (
                INSERT INTO channels.webhook_rates AS r (tenant_id, webhook_id, minute_start, minute_count, hour_start, hour_count)
                SELECT $1, $2, $5, 1, $6, 1 WHERE NOT EXISTS (SELECT FROM seen)
                ON CONFLICT (tenant_id, webhook_id) DO UPDATE SET
                    minute_before = CASE WHEN r.minute_start >= $5 THEN r.minute_before WHEN r.minute_start = $5 - interval '1 minute' THEN r.minute_count ELSE 0 END,
                    minute_count = CASE WHEN r.minute_start >= $5 THEN r.minute_count + 1 ELSE 1 END,
                    minute_start = greatest(r.minute_start, $5),
                    hour_before = CASE WHEN r.hour_start >= $6 THEN r.hour_before WHEN r.hour_start = $6 - interval '1 hour' THEN r.hour_count ELSE 0 END,
                    hour_count = CASE WHEN r.hour_start >= $6 THEN r.hour_count + 1 ELSE 1 END,
                    hour_start = greatest(r.hour_start, $6)
                WHERE channels.window_load(r.minute_start, r.minute_count, r.minute_before, $5, interval '1 minute', $7) + 1 <= $9
                  AND channels.window_load(r.hour_start, r.hour_count, r.hour_before, $6, interval '1 hour', $8) + 1 <= $10
                RETURNING 1
            )
            SELECT (SELECT id FROM seen) AS duplicate_of, (SELECT id FROM parent) AS parent_id, EXISTS (SELECT FROM admitted) AS admitted
            """;

        internal const string Rates =
            """
            SELECT minute_start, minute_count, minute_before, hour_start, hour_count, hour_before
            FROM channels.webhook_rates WHERE tenant_id = $1 AND webhook_id = $2
            """;

        internal const string Insert =
            """
            INSERT INTO channels.inbound_messages (
                tenant_id, id, webhook_id, agent_id, contact_id, external_message_id, sender_identifier, sender_name, message_type,
                content, content_parsed, has_attachments, attachments, conversation_id,
                is_part_of_thread, parent_message_id, raw_payload, provider_metadata, received_at,
                processing_status, processing_error, processed_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19,
                    $20, $21, CASE WHEN $20 = 'ignored' THEN $19::timestamptz END)
            """;

        internal const string InsertFile =
            """
            INSERT INTO channels.inbound_attachments (tenant_id, id, inbound_message_id, file_name, content_type, content_id, content)
            VALUES ($1, $2, $3, $4, $5, $6, $7)
            """;

        internal const string FindFirst =
            "SELECT id FROM channels.inbound_messages WHERE tenant_id = $1 AND webhook_id = $2 AND external_message_id = $3";
    }
}
