using AgentPlatform.Billing.Payments.Providers;
using AgentPlatform.Billing.Subscriptions;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Billing.Payments;

/// <summary>Reads and writes <c>billing.payments</c>.</summary>
internal sealed class PaymentStore(TimeProvider clock)
{
    internal Task<Payment?> LockAsync(Transaction tx, Guid id, CancellationToken ct) => tx.FindAsync<Payment>(Sql.Lock, [tx.TenantId, id], ct);

    internal Task<Payment?> FindAsync(Transaction tx, Guid id, CancellationToken ct) => tx.FindAsync<Payment>(Sql.Find, [tx.TenantId, id], ct);

    /// <summary>Whether the workspace's first or next period waits to be paid.</summary>
    internal async Task<bool> IsPendingAsync(Transaction tx, CancellationToken ct) => (await PeriodAskedAsync(tx, ct)).IsPending;

    internal Task<PeriodAsked> PeriodAskedAsync(Transaction tx, CancellationToken ct) => tx.SingleAsync<PeriodAsked>(Sql.PeriodAsked, [tx.TenantId], ct);

    internal async Task<Page<Payment>> ListAsync(Transaction tx, string? status, PageRequest page, CancellationToken ct) =>
        Page<Payment>.Cut(await tx.QueryAsync<Payment>(Sql.List, [tx.TenantId, status, page.Before, page.Fetch], ct), page, p => p.Id);

    /// <summary>Whose a payment is, and its id, by our name for it at its provider. The transaction's bearer is that name.</summary>
    internal Task<PaymentOwner?> OwnerAsync(Transaction tx, string provider, string merchantTransactionId, CancellationToken ct) =>
        tx.FindAsync<PaymentOwner>(Sql.Owner, [provider, merchantTransactionId], ct);

    internal Task<Payment> AddAsync(Transaction tx, Payment p, CancellationToken ct)
    {
        var id = clock.NewId();
        return tx.SingleAsync<Payment>(
            Sql.Add,
            [
                tx.TenantId, id, p.SubscriptionId, p.Purpose, p.Description, p.Item, p.Provider, $"ap{id:n}", p.Currency, p.Amount, p.GstPercent, p.Cgst, p.Sgst, p.Igst, p.GstAmount,
                p.CustomerId, p.MethodId, clock.GetUtcNow(),
            ],
            ct);
    }

    /// <summary>The provider is about to be called.</summary>
    internal Task<Payment> CallingAsync(Transaction tx, Guid id, CancellationToken ct) => tx.SingleAsync<Payment>(Sql.Calling, [tx.TenantId, id, clock.GetUtcNow()], ct);

    /// <summary>Nothing is decided yet.</summary>
    internal void Leave(Transaction tx, Guid id, string callStatus, string? error) => tx.Post(Sql.Leave, tx.TenantId, id, callStatus, error);

    internal void Opened(Transaction tx, Guid id, PaymentAnswer.Open open) => tx.Post(Sql.Opened, tx.TenantId, id, open.Ref, open.PayUrl, open.ExpiresAt);

    internal void Succeed(Transaction tx, Guid id, PaymentAnswer.Paid paid) =>
        tx.Post(Sql.Succeed, tx.TenantId, id, paid.Ref, paid.TransactionId, paid.Method, clock.GetUtcNow());

    internal void Fail(Transaction tx, Guid id, string code, string reason) => tx.Post(Sql.Fail, tx.TenantId, id, code, reason, clock.GetUtcNow());

    /// <summary>The subscription that it began.</summary>
    internal void BelongsTo(Transaction tx, Guid id, Guid? subscriptionId) => tx.Post(Sql.BelongsTo, tx.TenantId, id, subscriptionId);

    internal void Refunded(Transaction tx, Guid id) => tx.Post(Sql.Refunded, tx.TenantId, id);

    private static class Sql
    {
        internal const string Lock = "SELECT * FROM billing.payments WHERE tenant_id = $1 AND id = $2 FOR UPDATE";

        internal const string Find = "SELECT * FROM billing.payments WHERE tenant_id = $1 AND id = $2";

        internal const string PeriodAsked =
            """
            SELECT coalesce(bool_or(status = 'pending'), false) AS is_pending, max(created_at) AS last_at
            FROM billing.payments WHERE tenant_id = $1 AND purpose IN ('subscription', 'renewal')
            """;

        internal const string List =
            """
            SELECT * FROM billing.payments
            WHERE tenant_id = $1 AND ($2::text IS NULL OR status = $2) AND ($3::uuid IS NULL OR id < $3) ORDER BY id DESC LIMIT $4
            """;

        internal const string Owner = "SELECT tenant_id, id FROM billing.payments WHERE provider = $1 AND merchant_transaction_id = $2";

        internal const string Add =
            """
            INSERT INTO billing.payments (tenant_id, id, subscription_id, purpose, description, item, provider, merchant_transaction_id, currency, amount, gst_percent, cgst, sgst, igst,
                gst_amount, customer_id, method_id, created_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
            RETURNING *
            """;

        internal const string Calling =
            """
            UPDATE billing.payments SET call_status = 'calling', attempts = attempts + 1, called_at = coalesce(called_at, $3)
            WHERE tenant_id = $1 AND id = $2 RETURNING *
            """;

        internal const string Leave = "UPDATE billing.payments SET call_status = $3, last_error = $4 WHERE tenant_id = $1 AND id = $2";

        internal const string Opened =
            """
            UPDATE billing.payments
            SET call_status = 'open', provider_ref = $3, pay_url = coalesce($4, pay_url), expires_at = coalesce($5, expires_at), last_error = NULL
            WHERE tenant_id = $1 AND id = $2
            """;

        // One that was given up may have been paid after all.
        internal const string Succeed =
            """
            UPDATE billing.payments
            SET status = 'success', call_status = 'open', provider_ref = $3, transaction_id = $4, payment_method = $5, completed_at = $6, failure_code = NULL, failure_reason = NULL,
                last_error = NULL
            WHERE tenant_id = $1 AND id = $2 AND status IN ('pending', 'failed')
            """;

        internal const string Fail =
            """
            UPDATE billing.payments SET status = 'failed', failure_code = $3, failure_reason = $4, completed_at = $5
            WHERE tenant_id = $1 AND id = $2 AND status IN ('pending', 'failed')
            """;

        internal const string BelongsTo = "UPDATE billing.payments SET subscription_id = $3 WHERE tenant_id = $1 AND id = $2";

        internal const string Refunded = "UPDATE billing.payments SET status = 'refunded' WHERE tenant_id = $1 AND id = $2 AND status = 'success'";
    }
}

/// <summary>The workspace of a payment.</summary>
internal sealed record PaymentOwner(Guid TenantId, Guid Id);
