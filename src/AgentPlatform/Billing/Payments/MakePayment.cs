using AgentPlatform.Billing.Payments.Providers;
using AgentPlatform.Postgres;
using AgentPlatform.Work;

namespace AgentPlatform.Billing.Payments;

/// <summary>
/// Moves one payment on: begins it at its provider, or asks what became of it. The provider is called between two transactions: the first says that it is
/// being called, so that whoever finds that asks before it calls again. Notices of providers only bring this forward.
/// </summary>
internal sealed class MakePayment(Database database, PaymentStore payments, PaymentProviders providers, SettlePayment settle) : IWorkHandler
{
    public async Task<WorkOutcome> HandleAsync(WorkItem item, CancellationToken ct)
    {
        Payment? payment;
        var begins = false;
        await using (var tx = database.Begin(Actor.System(item.TenantId)))
        {
            payment = await payments.LockAsync(tx, item.Read<PaymentWork>().Id, ct);
            // A sum that was not asked for is for people to look at.
            if (payment is null or { Status: "refunded" } or { FailureCode: SettlePayment.Mismatch })
            {
                return new WorkOutcome.Done();
            }

            if (payment is { Status: "pending", CallStatus: "idle" })
            {
                begins = true;
                payment = await payments.CallingAsync(tx, payment.Id, ct);
                await tx.CommitAsync(ct);
            }
        }

        var provider = providers.Of(payment.Provider);
        var answer = begins ? await provider.BeginAsync(payment, ct) : await provider.AskAsync(payment, ct);
        await using var second = database.Begin(Actor.System(item.TenantId));
        var outcome = await settle.RunAsync(second, payment.Id, answer, begins, ct);
        item.Settle(second, outcome);
        await second.CommitAsync(ct);
        return WorkOutcome.Settled;
    }

    /// <summary>A payment that nothing moves any more must not keep the workspace from ordering another.</summary>
    public async Task OnDeadAsync(WorkItem item, string error, Transaction tx, CancellationToken ct)
    {
        if (await payments.LockAsync(tx, item.Read<PaymentWork>().Id, ct) is { Status: "pending" } payment)
        {
            await settle.FailAsync(tx, payment, "gave_up", error, ct);
        }
    }
}
