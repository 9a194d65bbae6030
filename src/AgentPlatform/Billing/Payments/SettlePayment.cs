using AgentPlatform.Billing.Invoices;
using AgentPlatform.Billing.Payments.Providers;
using AgentPlatform.Billing.Subscriptions;
using AgentPlatform.Events;
using AgentPlatform.Postgres;
using AgentPlatform.Work;

namespace AgentPlatform.Billing.Payments;

/// <summary>
/// Writes down what a provider has said of a payment, with all that follows: what was bought, the invoice, a refund. Only a definite word settles; the same
/// word a second time changes nothing.
/// </summary>
internal sealed class SettlePayment(
    PaymentStore payments, SubscriptionStore subscriptions, Fulfilment fulfilment, Refunds refunds, IssueInvoice invoices, EventStore events, TimeProvider clock)
{
    internal const string Mismatch = "amount_mismatch";

    /// <summary>Calls that surely came to nothing, before it is given up.</summary>
    private const int MaxAttempts = 10;

    /// <summary>Bank debits may be on their way for two weeks; and no outage of a provider lasts longer.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromDays(15);

    /// <summary>Of a page whose address, and so whose end, was lost.</summary>
    private static readonly TimeSpan LongestPage = TimeSpan.FromDays(1);

    private static readonly TimeSpan AfterExpiry = TimeSpan.FromHours(1);

    /// <param name="began">The answer is to a call, and not to a question.</param>
    internal async Task<WorkOutcome> RunAsync(Transaction tx, Guid id, PaymentAnswer answer, bool began, CancellationToken ct)
    {
        if (await payments.LockAsync(tx, id, ct) is not { } payment)
        {
            return new WorkOutcome.Done();
        }

        if (answer is PaymentAnswer.Paid paid)
        {
            await PaidAsync(tx, payment, paid, ct);
            return new WorkOutcome.Done();
        }

        if (payment.Status != "pending")
        {
            // Somebody noticed us of something, and the provider cannot be asked what.
            return answer is PaymentAnswer.Unavailable(var error) ? new WorkOutcome.Retry(error) : new WorkOutcome.Done();
        }

        var now = clock.GetUtcNow();
        if (Verdict(payment, answer, now) is { } verdict)
        {
            await FailAsync(tx, payment, verdict.Code, verdict.Reason, ct);
            return new WorkOutcome.Done();
        }

        return new WorkOutcome.Snooze(Wait(tx, payment, answer, began, now));
    }

    /// <summary>The caller has locked it. A subscription whose period it was to pay is past due.</summary>
    internal async Task FailAsync(Transaction tx, Payment payment, string code, string reason, CancellationToken ct)
    {
        payments.Fail(tx, payment.Id, code, reason);
        events.Append(tx, new NewEvent("payment.failed", "payment", payment.Id, new { code, reason, payment.Purpose, payment.SubscriptionId }));
        if (payment is { Purpose: "renewal", SubscriptionId: { } id }
            && await subscriptions.LockCurrentAsync(tx, ct) is { Status: "active" } subscription && subscription.Id == id && subscription.CurrentPeriodEnd <= clock.GetUtcNow())
        {
            subscriptions.Move(tx, id, "past_due");
        }
    }

    /// <summary>Pure. Why it has failed for good; null: it has not.</summary>
    private static (string Code, string Reason)? Verdict(Payment payment, PaymentAnswer answer, DateTimeOffset now) => answer switch
    {
        PaymentAnswer.Refused refused => (refused.Code, refused.Reason),
        PaymentAnswer.NotThere when payment.Attempts >= MaxAttempts => ("not_taken", "The provider did not take it."),
        PaymentAnswer.Open { Processing: false } open when now > (payment.ExpiresAt ?? open.ExpiresAt ?? payment.CreatedAt + LongestPage) + AfterExpiry => ("expired", "Nobody paid in time."),
        _ when now > payment.CreatedAt + Patience => ("unanswered", payment.LastError ?? "It came to no end."),
        _ => null,
    };

    /// <summary>Notes what is known, and says when to go on.</summary>
    private TimeSpan Wait(Transaction tx, Payment payment, PaymentAnswer answer, bool began, DateTimeOffset now)
    {
        var age = now - payment.CreatedAt;
        var pause = age < TimeSpan.FromMinutes(5) ? TimeSpan.FromSeconds(10) : age < TimeSpan.FromHours(1) ? TimeSpan.FromMinutes(1) : TimeSpan.FromMinutes(10);
        switch (answer)
        {
            case PaymentAnswer.Open open:
                payments.Opened(tx, payment.Id, open);
                return pause;
            case PaymentAnswer.Unknown(var error):
                payments.Leave(tx, payment.Id, "calling", error);
                return pause;
            case PaymentAnswer.Unavailable(var error):
                payments.Leave(tx, payment.Id, began ? "idle" : payment.CallStatus, error);
                return pause;
            case PaymentAnswer.NotThere when payment.CallStatus == "calling":
                payments.Leave(tx, payment.Id, "idle", payment.LastError);
                return TimeSpan.FromSeconds(1);
            default:
                payments.Leave(tx, payment.Id, payment.CallStatus, "The provider does not know it.");
                return pause;
        }
    }

    /// <summary>The only place where what was paid is compared with what was asked. The invoice comes last: its number holds up all others.</summary>
    private async Task PaidAsync(Transaction tx, Payment payment, PaymentAnswer.Paid paid, CancellationToken ct)
    {
        var isGivenBack = paid.RefundedTotal >= paid.Total;
        if (payment.Status is "pending" or "failed")
        {
            if (paid.Total != payment.Total || paid.Currency != payment.Currency)
            {
                await FailAsync(tx, payment, Mismatch, $"{paid.Total} {paid.Currency} were paid in place of {payment.Total} {payment.Currency}: {paid.TransactionId}.", ct);
                return;
            }

            payments.Succeed(tx, payment.Id, paid);
            events.Append(tx, new NewEvent("payment.succeeded", "payment", payment.Id, new { payment.Purpose, payment.Total, payment.Currency, paid.TransactionId }));
            var settled = (await payments.FindAsync(tx, payment.Id, ct))!;
            var why = isGivenBack ? null : await fulfilment.RunAsync(tx, settled, paid, ct);
            if (isGivenBack || why is not null)
            {
                // It gave nothing: when the money goes back, nothing is taken away.
                payments.BelongsTo(tx, payment.Id, null);
            }

            if (why is not null)
            {
                await refunds.RequestAsync(tx, settled, why, ct);
            }

            await invoices.ForAsync(tx, settled, ct);
        }

        if (isGivenBack && payment.Status != "refunded")
        {
            await refunds.NoticedAsync(tx, (await payments.FindAsync(tx, payment.Id, ct))!, ct);
        }
    }
}
