using AgentPlatform.Billing.Catalogue;
using AgentPlatform.Billing.Subscriptions;
using AgentPlatform.Billing.Usage;
using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Work;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Billing.Payments;

/// <summary>What is to be paid: which row.</summary>
internal sealed record PaymentWork(Guid Id);

/// <summary>Writes a payment down, with its tax and what it is for, and leaves making it to work.</summary>
internal sealed class PlacePayment(
    PaymentStore payments, Buyers buyers, AddOnStore addOns, UsageRecords usage, EventStore events, WorkQueue work, IOptions<BillingOptions> options, TimeProvider clock)
{
    internal const string WorkKind = "billing.pay";

    /// <summary>A new subscription's first period, with the setup fee.</summary>
    internal Task<Payment> FirstAsync(Transaction tx, SubscriptionTerms terms, string provider, CancellationToken ct) => AddAsync(
        tx,
        new Payment { Purpose = "subscription", Description = $"Subscription {terms.Tier}, {terms.PaymentFrequency}", Provider = provider, Currency = terms.Currency },
        new PaymentItem([new($"Subscription {terms.Tier}, {terms.PaymentFrequency}", terms.PriceCents), .. SetupFee(terms.SetupFeeCents)]) { Terms = terms },
        ct);

    /// <summary>
    /// What follows a subscription's period: with its add-ons, what was run over the limits, and after a trial the setup fee. Asked of the saved method, unless
    /// somebody is <paramref name="atThePage"/> or none is saved.
    /// </summary>
    internal async Task<Payment> NextPeriodAsync(Transaction tx, Subscription s, bool atThePage, CancellationToken ct)
    {
        var name = $"Subscription {s.Tier}, {s.PaymentFrequency}";
        var active = await addOns.ActiveAsync(tx, s.Id, ct);
        var overage = OverageOf(s, await usage.OpenOneAsync(tx, s.Id, ct));
        PaymentLine[] lines =
        [
            new(name, s.PriceCents), .. SetupFee(s.IsTrial ? s.SetupFeeCents : 0), .. active.Select(a => new PaymentLine($"{a.Quantity} × {a.AddOn}", checked(a.Quantity * a.PriceCents))),
            .. overage is null ? Array.Empty<PaymentLine>() : [new($"{overage.Executions} executions over the limit", overage.Cents)],
        ];
        return await AddAsync(tx, Of(s, s.IsTrial ? "subscription" : "renewal", name, byItself: !atThePage), new PaymentItem(lines) { PeriodEnd = s.CurrentPeriodEnd, Overage = overage }, ct);
    }

    /// <summary>What was run over the limits of a period that no other follows.</summary>
    internal async Task OverageAsync(Transaction tx, Subscription s, UsageRecord used, CancellationToken ct)
    {
        if (OverageOf(s, used) is { } overage)
        {
            var name = $"{overage.Executions} executions over the limit";
            await AddAsync(tx, Of(s, "overage", name, byItself: true), new PaymentItem([new(name, overage.Cents)]) { Overage = overage }, ct);
        }
    }

    internal Task<Payment> PackAsync(Transaction tx, Subscription s, ExecutionPack pack, CancellationToken ct) => AddAsync(
        tx, Of(s, "pack", pack.Name, byItself: true),
        new PaymentItem([new(pack.Name, pack.PriceCents)]) { Pack = new(pack.Id, pack.ExecutionCount, pack.ValidForDays), PeriodEnd = s.CurrentPeriodEnd }, ct);

    internal Task<Payment> AddOnAsync(Transaction tx, Subscription s, Tier tier, AgentAddOn addOn, int quantity, CancellationToken ct)
    {
        var sold = new SoldAddOn(addOn.Id, quantity, addOn.AdditionalAgents, Frequencies.Price(tier, addOn.MonthlyPriceCents, s.PaymentFrequency));
        var amount = Frequencies.Prorated(checked(sold.PriceCents * quantity), s.CurrentPeriodStart, s.CurrentPeriodEnd, clock.GetUtcNow());
        var name = $"{quantity} × {addOn.Name}, to the end of the period";
        return AddAsync(tx, Of(s, "add_on", name, byItself: true), new PaymentItem([new(name, amount)]) { AddOn = sold, PeriodEnd = s.CurrentPeriodEnd }, ct);
    }

    /// <summary>A subscription's clock begins, or goes on.</summary>
    internal void Watch(Transaction tx, Guid subscriptionId) =>
        work.Enqueue(tx, new NewWork(SubscriptionClock.WorkKind, subscriptionId.ToString(), new ClockWork(subscriptionId)));

    /// <summary>The clock looks at a subscription again, for its due times have changed.</summary>
    internal void WakeClock(Transaction tx, Guid subscriptionId) => work.Hasten(tx, SubscriptionClock.WorkKind, subscriptionId.ToString());

    private static IEnumerable<PaymentLine> SetupFee(int cents) => cents > 0 ? [new("Setup", cents)] : [];

    private static SoldOverage? OverageOf(Subscription s, UsageRecord? used) =>
        used is { OverageExecutions: > 0 } && s.OverageCents is { } cents ? new(used.Id, used.OverageExecutions, used.OverageExecutions * cents) : null;

    private static Payment Of(Subscription s, string purpose, string description, bool byItself) => new()
    {
        SubscriptionId = s.Id,
        Purpose = purpose,
        Description = description,
        Provider = s.Provider,
        Currency = s.Currency,
        CustomerId = s.CustomerId,
        MethodId = byItself ? s.MethodId : null,
    };

    private async Task<Payment> AddAsync(Transaction tx, Payment draft, PaymentItem item, CancellationToken ct)
    {
        var amount = item.Lines.Sum(l => l.Amount);
        var gst = Gst.Of(amount, draft.Currency, (await buyers.FindAsync(tx, ct))?.State, options.Value);
        var payment = await payments.AddAsync(
            tx,
            draft with { Item = Json.Of(item), Amount = amount, GstPercent = gst.Percent, Cgst = gst.Cgst, Sgst = gst.Sgst, Igst = gst.Igst, GstAmount = gst.Total },
            ct);
        events.Append(tx, new NewEvent("payment.placed", "payment", payment.Id, new { payment.Purpose, payment.Total, payment.Currency, payment.SubscriptionId }));
        work.Enqueue(tx, new NewWork(WorkKind, payment.Id.ToString(), new PaymentWork(payment.Id)) { Priority = 20 });
        return payment;
    }
}
