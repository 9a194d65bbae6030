using AgentPlatform.Billing.Payments;
using AgentPlatform.Postgres;
using AgentPlatform.Work;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Billing.Subscriptions;

/// <summary>What a subscription's clock is for.</summary>
internal sealed record ClockWork(Guid SubscriptionId);

/// <summary>One item of work a subscription, which sleeps until something falls due: the end of a trial, of a period, or of patience.</summary>
internal sealed class SubscriptionClock(
    Database database, SubscriptionStore subscriptions, PaymentStore payments, PlacePayment place, EndSubscription end, IOptions<BillingOptions> options, TimeProvider clock) : IWorkHandler
{
    internal const string WorkKind = "billing.subscription";

    public async Task<WorkOutcome> HandleAsync(WorkItem item, CancellationToken ct)
    {
        var id = item.Read<ClockWork>().SubscriptionId;
        await using var tx = database.Begin(Actor.System(item.TenantId));
        if (await subscriptions.LockCurrentAsync(tx, ct) is not { } subscription || subscription.Id != id)
        {
            return new WorkOutcome.Done();
        }

        var next = await RunAsync(tx, subscription, ct);
        item.Settle(tx, next);
        await tx.CommitAsync(ct);
        return WorkOutcome.Settled;
    }

    private async Task<WorkOutcome> RunAsync(Transaction tx, Subscription subscription, CancellationToken ct)
    {
        var now = clock.GetUtcNow();
        switch (Due.Of(subscription, await payments.PeriodAskedAsync(tx, ct), now, TimeSpan.FromDays(options.Value.GraceDays)))
        {
            case Due.End over:
                await end.RunAsync(tx, subscription, over.Reason, ct);
                return new WorkOutcome.Done();
            case Due.Pay:
                await place.NextPeriodAsync(tx, subscription, atThePage: false, ct);
                if (!subscription.PaysByItself && subscription.Status != "past_due")
                {
                    // Nobody can say when somebody will come to the payment page.
                    subscriptions.Move(tx, subscription.Id, "past_due");
                }

                return new WorkOutcome.Snooze(Due.Again);
            case Due.Nothing nothing:
                return new WorkOutcome.Snooze(nothing.Until - now);
            default:
                throw new InvalidOperationException("There is nothing else.");
        }
    }
}
