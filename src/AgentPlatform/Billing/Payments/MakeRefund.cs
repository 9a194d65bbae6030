using AgentPlatform.Billing.Payments.Providers;
using AgentPlatform.Postgres;
using AgentPlatform.Work;

namespace AgentPlatform.Billing.Payments;

/// <summary>Asks a provider to give a payment back, once: an answer that was lost is asked for. What fails is left to be seen, and to be tried again.</summary>
internal sealed class MakeRefund(Database database, PaymentStore payments, Refunds refunds, PaymentProviders providers, TimeProvider clock) : IWorkHandler
{
    private const int MaxAttempts = 10;

    private static readonly TimeSpan Patience = TimeSpan.FromDays(15);

    private static readonly TimeSpan Pause = TimeSpan.FromMinutes(1);

    public async Task<WorkOutcome> HandleAsync(WorkItem item, CancellationToken ct)
    {
        Payment payment;
        Refund refund;
        var begins = false;
        await using (var tx = database.Begin(Actor.System(item.TenantId)))
        {
            if (await LockAsync(tx, item, ct) is not { } found)
            {
                return new WorkOutcome.Done();
            }

            (payment, refund) = found;
            if (refund.CallStatus == "idle")
            {
                begins = true;
                refund = await refunds.CallingAsync(tx, refund.Id, ct);
                await tx.CommitAsync(ct);
            }
        }

        var (provider, call) = (providers.Of(payment.Provider), new RefundCall(refund.Id, refund.Attempts, $"rf{refund.Id:n}", payment));
        var answer = begins ? await provider.RefundAsync(call, ct) : await provider.AskRefundAsync(call, ct);
        await using var second = database.Begin(Actor.System(item.TenantId));
        if (await LockAsync(second, item, ct) is not { } now)
        {
            return new WorkOutcome.Done();
        }

        item.Settle(second, await SettleAsync(second, now.Payment, now.Refund, answer, begins, ct));
        await second.CommitAsync(ct);
        return WorkOutcome.Settled;
    }

    public async Task OnDeadAsync(WorkItem item, string error, Transaction tx, CancellationToken ct)
    {
        if (await LockAsync(tx, item, ct) is { } found)
        {
            refunds.Fail(tx, found.Refund, error);
        }
    }

    /// <summary>Null when there is nothing to do any more. The payment first, as whoever settles it does.</summary>
    private async Task<(Payment Payment, Refund Refund)?> LockAsync(Transaction tx, WorkItem item, CancellationToken ct)
    {
        var request = item.Read<RefundWork>();
        return await payments.LockAsync(tx, request.PaymentId, ct) is { } payment && await refunds.FindAsync(tx, request.Id, ct) is { Status: "pending" } refund ? (payment, refund) : null;
    }

    private async Task<WorkOutcome> SettleAsync(Transaction tx, Payment payment, Refund refund, RefundAnswer answer, bool began, CancellationToken ct)
    {
        switch (answer)
        {
            case RefundAnswer.Done:
                await refunds.SucceedAsync(tx, payment, ct);
                return new WorkOutcome.Done();
            case RefundAnswer.Refused(var error):
                refunds.Fail(tx, refund, error);
                return new WorkOutcome.Done();
            case RefundAnswer.NotThere when refund.Attempts >= MaxAttempts:
                refunds.Fail(tx, refund, "The provider did not take it.");
                return new WorkOutcome.Done();
            case var _ when clock.GetUtcNow() > refund.CreatedAt + Patience:
                refunds.Fail(tx, refund, refund.Error ?? "It came to no end.");
                return new WorkOutcome.Done();
            case RefundAnswer.NotThere:
                refunds.Leave(tx, refund.Id, "idle", refund.Error);
                return new WorkOutcome.Snooze(TimeSpan.FromSeconds(1));
            case RefundAnswer.Unavailable(var error):
                refunds.Leave(tx, refund.Id, began ? "idle" : refund.CallStatus, error);
                return new WorkOutcome.Snooze(Pause);
            case RefundAnswer.Unknown(var error):
                refunds.Leave(tx, refund.Id, "calling", error);
                return new WorkOutcome.Snooze(Pause);
            default:
                refunds.Leave(tx, refund.Id, "open", null);
                return new WorkOutcome.Snooze(Pause);
        }
    }
}
