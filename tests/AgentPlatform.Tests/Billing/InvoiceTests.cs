using System.Text;
using AgentPlatform.Api;
using AgentPlatform.Billing;
using AgentPlatform.Billing.Invoices;
using AgentPlatform.Billing.Payments;
using AgentPlatform.Billing.Payments.Providers;
using AgentPlatform.Billing.Subscriptions;
using AgentPlatform.Postgres;
using AgentPlatform.Tenancy;
using AgentPlatform.Tests.Sandbox;
using Npgsql;

namespace AgentPlatform.Tests.Billing;

public sealed class InvoiceTests : IAsyncLifetime
{
    private BillingStage _stage = null!;

    public async Task InitializeAsync() => _stage = await BillingStage.StartAsync();

    public async Task DisposeAsync() => await _stage.DisposeAsync();

    [Theory]
    [Behaviour("mk-payment-gst-split")]
    [InlineData("karnataka ", 9000, 9000, 0)]
    [InlineData("Kerala", 0, 0, 18000)]
    [InlineData(null, 9000, 9000, 0)]
    public void Gst_is_divided_by_the_buyers_state(string? state, int cgst, int sgst, int igst)
    {
        var seller = new BillingOptions { SellerGstin = "29ABCDE1234F1Z5", SellerState = "Karnataka" };
        var split = Gst.Of(100000, "INR", state, seller);

        Assert.Equal((cgst, sgst, igst), (split.Cgst, split.Sgst, split.Igst));
        Assert.Equal(GstSplit.None, Gst.Of(100000, "USD", state, seller));
        Assert.Equal(GstSplit.None, Gst.Of(100000, "INR", state, new BillingOptions()));
        for (var amount = 1; amount < 3000; amount++)
        {
            var each = Gst.Of(amount, "INR", state, seller);
            Assert.Equal((int)decimal.Round(amount * 0.18m, MidpointRounding.AwayFromZero), each.Cgst + each.Sgst + each.Igst);
            Assert.InRange(each.Sgst - each.Cgst, 0, 1);
        }
    }

    [Fact]
    [Behaviour("mk-invoice-on-success", "mk-invoice-totals")]
    public async Task A_payment_that_succeeds_has_one_invoice_with_the_buyer_as_it_was_and_one_that_fails_has_none()
    {
        await SetBuyerAsync("Acme (India) Ltd", "Kerala");
        var failed = (await _stage.OrderAsync("indian", provider: "phonepe")).Value.Payment!;
        await _stage.WorkAsync();
        _stage.PhonePe.Transactions[failed.MerchantTransactionId].Code = "PAYMENT_DECLINED";
        await _stage.WorkAsync();
        Assert.Empty(await _stage.InvoicesAsync());

        await PayIndianAsync();
        await SetBuyerAsync("Another name", "Karnataka");

        var invoice = Assert.Single(await _stage.InvoicesAsync());
        Assert.Equal((100001, 18000, 118001, 18000), (invoice.Subtotal, invoice.TotalGst, invoice.GrandTotal, invoice.Igst));
        Assert.Equal(("Acme (India) Ltd", "32ABCDE1234F1Z5", "1 Long Street", "Kerala"), (invoice.BuyerName, invoice.BuyerGstin, invoice.BuyerAddress, invoice.BuyerState));
        var broken = await Assert.ThrowsAsync<PostgresException>(() => _stage.Platform.Postgres.ScalarAsync<int>(
            """
            INSERT INTO billing.invoices SELECT (jsonb_populate_record(i, jsonb_build_object('id', gen_random_uuid(), 'payment_id', gen_random_uuid(), 'invoice_number', 'X', 'grand_total', 1))).*
            FROM billing.invoices AS i RETURNING 1
            """));
        Assert.Equal("grand_total_is_the_sum", broken.ConstraintName);
    }

    [Fact]
    [Behaviour("mk-invoice-immutable")]
    public async Task An_invoice_is_never_edited_and_keeps_its_data_and_page()
    {
        await SetBuyerAsync("Acme (India) Ltd", "Kerala");
        await PayIndianAsync();
        var invoice = Assert.Single(await _stage.InvoicesAsync());
        foreach (var change in new[] { "UPDATE billing.invoices SET buyer_name = 'Eve' RETURNING 1", "DELETE FROM billing.invoices RETURNING 1" })
        {
            Assert.Equal(PostgresErrorCodes.RestrictViolation, (await Assert.ThrowsAsync<PostgresException>(() => _stage.Platform.Postgres.ScalarAsync<int>(change))).SqlState);
        }

        Assert.Equal("Subscription indian, monthly", invoice.Data.GetProperty("lines")[0].GetProperty("description").GetString());
        Assert.Equal("29ABCDE1234F1Z5", invoice.Data.GetProperty("seller").GetProperty("gstin").GetString());
        Assert.Equal($"/api/v1/billing/invoices/{invoice.Id}/pdf", invoice.PdfUrl);
        var page = Encoding.Latin1.GetString(InvoicePdf.Of(invoice));
        Assert.StartsWith("%PDF-1.4", page, StringComparison.Ordinal);
        Assert.Contains(@"(Acme \(India\) Ltd) Tj", page, StringComparison.Ordinal);
        Assert.Contains("(Total: INR 1,180.01) Tj", page, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_credit_note_has_the_tax_of_its_invoice_whatever_is_set_since()
    {
        await SetBuyerAsync("Acme", "Kerala");
        var payment = await PayIndianAsync();
        await SetBuyerAsync("Acme", "Karnataka");
        await _stage.Get<Refunds>().OrderAsync(_stage.Tenant.TenantId, payment, "Asked for.", default);
        await _stage.WorkAsync();

        var note = (await _stage.InvoicesAsync())[1];
        Assert.Equal(("credit_note", 18000, 0, "Kerala"), (note.Kind, note.Igst, note.Cgst, note.BuyerState));
        Assert.Contains("CREDIT NOTE CN/25-26/000001 to invoice INV/25-26/000001", Encoding.Latin1.GetString(InvoicePdf.Of(note)), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("2026-03-31T18:29:59Z", "25-26")]
    [InlineData("2026-03-31T18:30:00Z", "26-27")]
    [InlineData("2099-12-31T00:00:00Z", "99-00")]
    public void A_fiscal_year_begins_with_April_where_the_seller_is(string at, string year) =>
        Assert.Equal(year, FiscalYears.Of(DateTimeOffset.Parse(at, System.Globalization.CultureInfo.InvariantCulture), "Asia/Kolkata"));

    [Fact]
    [Behaviour("mk-invoice-sequence")]
    public async Task Numbers_are_consecutive_in_a_fiscal_year_and_begin_anew_in_the_next()
    {
        await _stage.SubscribedAsync();
        await _stage.PassAsync(TimeSpan.FromDays(28));
        await _stage.PassAsync(TimeSpan.FromDays(31));
        await _stage.PassAsync(TimeSpan.FromDays(30));

        Assert.Equal(["INV/25-26/000001", "INV/25-26/000002", "INV/25-26/000003", "INV/26-27/000001"], (await _stage.InvoicesAsync()).Select(i => i.InvoiceNumber));
    }

    /// <summary>Twelve workspaces pay at once, and the transactions that settle two of them fail the first time.</summary>
    [Fact]
    [Behaviour("mk-invoice-sequence-concurrent")]
    public async Task Payments_at_once_get_different_consecutive_numbers_and_a_failed_transaction_leaves_no_gap()
    {
        var tenants = new List<(ProvisionedTenant Tenant, Payment Payment)>();
        for (var i = 0; i < 12; i++)
        {
            var tenant = await _stage.Platform.ProvisionAsync();
            var order = await _stage.Get<Subscribe>().RunAsync(new Actor(tenant.TenantId, tenant.OwnerId, "owner"), new SubscribeInput("indian", "monthly", "phonepe"), default);
            tenants.Add((tenant, order.Value.Payment!));
        }

        await _stage.WorkAsync();
        var settle = _stage.Get<SettlePayment>();
        await Task.WhenAll(tenants.SelectMany((t, i) => new[] { SettleAsync(t, commits: i % 6 != 0), SettleAsync(t, commits: i % 6 != 0) }));
        await Task.WhenAll(tenants.Select(t => SettleAsync(t, commits: true)));

        var numbers = await _stage.Platform.Postgres.ScalarAsync<string[]>("SELECT array_agg(invoice_number ORDER BY invoice_number) FROM billing.invoices");
        Assert.Equal(Enumerable.Range(1, 12).Select(n => $"INV/25-26/{n:000000}"), numbers);

        async Task SettleAsync((ProvisionedTenant Tenant, Payment Payment) paid, bool commits)
        {
            await using var tx = _stage.Platform.Database.Begin(Actor.System(paid.Tenant.TenantId));
            await settle.RunAsync(tx, paid.Payment.Id, new PaymentAnswer.Paid("ref", $"T-{paid.Payment.Id}", paid.Payment.Total, "INR", "UPI", null, null, 0), began: false, default);
            if (commits)
            {
                await tx.CommitAsync(default);
            }
        }
    }

    [Fact]
    public async Task Invoices_stay_when_their_workspace_goes()
    {
        await _stage.SubscribedAsync();
        Assert.True((await _stage.Get<ManageTenants>().DeleteAsync(_stage.Owner, _stage.Tenant.TenantId, IfMatch.Any, default)).IsOk);

        Assert.Equal("INV/25-26/000001", Assert.Single(await _stage.InvoicesAsync()).InvoiceNumber);
        Assert.Equal(0L, await _stage.Platform.Postgres.ScalarAsync<long>("SELECT count(*) FROM billing.payments"));
        await _stage.WorkAsync();
    }

    private async Task<Guid> PayIndianAsync()
    {
        var payment = (await _stage.OrderAsync("indian", provider: "phonepe")).Value.Payment!;
        await _stage.WorkAsync();
        _stage.PhonePe.Transactions[payment.MerchantTransactionId].Code = "PAYMENT_SUCCESS";
        await _stage.WorkAsync();
        return payment.Id;
    }

    private async Task SetBuyerAsync(string name, string state) =>
        Assert.True((await _stage.Get<Buyers>().SetAsync(_stage.Owner, new BuyerInput(name, "32ABCDE1234F1Z5", "1 Long Street", state), IfMatch.Any, default)).IsOk);
}
