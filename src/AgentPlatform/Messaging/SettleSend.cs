using AgentPlatform.Channels;
using AgentPlatform.Contacts;
using AgentPlatform.Conversations;
using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Messaging.Pacing;
using AgentPlatform.Postgres;
using AgentPlatform.Resilience;
using AgentPlatform.Work;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Messaging;

/// <summary>Writes down what a call, or a question about a call, has shown: one transaction with the work item's own outcome.</summary>
internal sealed class SettleSend(
    Database database,
    SendEffects effects,
    Budgets budgets,
    OutboundLog outbound,
    ChannelDirectory channels,
    WebhookAttempts attempts,
    ConversationLog conversations,
    ContactDirectory contacts,
    EventStore events,
    CircuitBreaker circuits,
    TimeProvider clock,
    IOptions<MessagingOptions> options)
{
    private static readonly TimeSpan MaxDelay = TimeSpan.FromMinutes(5);

    /// <summary>A message that its provider keeps putting off is tried for so long.</summary>
    private static readonly TimeSpan MaxThrottled = TimeSpan.FromHours(24);

    /// <summary>With a <paramref name="passage"/> when the provider was called.</summary>
    /// <exception cref="LeaseLostException">Another worker has taken the message over; what was learnt here is left to it.</exception>
    internal async Task<WorkOutcome> SettleAsync(
        WorkItem item, QueuedMessage message, SendEffect effect, OutboundRoute route, SendOutcome outcome, CancellationToken ct, Passage? passage = null)
    {
        await using var tx = database.Begin(Actor.System(item.TenantId));
        if (passage is not null)
        {
            await circuits.LeaveAsync(tx, passage, outcome is SendOutcome.NotSent or SendOutcome.Unknown ? ServiceVerdict.Broken : ServiceVerdict.Healthy, Why(outcome), ct);
        }

        var next = outcome switch
        {
            SendOutcome.Accepted accepted => await AcceptedAsync(tx, message, effect, route, accepted, ct),
            SendOutcome.Rejected rejected => await RejectedAsync(tx, message, effect, route, rejected, ct),
            SendOutcome.Throttled throttled => await ThrottledAsync(tx, message, effect, route, throttled.RetryAfter, ct),
            SendOutcome.NotSent notSent => await NotSentAsync(tx, message, effect, route, notSent.Error, Delay(effect.Attempts), ct),
            SendOutcome.Unknown unknown => await UnknownAsync(tx, message, effect, route, unknown, ct),
            _ => throw new ArgumentOutOfRangeException(nameof(outcome)),
        };
        item.Settle(tx, next);
        await tx.CommitAsync(ct);
        return WorkOutcome.Settled;
    }

    /// <summary>Nothing more can be learnt.</summary>
    internal async Task<WorkOutcome> AbandonAsync(Transaction tx, WorkItem item, QueuedMessage message, SendEffect effect, string why, CancellationToken ct)
    {
        await GiveUpAsync(tx, message, effect, "abandoned", "unknown", why, ct);
        item.Settle(tx, new WorkOutcome.Done());
        await tx.CommitAsync(ct);
        return WorkOutcome.Settled;
    }

    /// <summary>It has surely not left, and will not.</summary>
    internal async Task FailAsync(Transaction tx, QueuedMessage message, SendEffect effect, OutboundRoute? route, string code, string error, CancellationToken ct)
    {
        outbound.Failed(tx, effect.OutboundMessageId, route?.Provider.Name ?? "none", code, error);
        if (effect.What.BudgetDate is { } day)
        {
            budgets.Refund(tx, message.ContactId, day);
        }

        await GiveUpAsync(tx, message, effect, "rejected", code, error, ct);
    }

    /// <summary>It has not left, and is not tried before then.</summary>
    internal void Rest(Transaction tx, SendEffect effect, DateTimeOffset until) => attempts.RetryAt(tx, effect.OutboundMessageId, until);

    /// <summary>The work that was to send it is given up. Whether a call that was never answered has reached anybody, nobody will ask any more.</summary>
    internal async Task DieAsync(Transaction tx, QueuedMessage message, SendEffect effect, string error, CancellationToken ct)
    {
        attempts.GiveUp(tx, effect.OutboundMessageId);
        if (effect.NeedsProbe)
        {
            outbound.Waiting(tx, effect.OutboundMessageId, "unknown", error);
            await GiveUpAsync(tx, message, effect, "abandoned", "unknown", error, ct);
            return;
        }

        await FailAsync(tx, message, effect, await channels.FindAsync(tx, effect.What.ChannelId, ct), "given_up", error, ct);
    }

    private async Task<WorkOutcome> AcceptedAsync(Transaction tx, QueuedMessage message, SendEffect effect, OutboundRoute route, SendOutcome.Accepted accepted, CancellationToken ct)
    {
        var now = clock.GetUtcNow();
        effects.Settle(tx, effect, "accepted", new { accepted.ExternalId }, null);
        tx.Post(QueueActions.Sql.Sent, tx.TenantId, message.Id, effect.MessageId, now);
        events.Append(tx, new NewEvent("message.sent", "conversation", message.ConversationContextId, new
        {
            message_id = effect.MessageId,
            queue_id = message.Id,
            outbound_message_id = effect.OutboundMessageId,
            role = message.AgentId,
            text = effect.What.Text,
            provider = route.Provider.Name,
            external_id = accepted.ExternalId,
        }));
        tx.Gather();
        var taken = outbound.AcceptedAsync(tx, route.Channel.Id, effect.OutboundMessageId, route.Provider.Name, accepted, ct);
        var moved = conversations.UpdateDeliveryAsync(tx, effect.MessageId, new DeliveryUpdate("sent", now) { ProviderMessageId = accepted.ExternalId }, ct);
        await tx.AskAsync(ct);
        await moved;
        var settled = await taken;
        if (settled.DeliveryStatus is "delivered" or "read" or "failed")
        {
            await ReportedAsync(tx, message, effect, settled, now, ct);
        }

        return new WorkOutcome.Done();
    }

    /// <summary>The delivery report was here before us.</summary>
    private async Task ReportedAsync(Transaction tx, QueuedMessage message, SendEffect effect, SettledOutbound settled, DateTimeOffset now, CancellationToken ct)
    {
        var line = settled.DeliveryStatus == "failed" ? "failed" : "delivered";
        var update = new DeliveryUpdate(line, now) { ErrorCode = settled.ErrorCode, ErrorMessage = settled.DeliveryError };
        if (await conversations.UpdateDeliveryAsync(tx, effect.MessageId, update, ct))
        {
            events.Append(tx, new NewEvent($"message.{line}", "conversation", message.ConversationContextId, new
            {
                message_id = effect.MessageId,
                outbound_message_id = effect.OutboundMessageId,
                error_code = settled.ErrorCode,
                error = settled.DeliveryError,
            }));
        }
    }

    private async Task<WorkOutcome> RejectedAsync(Transaction tx, QueuedMessage message, SendEffect effect, OutboundRoute route, SendOutcome.Rejected rejected, CancellationToken ct)
    {
        if (rejected.OptedOut)
        {
            await contacts.SetConsentAsync(tx, message.ContactId, ChannelTypes.Identity(route.Channel.ChannelType), optedOut: true, rejected.Code.Replace('_', ':'), ct);
        }

        if (rejected.Gone)
        {
            channels.DisableOutbound(tx, route.Channel.Id);
        }

        attempts.GiveUp(tx, effect.OutboundMessageId);
        await FailAsync(tx, message, effect, route, rejected.Code, rejected.Message, ct);
        return new WorkOutcome.Done();
    }

    private async Task<WorkOutcome> NotSentAsync(Transaction tx, QueuedMessage message, SendEffect effect, OutboundRoute route, string error, TimeSpan wait, CancellationToken ct)
    {
        if (effect.Attempts >= options.Value.MaxAttempts)
        {
            return await ExhaustedAsync(tx, message, effect, route, error, ct);
        }

        Wait(tx, effect, error, wait);
        return new WorkOutcome.Retry(error, wait);
    }

    /// <summary>
    /// No attempt: the provider has looked at nothing but how many there are. Others of the conversation wait behind this message, so it comes back soon
    /// whatever the provider says, and not at the same moment as all others that were put off.
    /// </summary>
    private async Task<WorkOutcome> ThrottledAsync(Transaction tx, QueuedMessage message, SendEffect effect, OutboundRoute route, TimeSpan retryAfter, CancellationToken ct)
    {
        const string Error = "The provider asked for a pause.";
        if (clock.GetUtcNow() - effect.FirstAttemptAt > MaxThrottled)
        {
            return await ExhaustedAsync(tx, message, effect, route, Error, ct);
        }

        var wait = TimeSpan.FromSeconds(Math.Clamp(retryAfter.TotalSeconds, options.Value.RetrySeconds, MaxDelay.TotalSeconds)) * (1 + (Random.Shared.NextDouble() / 4));
        effects.Uncount(tx, effect);
        Wait(tx, effect, Error, wait);
        return new WorkOutcome.Snooze(wait);
    }

    private async Task<WorkOutcome> ExhaustedAsync(Transaction tx, QueuedMessage message, SendEffect effect, OutboundRoute route, string error, CancellationToken ct)
    {
        attempts.GiveUp(tx, effect.OutboundMessageId);
        await FailAsync(tx, message, effect, route, "exhausted", error, ct);
        return new WorkOutcome.Done();
    }

    private void Wait(Transaction tx, SendEffect effect, string error, TimeSpan wait)
    {
        effects.Leave(tx, effect, "not_sent", error);
        outbound.Waiting(tx, effect.OutboundMessageId, "pending", error);
        attempts.RetryAt(tx, effect.OutboundMessageId, clock.GetUtcNow() + wait);
    }

    private async Task<WorkOutcome> UnknownAsync(Transaction tx, QueuedMessage message, SendEffect effect, OutboundRoute route, SendOutcome.Unknown unknown, CancellationToken ct)
    {
        outbound.Waiting(tx, effect.OutboundMessageId, "unknown", unknown.Error);
        if (!route.Provider.CanBeAsked || effect.Probes >= options.Value.MaxProbes)
        {
            await GiveUpAsync(tx, message, effect, "abandoned", "unknown", unknown.Error, ct);
            return new WorkOutcome.Done();
        }

        effects.Leave(tx, effect, "unknown", unknown.Error);
        return new WorkOutcome.Retry(unknown.Error, Delay(effect.Probes + 1));
    }

    private async Task GiveUpAsync(Transaction tx, QueuedMessage message, SendEffect effect, string status, string code, string error, CancellationToken ct)
    {
        effects.Settle(tx, effect, status, new { code }, error);
        tx.Post(QueueActions.Sql.Fail, tx.TenantId, message.Id, code);
        await conversations.UpdateDeliveryAsync(tx, effect.MessageId, new DeliveryUpdate("failed", clock.GetUtcNow()) { ErrorCode = code.Clip(50), ErrorMessage = error }, ct);
        events.Append(tx, new NewEvent("message.failed", "conversation", message.ConversationContextId, new
        {
            message_id = effect.MessageId,
            queue_id = message.Id,
            outbound_message_id = effect.OutboundMessageId,
            error_code = code,
            error,
        }));
    }

    private static string? Why(SendOutcome outcome) => outcome switch
    {
        SendOutcome.NotSent notSent => notSent.Error,
        SendOutcome.Unknown unknown => unknown.Error,
        _ => null,
    };

    /// <summary>2, 4, 8 … seconds by default, at most five minutes.</summary>
    private TimeSpan Delay(int attempt)
    {
        var seconds = options.Value.RetrySeconds * Math.Pow(2, Math.Clamp(attempt, 1, 20) - 1);
        return TimeSpan.FromSeconds(Math.Min(seconds, MaxDelay.TotalSeconds));
    }
}
