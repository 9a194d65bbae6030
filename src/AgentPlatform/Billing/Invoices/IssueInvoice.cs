using System.Globalization;
using AgentPlatform.Billing.Payments;
using AgentPlatform.Billing.Subscriptions;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Billing.Invoices;

/// <summary>Issues the one invoice of a payment, and the one credit note of its refund, in the transaction that settles it.</summary>
internal sealed class IssueInvoice(Buyers buyers, IOptions<BillingOptions> options, TimeProvider clock)
{
    internal async Task ForAsync(Transaction tx, Payment payment, CancellationToken ct)
    {
        var buyer = await buyers.FindAsync(tx, ct);
        var seller = options.Value;
        var draft = new Invoice
        {
            Id = clock.NewId(),
            Kind = "invoice",
            PaymentId = payment.Id,
            InvoiceDate = clock.GetUtcNow(),
            BuyerName = buyer?.Name ?? $"Workspace {tx.TenantId}",
            BuyerGstin = buyer?.Gstin,
            BuyerAddress = buyer?.Address,
            BuyerState = buyer?.State,
            Currency = payment.Currency,
            Subtotal = payment.Amount,
            Cgst = payment.Cgst,
            Sgst = payment.Sgst,
            Igst = payment.Igst,
        };
        await IssueAsync(tx, "INV", draft, new
        {
            seller = new { name = seller.SellerName, address = seller.SellerAddress, gstin = seller.SellerGstin, state = seller.SellerState },
            lines = payment.What.Lines.Select(l => new { l.Description, l.Amount }),
            gst_percent = payment.GstPercent,
            payment = new { payment.Provider, payment.TransactionId, payment.MerchantTransactionId, payment.PaymentMethod },
        }, ct);
    }

    /// <summary>With the parties, the parts and the tax of the invoice, whatever has been set since.</summary>
    internal async Task CreditAsync(Transaction tx, Payment payment, CancellationToken ct)
    {
        var invoice = await tx.SingleAsync<Invoice>(Sql.OfPayment, [tx.TenantId, payment.Id], ct);
        var draft = invoice with { Id = clock.NewId(), Kind = "credit_note", CorrectsId = invoice.Id, InvoiceDate = clock.GetUtcNow() };
        await IssueAsync(tx, "CN", draft, new { corrects = invoice.InvoiceNumber, invoice = invoice.Data }, ct);
    }

    private async Task IssueAsync(Transaction tx, string series, Invoice draft, object data, CancellationToken ct)
    {
        var year = FiscalYears.Of(draft.InvoiceDate, options.Value.SellerTimeZone);
        // From here to the commit nobody else gets a number.
        var number = await tx.SingleAsync<int>(Sql.Next, [series, year], ct);
        tx.Post(
            Sql.Issue, tx.TenantId, draft.Id, draft.Kind, draft.PaymentId, draft.CorrectsId, string.Create(CultureInfo.InvariantCulture, $"{series}/{year}/{number:000000}"), year, draft.InvoiceDate,
            draft.BuyerName, draft.BuyerGstin, draft.BuyerAddress, draft.BuyerState, draft.Currency, draft.Subtotal, draft.Cgst, draft.Sgst, draft.Igst, Json.Param(data),
            $"/api/v1/billing/invoices/{draft.Id}/pdf");
    }

    private static class Sql
    {
        internal const string OfPayment = "SELECT * FROM billing.invoices WHERE tenant_id = $1 AND payment_id = $2 AND kind = 'invoice'";

        internal const string Next = "SELECT billing.next_invoice_number($1, $2)";

        internal const string Issue =
            """
            INSERT INTO billing.invoices (tenant_id, id, kind, payment_id, corrects_id, invoice_number, fiscal_year, invoice_date, buyer_name, buyer_gstin, buyer_address, buyer_state,
                currency, subtotal, cgst, sgst, igst, total_gst, grand_total, data, pdf_url)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14::int, $15::int, $16::int, $17::int, $15 + $16 + $17, $14 + $15 + $16 + $17, $18, $19)
            """;
    }
}
