using AgentPlatform.Billing.Invoices;
using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Work;

namespace AgentPlatform.Billing.Payments;

/// <summary>The whole of a payment is given back. Status: pending, success, failed; one that failed says why, and can be tried again.</summary>
public sealed record Refund
{
    public Guid Id { get; init; }
    public Guid PaymentId { get; init; }
    public string Reason { get; init; } = "";
    public string Status { get; init; } = "";
    public int Attempts { get; init; }
    public string? Error { get; init; }
    public DateTimeOffset CreatedAt { get; init; }
    public DateTimeOffset? CompletedAt { get; init; }
    public DateTimeOffset UpdatedAt { get; init; }

    internal string CallStatus { get; init; } = "";
}

internal sealed record RefundWork(Guid Id, Guid PaymentId);

/// <summary>
/// Gives money back: for the seller, who decides on it at the command line, or when what was paid could not be given. Workspaces see their refunds, and make none.
/// </summary>
public sealed class Refunds
{
    internal const string WorkKind = "billing.refund";

    private readonly Database _database;
    private readonly PaymentStore _payments;
    private readonly Fulfilment _fulfilment;
    private readonly IssueInvoice _invoices;
    private readonly EventStore _events;
    private readonly WorkQueue _work;
    private readonly TimeProvider _clock;

    internal Refunds(Database database, PaymentStore payments, Fulfilment fulfilment, IssueInvoice invoices, EventStore events, WorkQueue work, TimeProvider clock) =>
        (_database, _payments, _fulfilment, _invoices, _events, _work, _clock) = (database, payments, fulfilment, invoices, events, work, clock);

    /// <summary>Asks for a payment's refund, or again for one that failed. Problem <c>not_refundable</c> unless the payment has succeeded.</summary>
    public async Task<Result<Refund>> OrderAsync(Guid tenantId, Guid paymentId, string reason, CancellationToken ct)
    {
        await using var tx = _database.Begin(Actor.System(tenantId));
        if (await _payments.LockAsync(tx, paymentId, ct) is not { } payment)
        {
            return Problem.NotFound("payment");
        }

        var refund = await RequestAsync(tx, payment, reason, ct);
        if (refund.IsOk)
        {
            await tx.CommitAsync(ct);
        }

        return refund;
    }

    internal async Task<Page<Refund>> ListAsync(Transaction tx, string? status, PageRequest page, CancellationToken ct) =>
        Page<Refund>.Cut(await tx.QueryAsync<Refund>(Sql.List, [tx.TenantId, status, page.Before, page.Fetch], ct), page, r => r.Id);

    internal Task<Refund?> FindAsync(Transaction tx, Guid id, CancellationToken ct) => tx.FindAsync<Refund>(Sql.Find, [tx.TenantId, id], ct);

    /// <summary>The caller has locked the payment.</summary>
    internal async Task<Result<Refund>> RequestAsync(Transaction tx, Payment payment, string reason, CancellationToken ct)
    {
        var earlier = await tx.FindAsync<Refund>(Sql.OfPayment, [tx.TenantId, payment.Id], ct);
        if (payment.Status != "success" || earlier is { Status: not "failed" })
        {
            return Problem.Conflict("not_refundable", "Only a payment that has succeeded, and is not being refunded, can be refunded.");
        }

        var id = earlier?.Id ?? _clock.NewId();
        tx.Post(Sql.Request, tx.TenantId, id, payment.Id, reason, _clock.GetUtcNow());
        _events.Append(tx, new NewEvent("refund.requested", "payment", payment.Id, new { refund_id = id, reason }));
        await _work.ReviveAsync(tx, new NewWork(WorkKind, id.ToString(), new RefundWork(id, payment.Id)), ct);
        return (await FindAsync(tx, id, ct))!;
    }

    /// <summary>The provider has given it back without us, or before us.</summary>
    internal async Task NoticedAsync(Transaction tx, Payment payment, CancellationToken ct)
    {
        tx.Post(Sql.Noticed, tx.TenantId, _clock.NewId(), payment.Id, _clock.GetUtcNow());
        await SucceedAsync(tx, payment, ct);
    }

    /// <summary>The provider is about to be called.</summary>
    internal Task<Refund> CallingAsync(Transaction tx, Guid id, CancellationToken ct) => tx.SingleAsync<Refund>(Sql.Calling, [tx.TenantId, id], ct);

    internal void Leave(Transaction tx, Guid id, string callStatus, string? error) => tx.Post(Sql.Leave, tx.TenantId, id, callStatus, error);

    internal void Fail(Transaction tx, Refund refund, string error)
    {
        tx.Post(Sql.Fail, tx.TenantId, refund.Id, error, _clock.GetUtcNow());
        _events.Append(tx, new NewEvent("refund.failed", "payment", refund.PaymentId, new { refund_id = refund.Id, error }));
    }

    /// <summary>What was bought goes with the money, and the invoice is corrected; its number is taken last.</summary>
    internal async Task SucceedAsync(Transaction tx, Payment payment, CancellationToken ct)
    {
        tx.Post(Sql.Succeed, tx.TenantId, payment.Id, _clock.GetUtcNow());
        _payments.Refunded(tx, payment.Id);
        _events.Append(tx, new NewEvent("payment.refunded", "payment", payment.Id, new { payment.Total, payment.Currency }));
        await _fulfilment.UndoAsync(tx, payment, ct);
        await _invoices.CreditAsync(tx, payment, ct);
    }

    private static class Sql
    {
        internal const string List =
            """
            SELECT * FROM billing.refunds
            WHERE tenant_id = $1 AND ($2::text IS NULL OR status = $2) AND ($3::uuid IS NULL OR id < $3) ORDER BY id DESC LIMIT $4
            """;

        internal const string Find = "SELECT * FROM billing.refunds WHERE tenant_id = $1 AND id = $2";

        internal const string OfPayment = "SELECT * FROM billing.refunds WHERE tenant_id = $1 AND payment_id = $2";

        internal const string Request =
            """
            INSERT INTO billing.refunds (tenant_id, id, payment_id, reason, created_at) VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT ON CONSTRAINT one_refund_of_a_payment DO UPDATE SET status = 'pending', call_status = 'idle', reason = excluded.reason, created_at = excluded.created_at, error = NULL, completed_at = NULL
            """;

        internal const string Noticed =
            """
            INSERT INTO billing.refunds (tenant_id, id, payment_id, reason, created_at) VALUES ($1, $2, $3, 'Refunded at the provider.', $4)
            ON CONFLICT ON CONSTRAINT one_refund_of_a_payment DO NOTHING
            """;

        internal const string Calling = "UPDATE billing.refunds SET call_status = 'calling', attempts = attempts + 1 WHERE tenant_id = $1 AND id = $2 RETURNING *";

        internal const string Leave = "UPDATE billing.refunds SET call_status = $3, error = $4 WHERE tenant_id = $1 AND id = $2 AND status = 'pending'";

        internal const string Fail =
            "UPDATE billing.refunds SET status = 'failed', error = $3, completed_at = $4 WHERE tenant_id = $1 AND id = $2 AND status = 'pending'";

        internal const string Succeed =
            "UPDATE billing.refunds SET status = 'success', error = NULL, completed_at = $3 WHERE tenant_id = $1 AND payment_id = $2 AND status <> 'success'";
    }
}
