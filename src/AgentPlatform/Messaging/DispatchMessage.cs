using AgentPlatform.Channels;
using AgentPlatform.Conversations;
using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Messaging.Pacing;
using AgentPlatform.Postgres;
using AgentPlatform.Resilience;
using AgentPlatform.Work;
using Microsoft.Extensions.Logging;

namespace AgentPlatform.Messaging;

/// <summary>
/// The orchestrator: decides about one queued message and, if it is to leave, records the effect, calls the provider outside of any
/// transaction, and settles. Whoever comes back to an effect that was never settled asks the provider before anything else.
/// </summary>
internal sealed class DispatchMessage(
    Database database,
    SendFacts facts,
    SendEffects effects,
    SettleSend settle,
    Budgets budgets,
    OutboundLog outbound,
    ChannelDirectory channels,
    ConversationLog conversations,
    EventStore events,
    CircuitBreaker circuits,
    WorkQueue work,
    TimeProvider clock,
    ILogger<DispatchMessage> log) : IWorkHandler
{
    /// <summary>A worker that was stopped for longer than this between record and call may have lost its lease, and does not call.</summary>
    private static readonly TimeSpan MaxPause = TimeSpan.FromSeconds(2);

    public async Task<WorkOutcome> HandleAsync(WorkItem item, CancellationToken ct)
    {
        await using var tx = database.Begin(Actor.System(item.TenantId));
        var payload = item.Read<DispatchPayload>();
        tx.Gather();
        var (locking, asking) = (tx.FindAsync<QueuedMessage>(QueueActions.Sql.Lock, [item.TenantId, payload.QueueId], ct), facts.PartiesAsync(tx, payload.ConversationId, payload.ContactId, ct));
        await tx.AskAsync(ct);
        var (message, parties) = (await locking, await asking);
        if (message is null || message.IsOver)
        {
            return new WorkOutcome.Done();
        }

        // The queue's clock is the database's: an item that comes early by ours goes back, or the hour it waits for would not hold.
        if (message.Status == "held" && message.ScheduledFor - clock.GetUtcNow() is { Ticks: > 0 } early)
        {
            return new WorkOutcome.Snooze(early);
        }

        // Who has it go on enqueues it again.
        if (message.HoldReason == SendDecision.Paused)
        {
            return new WorkOutcome.Done();
        }

        var effect = message.Status == "approved" ? await effects.FindAsync(tx, message.Id, ct) : null;
        if (effect is { NeedsProbe: true })
        {
            return await ProbeAsync(tx, item, message, effect, ct);
        }

        var known = await facts.LoadAsync(tx, message, parties, effect?.What.ChannelId, ct);
        var decision = effect is null ? SendDecision.Decide(known, clock.GetUtcNow()) : SendDecision.DecideAgain(known, clock.GetUtcNow());
        return decision switch
        {
            SendDecision.Hold rest when effect is not null => await RestAsync(tx, item, message, effect, rest, ct),
            SendDecision.Hold hold => await HoldAsync(tx, item, message, hold, ct),
            SendDecision.Supersede supersede => await SupersedeAsync(tx, item, message, supersede, ct),
            SendDecision.Refuse refuse => await RefuseAsync(tx, item, message, effect, known, refuse, ct),
            _ when known.IsInternal => await ShowAsync(tx, item, message, known, ct),
            _ => await SendAsync(tx, item, message, effect, known, ct),
        };
    }

    public async Task OnDeadAsync(WorkItem item, string error, Transaction tx, CancellationToken ct)
    {
        if (await tx.FindAsync<QueuedMessage>(QueueActions.Sql.Lock, [item.TenantId, item.Read<DispatchPayload>().QueueId], ct) is not { IsOver: false } message)
        {
            return;
        }

        if (await effects.FindAsync(tx, message.Id, ct) is { } effect)
        {
            await settle.DieAsync(tx, message, effect, error, ct);
            return;
        }

        tx.Post(QueueActions.Sql.Fail, item.TenantId, message.Id, error);
        events.Append(tx, new NewEvent("message.failed", "conversation", message.ConversationContextId, new { queue_id = message.Id, error_code = "given_up", error }));
    }

    private async Task<WorkOutcome> SendAsync(Transaction tx, WorkItem item, QueuedMessage message, SendEffect? effect, Facts known, CancellationToken ct)
    {
        var route = known.Route!;
        var passage = await circuits.EnterAsync(tx, known.Troubled, $"{route.Provider.Name}/{route.Channel.Id}", MaxPause + route.Provider.Patience, ct);
        if (passage.Wait is { } wait)
        {
            return await PostponeAsync(tx, item, message, passage.Service, wait, ct);
        }

        var calling = effect is null ? Approve(tx, message, known) : Again(tx, effect);
        await tx.CommitAsync(ct);
        if (clock.GetUtcNow() - calling.LastAttemptAt > MaxPause)
        {
            return await settle.SettleAsync(item, message, calling, route, new SendOutcome.NotSent("The worker was held up before the call."), ct);
        }

        var outcome = await route.Provider.SendAsync(Outgoing(route, message, calling, []), ct);
        return await settle.SettleAsync(item, message, calling, route, outcome, ct, passage);
    }

    /// <summary>The provider failed too often lately and is left alone for a while: not an attempt. Said once, however long it lasts.</summary>
    private async Task<WorkOutcome> PostponeAsync(Transaction tx, WorkItem item, QueuedMessage message, string service, TimeSpan wait, CancellationToken ct)
    {
        var what = new { queue_id = message.Id, reason = "circuit_open", service, until = clock.GetUtcNow() + wait };
        events.Append(tx, new NewEvent("message.postponed", "conversation", message.ConversationContextId, what) { EventId = message.Id });
        item.Settle(tx, new WorkOutcome.Snooze(wait));
        await tx.CommitAsync(ct);
        return WorkOutcome.Settled;
    }

    /// <summary>The decision to send, with everything a crash in the next moment must not lose.</summary>
    private SendEffect Approve(Transaction tx, QueuedMessage message, Facts known)
    {
        var (route, conversation, thread) = (known.Route!, known.Conversation!, known.Thread);
        var what = new SendIntent(
            route.Channel.Id, conversation.ParticipantIdentifier, Name(known), known.Text.Text, Subject(known, thread), thread?.ExternalMessageId,
            thread?.References ?? [], known.Budget?.Date);
        var effect = effects.Begin(tx, message.Id, what);
        conversations.Append(tx, new NewMessage(effect.MessageId, conversation.Id, known.Contact!.Id, message.AgentId, "outbound", what.Text) { Status = "pending", AuthorUserId = known.Text.AuthorUserId });
        outbound.Post(tx, new NewOutbound(effect.OutboundMessageId, route.Channel.Id, route.AgentId, route.Channel.ChannelType, what.To, what.Text)
        {
            ContactId = known.Contact.Id,
            ConversationId = conversation.Id,
            MessageId = effect.MessageId,
            InboundMessageId = thread is null ? null : message.InReplyToInboundId,
            ToName = what.ToName,
            Subject = what.Subject,
            ScheduledFor = message.ScheduledFor > message.CreatedAt ? message.ScheduledFor : null,
            Status = "sending",
            TaskId = known.Text.TaskId,
        });
        tx.Post(QueueActions.Sql.Approve, tx.TenantId, message.Id, what.Text, clock.GetUtcNow());
        if (known.Budget is { } budget)
        {
            budgets.Spend(tx, budget);
        }

        return effect;
    }

    private SendEffect Again(Transaction tx, SendEffect effect)
    {
        outbound.Waiting(tx, effect.OutboundMessageId, "sending", null);
        return effects.Again(tx, effect);
    }

    private async Task<WorkOutcome> ProbeAsync(Transaction tx, WorkItem item, QueuedMessage message, SendEffect effect, CancellationToken ct)
    {
        if (await channels.FindAsync(tx, effect.What.ChannelId, ct) is not { } route)
        {
            return await settle.AbandonAsync(tx, item, message, effect, "The channel has been deleted.", ct);
        }

        // A delivery report that named the message has answered the question already.
        if (await outbound.ExternalIdAsync(tx, effect.OutboundMessageId, ct) is { } reported)
        {
            await tx.CommitAsync(ct);
            return await settle.SettleAsync(item, message, effect, route, new SendOutcome.Accepted(reported, Json.Of(new { known_from = "delivery_report" })), ct);
        }

        var known = await outbound.KnownIdsAsync(tx, route.Channel.Id, effect.OutboundMessageId, effect.What.To, effect.FirstAttemptAt, ct);
        effects.Probing(tx, effect);
        await tx.CommitAsync(ct);
        Log.Probing(log, effect.OutboundMessageId, route.Provider.Name);
        var outcome = await route.Provider.ProbeAsync(Outgoing(route, message, effect, known), ct);
        // A worker that lost its lease may still be calling. While its call can be on its way, "unknown to me" says nothing, and nor does silence.
        var arrived = effect.LastAttemptAt + MaxPause + route.Provider.Patience;
        if ((outcome is SendOutcome.NotSent || !route.Provider.CanBeAsked) && arrived - clock.GetUtcNow() is { Ticks: > 0 } early)
        {
            return new WorkOutcome.Snooze(early);
        }

        return await settle.SettleAsync(item, message, effect with { Probes = effect.Probes + 1 }, route, outcome, ct);
    }

    private async Task<WorkOutcome> HoldAsync(Transaction tx, WorkItem item, QueuedMessage message, SendDecision.Hold hold, CancellationToken ct)
    {
        var until = hold.Until.ToUniversalTime();
        tx.Post(QueueActions.Sql.Hold, tx.TenantId, message.Id, hold.Reason, until);
        work.Enqueue(tx, Outbox.Dispatch(DispatchPayload.Of(message), $"{message.Id}@{until.ToUnixTimeMilliseconds()}", message.Priority, until));
        events.Append(tx, new NewEvent("message.held", "conversation", message.ConversationContextId, new { queue_id = message.Id, reason = hold.Reason, until }));
        return await CommitAsync(tx, item, ct);
    }

    /// <summary>
    /// An attempt was made, and the next one falls into hours of rest. As for what is held: nothing of the conversation waits behind it.
    /// </summary>
    private async Task<WorkOutcome> RestAsync(Transaction tx, WorkItem item, QueuedMessage message, SendEffect effect, SendDecision.Hold rest, CancellationToken ct)
    {
        var until = rest.Until.ToUniversalTime();
        var morning = Outbox.Dispatch(DispatchPayload.Of(message), $"{message.Id}@{until.ToUnixTimeMilliseconds()}", message.Priority, until);
        settle.Rest(tx, effect, until);
        if (item.Key == morning.Key)
        {
            // It came early by our clock.
            item.Settle(tx, new WorkOutcome.Snooze(until - clock.GetUtcNow()));
            await tx.CommitAsync(ct);
            return WorkOutcome.Settled;
        }

        work.Enqueue(tx, morning);
        events.Append(tx, new NewEvent("message.postponed", "conversation", message.ConversationContextId, new { queue_id = message.Id, reason = rest.Reason, until }));
        return await CommitAsync(tx, item, ct);
    }

    private async Task<WorkOutcome> SupersedeAsync(Transaction tx, WorkItem item, QueuedMessage message, SendDecision.Supersede supersede, CancellationToken ct)
    {
        tx.Post(QueueActions.Sql.Supersede, tx.TenantId, message.Id, supersede.Reason);
        events.Append(tx, new NewEvent("message.superseded", "conversation", message.ConversationContextId, new { queue_id = message.Id, reason = supersede.Reason }));
        return await CommitAsync(tx, item, ct);
    }

    private async Task<WorkOutcome> RefuseAsync(Transaction tx, WorkItem item, QueuedMessage message, SendEffect? effect, Facts known, SendDecision.Refuse refuse, CancellationToken ct)
    {
        if (effect is not null)
        {
            await settle.FailAsync(tx, message, effect, known.Route, refuse.Reason, "It may not leave any more.", ct);
            return await CommitAsync(tx, item, ct);
        }

        tx.Post(QueueActions.Sql.Fail, tx.TenantId, message.Id, refuse.Reason);
        events.Append(tx, new NewEvent("message.failed", "conversation", message.ConversationContextId, new { queue_id = message.Id, error_code = refuse.Reason }));
        return await CommitAsync(tx, item, ct);
    }

    /// <summary>A conversation held in the platform has no provider: saying it is delivering it.</summary>
    private async Task<WorkOutcome> ShowAsync(Transaction tx, WorkItem item, QueuedMessage message, Facts known, CancellationToken ct)
    {
        var (id, now) = (clock.NewId(), clock.GetUtcNow());
        conversations.Append(tx, new NewMessage(id, message.ConversationContextId, known.Contact!.Id, message.AgentId, "outbound", known.Text.Text)
        {
            Status = "delivered",
            DeliveredAt = now,
            AuthorUserId = known.Text.AuthorUserId,
        });
        tx.Post(QueueActions.Sql.Show, tx.TenantId, message.Id, id, known.Text.Text, now);
        if (known.Budget is { } budget)
        {
            budgets.Spend(tx, budget);
        }

        events.Append(tx, new NewEvent("message.sent", "conversation", message.ConversationContextId, new { message_id = id, queue_id = message.Id, role = message.AgentId, text = known.Text.Text }));
        return await CommitAsync(tx, item, ct);
    }

    private static async Task<WorkOutcome> CommitAsync(Transaction tx, WorkItem item, CancellationToken ct)
    {
        item.Settle(tx, new WorkOutcome.Done());
        await tx.CommitAsync(ct);
        return WorkOutcome.Settled;
    }

    private static OutboundMessage Outgoing(OutboundRoute route, QueuedMessage message, SendEffect effect, IReadOnlyList<string> knownIds)
    {
        var what = effect.What;
        return new OutboundMessage(effect.OutboundMessageId, route.Channel, what.To, what.ToName, what.Text)
        {
            ConversationId = message.ConversationContextId,
            Subject = what.Subject,
            InReplyTo = what.InReplyTo,
            References = what.References,
            StatusCallback = route.StatusCallback(effect.OutboundMessageId),
            FirstAttemptAt = effect.FirstAttemptAt,
            KnownExternalIds = [.. knownIds],
        };
    }

    private static string? Name(Facts known) =>
        $"{known.Contact!.FirstName} {known.Contact.LastName}".Trim() is { Length: > 0 } full ? full : known.Contact.DisplayName;

    private static string? Subject(Facts known, ThreadPosition? thread) =>
        known.Route!.Channel.ChannelType != ChannelTypes.Email
            ? null
            : thread?.Subject is { Length: > 0 } subject
                ? subject.StartsWith("Re:", StringComparison.OrdinalIgnoreCase) ? subject : $"Re: {subject}"
                : known.Text.Subject ?? known.Route.Channel.Name;
}
