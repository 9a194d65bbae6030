using System.Diagnostics;
using AgentPlatform.Channels.Intake;
using AgentPlatform.Channels.Twilio;
using AgentPlatform.Contacts;
using AgentPlatform.Conversations;
using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Channels;

/// <summary>News about a message that left: from a provider's callback, in whatever order and however often it comes.</summary>
internal sealed record DeliveryReport(string ExternalId, Guid? OutboundId, string Status, string? ErrorCode, string? Error);

/// <summary>Moves outbound messages along a lattice that has no way back, and the conversation's line with them.</summary>
public sealed class DeliveryReports(ChannelGateway gateway, ConversationLog conversations, ContactDirectory contacts, EventStore events, RefusedCalls refused, TimeProvider clock)
{
    internal static readonly ActivitySource Activities = new("AgentPlatform.Channels");

    /// <summary>False when the report says nothing new, or concerns a message that is not known yet: then it waits for its send to settle.</summary>
    internal async Task<Result<bool>> ReceiveTwilioAsync(Guid token, WebhookCall call, CancellationToken ct)
    {
        var (gate, channel) = await gateway.OpenAsync(token, ChannelTypes.Sms, ct);
        await using var tx = gate;
        if (channel is null)
        {
            return Problem.NotFound("channel");
        }

        // Deliveries of what was already sent are recorded even while the channel is switched off.
        var form = TwilioInbound.Verified(call, channel);
        if ((form.Problem ?? (channel.Refusal(clock.GetUtcNow()) is { Status: 410 } gone ? gone : null)) is { } refusal)
        {
            refused.Report(channel, call, refusal);
            return refusal;
        }

        if (form.Value.Field("MessageSid") is not { Length: <= 64 } sid || form.Value.Field("MessageStatus") is not { } word)
        {
            return FormReading.Malformed("MessageSid and MessageStatus are required.");
        }

        if (Status(word) is not { } status)
        {
            return false;
        }

        tx.Enter(Actor.System(channel.TenantId));
        var ours = Guid.TryParse(call.Query["message"], out var id) ? id : (Guid?)null;
        var news = await ApplyAsync(tx, channel.Id, new DeliveryReport(sid, ours, status, form.Value.Field("ErrorCode"), form.Value.Field("ErrorMessage")), ct);
        await tx.CommitAsync(ct);
        return news;
    }

    private async Task<bool> ApplyAsync(Transaction tx, Guid channelId, DeliveryReport report, CancellationToken ct)
    {
        var now = clock.GetUtcNow();
        var receipt = await tx.SingleAsync<Receipt>(
            Sql.Receive, [tx.TenantId, channelId, report.ExternalId, report.OutboundId, report.Status, report.ErrorCode, report.Error, now], ct);
        if (receipt.OutboundMessageId is not { } outboundId)
        {
            return false;
        }

        var moved = await tx.FindAsync<Moved>(Sql.Move, [tx.TenantId, outboundId, report.Status, report.ExternalId, report.ErrorCode, report.Error, now], ct);
        if (moved is null)
        {
            return false;
        }

        using var activity = GoOn(moved);
        await TellAsync(tx, moved, report.Status, report.ExternalId, report.ErrorCode, report.Error, ct);
        return true;
    }

    /// <summary>The report belongs to the trace of its message, and names the provider's own request.</summary>
    private static Activity GoOn(Moved moved)
    {
        var request = Activity.Current;
        var activity = Activities.GoOn("delivery.report", moved.TraceParent);
        return request is null ? activity : activity.AddLink(new ActivityLink(request.Context));
    }

    /// <summary>What follows from a delivery status: the conversation's line, an event, and an opt-out the carrier tells us of.</summary>
    internal async Task TellAsync(Transaction tx, Moved moved, string status, string? externalId, string? errorCode, string? error, CancellationToken ct)
    {
        if (moved is { ContactId: { } contactId } && status == "failed" && TwilioErrors.MeansOptedOut(errorCode))
        {
            await contacts.SetConsentAsync(tx, contactId, ChannelAddress.Sms, optedOut: true, $"twilio:{errorCode}", ct);
        }

        if (moved is not { MessageId: { } messageId, ConversationId: { } conversationId } || status is "sending")
        {
            return;
        }

        var line = status == "read" ? "delivered" : status;
        var update = new DeliveryUpdate(line, clock.GetUtcNow()) { ProviderMessageId = externalId, ErrorCode = errorCode, ErrorMessage = error };
        if (await conversations.UpdateDeliveryAsync(tx, messageId, update, ct) && line is "delivered" or "failed")
        {
            events.Append(tx, new NewEvent($"message.{line}", "conversation", conversationId, new { message_id = messageId, outbound_message_id = moved.Id, error_code = errorCode, error }));
        }
    }

    private static string? Status(string word) => word switch
    {
        "queued" or "accepted" or "scheduled" or "sending" => "sending",
        "sent" => "sent",
        "delivered" => "delivered",
        "read" => "read",
        "undelivered" or "failed" or "canceled" => "failed",
        _ => null,
    };

    internal sealed record Moved(Guid Id, Guid? MessageId, Guid? ConversationId, Guid? ContactId, string? TraceParent = null);

    private sealed record Receipt(Guid? OutboundMessageId);

    private static class Sql
    {
        // The row is where this report and the settling of its send wait for each other; see channels.delivery_receipts.
        internal const string Receive =
            """
            INSERT INTO channels.delivery_receipts AS r
                (tenant_id, webhook_id, external_message_id, outbound_message_id, delivery_status, error_code, error, reports, reported_at)
            VALUES ($1, $2, $3,
                    (SELECT o.id FROM channels.outbound_messages AS o WHERE o.tenant_id = $1 AND o.webhook_id = $2 AND (o.id = $4 OR o.external_message_id = $3) LIMIT 1),
                    $5, $6, $7, 1, $8)
            ON CONFLICT (tenant_id, webhook_id, external_message_id) DO UPDATE SET
                outbound_message_id = coalesce(r.outbound_message_id, excluded.outbound_message_id),
                delivery_status = CASE WHEN channels.delivery_rank($5) > channels.delivery_rank(r.delivery_status) OR r.delivery_status IS NULL THEN $5 ELSE r.delivery_status END,
                error_code = coalesce(excluded.error_code, r.error_code),
                error = coalesce(excluded.error, r.error),
                reports = r.reports + 1,
                reported_at = $8
            RETURNING outbound_message_id
            """;

        internal const string Move =
            """
            UPDATE channels.outbound_messages AS o SET
                delivery_status = $3,
                external_message_id = coalesce(o.external_message_id, $4),
                error_code = CASE WHEN $3 = 'failed' THEN $5 END,
                delivery_error = CASE WHEN $3 = 'failed' THEN coalesce($6, $5) END,
                sent_at = CASE WHEN $3 IN ('sent', 'delivered', 'read') THEN coalesce(o.sent_at, $7) ELSE o.sent_at END,
                delivered_at = CASE WHEN $3 IN ('delivered', 'read') THEN coalesce(o.delivered_at, $7) ELSE o.delivered_at END,
                read_at = CASE WHEN $3 = 'read' THEN $7 ELSE o.read_at END
            WHERE o.tenant_id = $1 AND o.id = $2 AND channels.delivery_rank($3) > channels.delivery_rank(o.delivery_status)
            RETURNING o.id, o.message_id, o.conversation_id, o.contact_id, o.trace_parent
            """;
    }
}
