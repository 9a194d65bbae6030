using AgentPlatform.Billing.Catalogue;
using AgentPlatform.Billing.Payments.Providers;
using AgentPlatform.Billing.Subscriptions;
using AgentPlatform.Billing.Usage;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Work;

namespace AgentPlatform.Billing.Payments;

/// <summary>Gives what was paid for, and takes it away when the money is given back.</summary>
internal sealed class Fulfilment(
    SubscriptionStore subscriptions, UsageRecords usage, AddOnStore addOns, PaymentStore payments, PlacePayment place, EndSubscription end, WorkQueue work, TimeProvider clock)
{
    /// <summary>Null when it is done; else why it cannot be, and the money has to go back.</summary>
    internal Task<string?> RunAsync(Transaction tx, Payment payment, PaymentAnswer.Paid paid, CancellationToken ct) => payment.Purpose switch
    {
        "subscription" when payment.SubscriptionId is null => BeginAsync(tx, payment, paid, ct),
        "subscription" or "renewal" => ContinueAsync(tx, payment, paid, ct),
        "pack" => GivePackAsync(tx, payment, ct),
        "add_on" => GiveAddOnAsync(tx, payment, ct),
        "overage" => ChargedAsync(tx, payment),
        _ => throw new InvalidOperationException($"Nothing is known of {payment.Purpose}."),
    };

    /// <summary>The money is given back. A subscription ends with that of its latest period.</summary>
    internal async Task UndoAsync(Transaction tx, Payment payment, CancellationToken ct)
    {
        tx.Post(Sql.ExpirePack, tx.TenantId, payment.Id);
        tx.Post(Sql.CancelAddOn, tx.TenantId, payment.Id, clock.GetUtcNow());
        if (payment is { Purpose: "subscription" or "renewal", SubscriptionId: { } id } && await tx.SingleAsync<bool>(Sql.IsLatest, [tx.TenantId, id, payment.Id], ct)
            && await subscriptions.LockCurrentAsync(tx, ct) is { } current && current.Id == id)
        {
            await end.RunAsync(tx, current, "refunded", ct);
        }
    }

    private async Task<string?> BeginAsync(Transaction tx, Payment payment, PaymentAnswer.Paid paid, CancellationToken ct)
    {
        if (await subscriptions.LockCurrentAsync(tx, ct) is not null)
        {
            return "The workspace has another subscription.";
        }

        var (terms, now) = (payment.What.Terms!, clock.GetUtcNow());
        var begun = await subscriptions.CreateAsync(tx, terms, payment.Provider, now, Frequencies.NextEnd(now, now, terms.PaymentFrequency), trialEnd: null, ct);
        payments.BelongsTo(tx, payment.Id, begun.Id);
        Remember(tx, begun.Id, paid);
        usage.Open(tx, begun);
        place.Watch(tx, begun.Id);
        return null;
    }

    /// <summary>The next period: from the end of the last one, or from now on after a trial.</summary>
    private async Task<string?> ContinueAsync(Transaction tx, Payment payment, PaymentAnswer.Paid paid, CancellationToken ct)
    {
        var (item, now) = (payment.What, clock.GetUtcNow());
        if (await subscriptions.LockCurrentAsync(tx, ct) is not { } s || s.Id != payment.SubscriptionId || s.CurrentPeriodEnd != item.PeriodEnd)
        {
            return "The period was paid already, or the subscription is over.";
        }

        if (await usage.CloseAsync(tx, s, ct) is { } used && item.Overage is { } overage)
        {
            usage.Charged(tx, used.Id, overage.Cents);
        }

        var (anchor, start) = s.IsTrial ? (now, now) : (s.AnchoredAt, s.CurrentPeriodEnd);
        subscriptions.Advance(tx, s, anchor, start, Frequencies.NextEnd(anchor, start, s.PaymentFrequency));
        Remember(tx, s.Id, paid);
        usage.Open(tx, (await subscriptions.FindAsync(tx, s.Id, ct))!);
        place.WakeClock(tx, s.Id);
        return null;
    }

    private async Task<string?> GivePackAsync(Transaction tx, Payment payment, CancellationToken ct)
    {
        var (item, now, id) = (payment.What, clock.GetUtcNow(), clock.NewId());
        var expires = item.Pack!.ValidForDays is { } days ? now.AddDays(days) : item.PeriodEnd!.Value;
        if (expires <= now || await subscriptions.LockCurrentAsync(tx, ct) is not { } s)
        {
            return "The pack was paid when its time was over.";
        }

        tx.Post(Sql.GivePack, tx.TenantId, id, item.Pack.Id, payment.Id, item.Pack.Executions, payment.Amount, now, expires);
        usage.Bought(tx, s.Id, item.Pack.Executions ?? 0);
        work.Enqueue(tx, new NewWork(ExpirePack.WorkKind, id.ToString(), new PackWork(id)) { RunAt = expires });
        return null;
    }

    private async Task<string?> GiveAddOnAsync(Transaction tx, Payment payment, CancellationToken ct)
    {
        if (await subscriptions.LockCurrentAsync(tx, ct) is not { } s || s.Id != payment.SubscriptionId || s.CurrentPeriodEnd != payment.What.PeriodEnd || s.CurrentPeriodEnd <= clock.GetUtcNow())
        {
            return "The add-on was paid when its period was over.";
        }

        addOns.Add(tx, s.Id, payment.Id, payment.What.AddOn!);
        return null;
    }

    private Task<string?> ChargedAsync(Transaction tx, Payment payment)
    {
        usage.Charged(tx, payment.What.Overage!.UsageRecordId, payment.What.Overage.Cents);
        return Task.FromResult<string?>(null);
    }

    private void Remember(Transaction tx, Guid subscriptionId, PaymentAnswer.Paid paid)
    {
        if (paid is { CustomerId: { } customer, MethodId: { } method })
        {
            subscriptions.Remember(tx, subscriptionId, customer, method);
        }
    }

    private static class Sql
    {
        internal const string GivePack =
            """
            INSERT INTO billing.user_execution_packs (tenant_id, id, pack_id, payment_id, executions_included, executions_remaining, price_paid_cents, purchased_at, expires_at)
            VALUES ($1, $2, $3, $4, $5, $5, $6, $7, $8)
            """;

        internal const string ExpirePack = "UPDATE billing.user_execution_packs SET status = 'expired' WHERE tenant_id = $1 AND payment_id = $2 AND status = 'active'";

        internal const string CancelAddOn =
            "UPDATE billing.user_agent_add_ons SET status = 'cancelled', cancelled_at = $3 WHERE tenant_id = $1 AND payment_id = $2 AND status = 'active'";

        internal const string IsLatest =
            """
            SELECT NOT EXISTS (
                SELECT FROM billing.payments
                WHERE tenant_id = $1 AND subscription_id = $2 AND purpose IN ('subscription', 'renewal') AND status = 'success' AND completed_at > (
                    SELECT completed_at FROM billing.payments WHERE tenant_id = $1 AND id = $3))
            """;
    }
}
