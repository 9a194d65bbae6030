using AgentPlatform.Channels;
using AgentPlatform.Contacts;
using AgentPlatform.Kernel;
using AgentPlatform.Messaging;
using AgentPlatform.Postgres;
using AgentPlatform.Schedules.Automations;
using AgentPlatform.Tenancy;
using AgentPlatform.Work;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Alerts;

/// <summary>
/// One attempt at one delivery: a notification in the console, or a message in the queue that everything leaves by. What becomes of that message comes back
/// by a trigger, which enqueues the next attempt where there is to be one.
/// </summary>
internal sealed class DeliverAlert(
    Database database, MemberDirectory members, ChannelDirectory channels, Letters letters, IOptions<AlertsOptions> options, TimeProvider clock) : IWorkHandler
{
    internal const string Kind = "alerts.deliver";

    /// <summary>Whom a webhook's endpoint is told that it is for: its channel has one URL, and no people.</summary>
    private const string Recipient = "alerts";

    /// <summary>Less than a long text message may have: what is longer is refused as a whole.</summary>
    private const int LongestText = 1500;

    public async Task<WorkOutcome> HandleAsync(WorkItem item, CancellationToken ct)
    {
        await using var tx = database.Begin(Actor.System(item.TenantId));
        var queueId = clock.NewId();
        if (await tx.FindAsync<AlertDelivery>(Sql.Begin, [item.Read<Payload>().DeliveryId, clock.GetUtcNow(), queueId], ct) is not { } delivery)
        {
            return new WorkOutcome.Cancel("It is over, or gone.");
        }

        if (delivery.Channel == NotificationChannel.InApp)
        {
            End(tx, delivery.Id, await ShowAsync(tx, delivery, ct) ? null : "not_a_member", again: false);
        }
        else if (await SendAsync(tx, delivery, queueId, ct) is { } refusal)
        {
            End(tx, delivery.Id, refusal, again: true);
        }

        item.Settle(tx, new WorkOutcome.Done());
        await tx.CommitAsync(ct);
        return WorkOutcome.Settled;
    }

    public Task OnDeadAsync(WorkItem item, string error, Transaction tx, CancellationToken ct)
    {
        End(tx, item.Read<Payload>().DeliveryId, error, again: false);
        return Task.CompletedTask;
    }

    private void End(Transaction tx, Guid id, string? error, bool again) => tx.PostCall(Sql.End, tx.TenantId, id, error, again, clock.GetUtcNow());

    /// <summary>False when the member has left.</summary>
    private async Task<bool> ShowAsync(Transaction tx, AlertDelivery delivery, CancellationToken ct)
    {
        var (userId, now, payload) = (Guid.Parse(delivery.Destination), clock.GetUtcNow(), Json.Read<AlertPayload>(delivery.Payload));
        if ((await members.ReachableAsync(tx, [userId], ct)).Count == 0)
        {
            return false;
        }

        tx.Post(
            Sql.Show, clock.NewId(), userId, payload.AlertId, payload.Title, payload.Message, Notification.TypeOf(payload), delivery.Priority, Json.Param(delivery.Payload),
            $"/console/alerts/{payload.AlertId}", "Show the alert", now.AddDays(options.Value.NotificationDays), now);
        return true;
    }

    /// <summary>Null when it is on its way; else why it is not.</summary>
    private async Task<string?> SendAsync(Transaction tx, AlertDelivery delivery, Guid queueId, CancellationToken ct)
    {
        if (await PlaceAsync(tx, delivery, ct) is not { } place)
        {
            return "no_channel";
        }

        var payload = Json.Read<AlertPayload>(delivery.Payload);
        var text = delivery.Channel == NotificationChannel.Webhook ? Json.Text(payload) : $"[{payload.Severity}] {payload.Title}\n{payload.Message}";
        text = delivery.Channel == ChannelAddress.Sms ? AlertWords.Clip(text, LongestText) : text;
        await letters.WriteAsync(tx, place, new Letter(payload.Title, text, $"alert:{delivery.Id}:{delivery.Attempts}") { QueueId = queueId }, ct);
        return null;
    }

    /// <summary>Whether the channel may be used just now is Messaging's to say.</summary>
    private async Task<MailBox?> PlaceAsync(Transaction tx, AlertDelivery delivery, CancellationToken ct)
    {
        if (delivery.Channel == NotificationChannel.Webhook)
        {
            return await channels.FindAsync(tx, Guid.Parse(delivery.Destination), ct) is { Channel.ChannelType: ChannelTypes.CustomWebhook } route
                ? new MailBox(route.AgentId, route.Channel.Id, new ChannelAddress(ChannelAddress.Webhook, Recipient), "Alerts")
                : null;
        }

        return (await channels.OutletsAsync(tx, ct)).FirstOrDefault(o => o.Channel == delivery.Channel) is { } outlet
            ? new MailBox(outlet.AgentId, outlet.Id, new ChannelAddress(delivery.Channel, delivery.Destination), Name: null)
            : null;
    }

    internal sealed record Payload(Guid DeliveryId);

    private static class Sql
    {
        internal const string Begin =
            """
            UPDATE alerts.alert_delivery_queue SET status = 'sending', attempts = attempts + 1, last_attempt_at = $2, queue_id = CASE WHEN channel <> 'in_app' THEN $3::uuid END
            WHERE tenant_id = kernel.current_tenant_id() AND id = $1 AND status = 'pending'
            RETURNING *
            """;

        internal const string End = "SELECT alerts.end_attempt($1, $2, $3, $4, $5)";

        internal const string Show =
            """
            INSERT INTO alerts.in_app_notifications (
                tenant_id, id, user_id, alert_history_id, title, message, type, priority, metadata, action_url, action_label, expires_at, created_at)
            VALUES (kernel.current_tenant_id(), $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
            """;
    }
}
