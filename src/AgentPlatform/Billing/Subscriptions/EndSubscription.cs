using AgentPlatform.Billing.Payments;
using AgentPlatform.Billing.Usage;
using AgentPlatform.Postgres;

namespace AgentPlatform.Billing.Subscriptions;

/// <summary>Ends a subscription, whatever for: what was run over its limits is asked for first, while there is still somebody to ask.</summary>
internal sealed class EndSubscription(SubscriptionStore subscriptions, UsageRecords usage, PlacePayment place, TimeProvider clock)
{
    /// <summary>The caller has locked it.</summary>
    internal async Task RunAsync(Transaction tx, Subscription s, string reason, CancellationToken ct)
    {
        if (await usage.CloseAsync(tx, s, ct) is { OverageExecutions: > 0 } used)
        {
            await place.OverageAsync(tx, s, used, ct);
        }

        tx.Post(Sql.CancelAddOns, tx.TenantId, s.Id, clock.GetUtcNow());
        subscriptions.Move(tx, s.Id, "cancelled", reason);
    }

    private static class Sql
    {
        internal const string CancelAddOns =
            "UPDATE billing.user_agent_add_ons SET status = 'cancelled', cancelled_at = $3 WHERE tenant_id = $1 AND subscription_id = $2 AND status = 'active'";
    }
}
