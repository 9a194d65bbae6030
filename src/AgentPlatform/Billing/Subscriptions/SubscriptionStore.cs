using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Billing.Subscriptions;

/// <summary>Reads and writes <c>billing.subscriptions</c>.</summary>
internal sealed class SubscriptionStore(EventStore events, TimeProvider clock)
{
    /// <summary>The workspace's current subscription; a cancelled one is none.</summary>
    internal Task<Subscription?> CurrentAsync(Transaction tx, CancellationToken ct) => tx.FindAsync<Subscription>(Sql.Current, [tx.TenantId], ct);

    /// <summary>The same, locked. One that is cancelled while its lock is waited for is none either.</summary>
    internal async Task<Subscription?> LockCurrentAsync(Transaction tx, CancellationToken ct) =>
        await tx.FindAsync<Guid?>(Sql.LockCurrent, [tx.TenantId], ct) is { } id ? await FindAsync(tx, id, ct) : null;

    internal Task<Subscription?> FindAsync(Transaction tx, Guid id, CancellationToken ct) => tx.FindAsync<Subscription>(Sql.Find, [tx.TenantId, id], ct);

    internal async Task<Page<Subscription>> ListAsync(Transaction tx, PageRequest page, CancellationToken ct) =>
        Page<Subscription>.Cut(await tx.QueryAsync<Subscription>(Sql.List, [tx.TenantId, page.Before, page.Fetch], ct), page, s => s.Id);

    /// <summary>With a trial until <paramref name="trialEnd"/>, or paid from now on.</summary>
    internal async Task<Subscription> CreateAsync(Transaction tx, SubscriptionTerms t, string provider, DateTimeOffset start, DateTimeOffset end, DateTimeOffset? trialEnd, CancellationToken ct)
    {
        var id = clock.NewId();
        tx.Post(
            Sql.Create, tx.TenantId, id, t.TierId, trialEnd is null ? "active" : "trial", t.PaymentFrequency, provider, t.Currency, t.PriceCents, t.SetupFeeCents, t.MonthlyExecutionLimit,
            t.MaxAgents, t.MaxConcurrentAgents, t.MaxExecutionDurationMinutes, t.OverageCents, t.OverageCapCents, start, end, trialEnd);
        Tell(tx, id, trialEnd is null ? "started" : "trial_started", new { tier = t.Tier, t.PaymentFrequency, period_end = end });
        return (await FindAsync(tx, id, ct))!;
    }

    /// <summary>A period is paid: it is the current one.</summary>
    internal void Advance(Transaction tx, Subscription s, DateTimeOffset anchor, DateTimeOffset start, DateTimeOffset end)
    {
        tx.Post(Sql.Advance, tx.TenantId, s.Id, anchor, start, end);
        Tell(tx, s.Id, "renewed", new { period_start = start, period_end = end });
    }

    internal void Remember(Transaction tx, Guid id, string customerId, string methodId) => tx.Post(Sql.Remember, tx.TenantId, id, customerId, methodId);

    internal void Move(Transaction tx, Guid id, string status, string? reason = null)
    {
        tx.Post(Sql.Move, tx.TenantId, id, status, status == "cancelled" ? clock.GetUtcNow() : null, reason);
        Tell(tx, id, status, new { reason });
    }

    /// <summary>A period that was over while nothing was used ends now: what was not used is not paid for.</summary>
    internal void EndPeriodNow(Transaction tx, Guid id) => tx.Post(Sql.EndPeriodNow, tx.TenantId, id, clock.GetUtcNow());

    internal void CancelAtPeriodEnd(Transaction tx, Guid id, bool cancel, string? reason)
    {
        tx.Post(Sql.CancelAtPeriodEnd, tx.TenantId, id, cancel, reason);
        Tell(tx, id, cancel ? "cancel_requested" : "cancel_withdrawn", new { reason });
    }

    private void Tell(Transaction tx, Guid id, string what, object data) => events.Append(tx, new NewEvent($"subscription.{what}", "subscription", id, data));

    private static class Sql
    {
        internal const string Current =
            """
            SELECT s.*, t.slug AS tier, t.sort_order AS rank FROM billing.subscriptions AS s JOIN billing.subscription_tiers AS t ON t.id = s.tier_id
            WHERE s.tenant_id = $1 AND s.status <> 'cancelled'
            """;

        internal const string LockCurrent = "SELECT id FROM billing.subscriptions WHERE tenant_id = $1 AND status <> 'cancelled' FOR UPDATE";

        internal const string Find =
            """
            SELECT s.*, t.slug AS tier, t.sort_order AS rank FROM billing.subscriptions AS s JOIN billing.subscription_tiers AS t ON t.id = s.tier_id
            WHERE s.tenant_id = $1 AND s.id = $2
            """;

        internal const string List =
            """
            SELECT s.*, t.slug AS tier, t.sort_order AS rank FROM billing.subscriptions AS s JOIN billing.subscription_tiers AS t ON t.id = s.tier_id
            WHERE s.tenant_id = $1 AND ($2::uuid IS NULL OR s.id < $2) ORDER BY s.id DESC LIMIT $3
            """;

        internal const string Create =
            """
            INSERT INTO billing.subscriptions (tenant_id, id, tier_id, status, payment_frequency, provider, currency, price_cents, setup_fee_cents, monthly_execution_limit, max_agents,
                max_concurrent_agents, max_execution_duration_minutes, overage_cents, overage_cap_cents, anchored_at, current_period_start, current_period_end, trial_ends_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $16, $17, $18)
            """;

        internal const string Advance =
            """
            UPDATE billing.subscriptions SET status = CASE WHEN status = 'paused' THEN 'paused' ELSE 'active' END, anchored_at = $3, current_period_start = $4, current_period_end = $5
            WHERE tenant_id = $1 AND id = $2 AND status <> 'cancelled'
            """;

        internal const string Remember = "UPDATE billing.subscriptions SET customer_id = $3, method_id = $4 WHERE tenant_id = $1 AND id = $2";

        internal const string Move =
            """
            UPDATE billing.subscriptions SET status = $3, cancelled_at = $4, cancellation_reason = coalesce($5, cancellation_reason)
            WHERE tenant_id = $1 AND id = $2 AND status <> 'cancelled'
            """;

        internal const string EndPeriodNow =
            "UPDATE billing.subscriptions SET current_period_end = $3, anchored_at = $3 WHERE tenant_id = $1 AND id = $2 AND current_period_end < $3";

        internal const string CancelAtPeriodEnd =
            "UPDATE billing.subscriptions SET cancel_at_period_end = $3, cancellation_reason = $4 WHERE tenant_id = $1 AND id = $2 AND status <> 'cancelled'";
    }
}
