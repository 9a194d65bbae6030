using AgentPlatform.Api;
using AgentPlatform.Billing.Catalogue;
using AgentPlatform.Billing.Payments;
using AgentPlatform.Billing.Payments.Providers;
using AgentPlatform.Billing.Subscriptions;
using AgentPlatform.Billing.Usage;
using AgentPlatform.Postgres;
using AgentPlatform.Tests.Sandbox;

namespace AgentPlatform.Tests.Billing;

public sealed class PaymentTests : IAsyncLifetime
{
    private BillingStage _stage = null!;

    public async Task InitializeAsync() => _stage = await BillingStage.StartAsync();

    public async Task DisposeAsync() => await _stage.DisposeAsync();

    [Fact]
    [Behaviour("mk-payment-lifecycle")]
    public async Task A_payment_is_pending_then_success_or_failed_and_refunded_after_success_alone()
    {
        var payment = (await _stage.OrderAsync("small")).Value.Payment!;
        Assert.Equal(("pending", null), (payment.Status, payment.CompletedAt));
        await _stage.PayAtPageAsync(payment.Id);
        var paid = await _stage.PaymentAsync(payment.Id);
        Assert.Equal(("success", "card"), (paid.Status, paid.PaymentMethod));
        Assert.NotNull(paid.CompletedAt);

        _stage.Stripe.Next(new StripeAnswer.Refuse(402, "expired_card"));
        var failed = await PackAsync("ten");
        Assert.Equal(("failed", "expired_card", true), (failed.Status, failed.FailureCode, failed.CompletedAt is not null));
        Assert.Equal("not_refundable", (await RefundAsync(failed.Id)).Problem!.Code);

        Assert.True((await RefundAsync(payment.Id)).IsOk);
        await _stage.WorkAsync();
        Assert.Equal("refunded", (await _stage.PaymentAsync(payment.Id)).Status);
        Assert.Equal("not_refundable", (await RefundAsync(payment.Id)).Problem!.Code);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_charge_whose_answer_is_lost_is_looked_for_and_made_once(bool hangs)
    {
        await _stage.SubscribedAsync();
        _stage.Stripe.Next(hangs ? new StripeAnswer.AcceptThenHang() : new StripeAnswer.AcceptThenFail());

        var pack = await PackAsync("ten");

        Assert.Equal("success", pack.Status);
        Assert.Equal(2, _stage.Stripe.Charges);
    }

    [Fact]
    public async Task A_charge_that_surely_was_not_made_is_made_under_another_key()
    {
        await _stage.SubscribedAsync();
        _stage.Stripe.Next(new StripeAnswer.Refuse(500), new StripeAnswer.Refuse(500));

        var pack = await PackAsync("ten");
        await _stage.WorkAsync();

        Assert.Equal(("success", 3), ((await _stage.PaymentAsync(pack.Id)).Status, (await _stage.PaymentAsync(pack.Id)).Attempts));
        Assert.Equal(2, _stage.Stripe.Charges);
    }

    [Theory]
    [InlineData(401)]
    [InlineData(429)]
    public async Task Who_is_turned_away_or_finds_the_provider_down_tries_again_and_nothing_fails(int status)
    {
        await _stage.SubscribedAsync();
        _stage.Stripe.Next(Enumerable.Repeat(new StripeAnswer.Refuse(status), 4).ToArray<StripeAnswer>());
        var pack = await PackAsync("ten");
        Assert.Equal("pending", pack.Status);
        Assert.NotNull(pack.LastError);

        for (var hours = 0; hours < 3; hours++)
        {
            await _stage.PassAsync(TimeSpan.FromHours(1));
        }

        Assert.Equal("success", (await _stage.PaymentAsync(pack.Id)).Status);
    }

    [Fact]
    [Behaviour("bb-sub-stripe-idempotent")]
    public async Task Events_that_come_twice_late_and_in_any_order_change_state_once()
    {
        var payment = (await _stage.OrderAsync("small")).Value.Payment!;
        var session = await _stage.PageAsync(payment.Id);
        Assert.Equal(403, await _stage.StripeEventAsync("checkout.session.completed", session, "t=1,v1=00"));
        var intent = _stage.Stripe.Pay(session);

        for (var again = 0; again < 3; again++)
        {
            Assert.Equal(200, await _stage.StripeEventAsync("payment_intent.succeeded", intent));
            Assert.Equal(200, await _stage.StripeEventAsync("checkout.session.completed", session));
            await _stage.Platform.DrainAsync();
        }

        Assert.Equal(("success", 1, 1), ((await _stage.PaymentAsync(payment.Id)).Status, (await _stage.InvoicesAsync()).Count, (await _stage.UsageAsync()).Count));
        Assert.Equal(1L, await _stage.Platform.Postgres.ScalarAsync<long>("SELECT count(*) FROM events.events WHERE event_type = 'payment.succeeded'"));
    }

    [Fact]
    [Behaviour("mk-phonepe-callback")]
    public async Task A_callback_is_checked_and_a_repeat_changes_nothing()
    {
        _stage.PhonePe.LoseAnswers = 1;
        var payment = (await _stage.OrderAsync("indian", provider: "phonepe")).Value.Payment!;
        await _stage.Platform.DrainAsync();
        _stage.PhonePe.Transactions[payment.MerchantTransactionId].Code = "PAYMENT_SUCCESS";

        Assert.Equal(403, await _stage.PhonePeCallbackAsync(payment.MerchantTransactionId, "00###1"));
        await _stage.Platform.DrainAsync();
        Assert.Equal("pending", (await _stage.PaymentAsync(payment.Id)).Status);

        for (var again = 0; again < 3; again++)
        {
            Assert.Equal(200, await _stage.PhonePeCallbackAsync(payment.MerchantTransactionId));
            await _stage.Platform.DrainAsync();
        }

        var paid = await _stage.PaymentAsync(payment.Id);
        Assert.Equal(("success", "T1", "UPI"), (paid.Status, paid.TransactionId, paid.PaymentMethod));
        Assert.Single(await _stage.InvoicesAsync());
        Assert.Single(_stage.PhonePe.Transactions);
    }

    [Fact]
    public async Task A_page_that_nobody_uses_a_debit_that_comes_to_nothing_and_a_payment_that_nothing_moves_lock_nobody_out()
    {
        var indian = (await _stage.OrderAsync("indian", provider: "phonepe")).Value.Payment!;
        await _stage.WorkAsync();
        await _stage.PassAsync(TimeSpan.FromHours(26));
        Assert.Equal(("failed", "expired"), await EndAsync(indian.Id));

        _stage.PhonePe.LoseAnswers = 1;
        var pageless = (await _stage.OrderAsync("indian", provider: "phonepe")).Value.Payment!;
        await _stage.WorkAsync();
        await _stage.PassAsync(TimeSpan.FromHours(26));
        Assert.Equal(("failed", "expired"), await EndAsync(pageless.Id));

        var unpaid = (await _stage.OrderAsync("small")).Value.Payment!;
        var session = await _stage.PageAsync(unpaid.Id);
        _stage.Stripe.Pay(session, status: "processing");
        await _stage.PassAsync(TimeSpan.FromDays(3));
        Assert.Equal("pending", (await _stage.PaymentAsync(unpaid.Id)).Status);
        FakeStripe.Become(session, "requires_payment_method");
        await _stage.WorkAsync();
        Assert.Equal(("failed", "requires_payment_method"), await EndAsync(unpaid.Id));

        var dead = (await _stage.OrderAsync("small")).Value.Payment!;
        await _stage.Platform.Postgres.ScalarAsync<int>($"UPDATE billing.payments SET item = '7' WHERE id = '{dead.Id}' RETURNING 1");
        var page = await _stage.PageAsync(dead.Id);
        _stage.Stripe.Pay(page);
        for (var attempt = 0; attempt < 26; attempt++)
        {
            await _stage.DueAsync();
            await _stage.Platform.DrainAsync();
        }

        Assert.Equal("gave_up", (await EndAsync(dead.Id)).Code);
        Assert.True((await _stage.OrderAsync("small")).IsOk);
    }

    [Fact]
    public async Task A_period_that_is_paid_twice_is_given_back_once_and_ends_nothing()
    {
        await PayAsync((await _stage.OrderAsync("indian", provider: "phonepe")).Value.Payment!);
        await _stage.PassAsync(TimeSpan.FromDays(31));
        var late = await PendingAsync();
        await _stage.PassAsync(TimeSpan.FromHours(26));
        await _stage.WorkAsync();
        var next = await PendingAsync();
        Assert.NotEqual(late.Id, next.Id);
        await PayAsync(next);
        Assert.Equal("active", (await _stage.CurrentAsync())!.Status);

        _stage.PhonePe.Transactions[late.MerchantTransactionId].Code = "PAYMENT_SUCCESS";
        await _stage.PhonePeCallbackAsync(late.MerchantTransactionId);
        await _stage.WorkAsync();

        Assert.Equal(("refunded", "success"), ((await _stage.PaymentAsync(late.Id)).Status, (await _stage.PaymentAsync(next.Id)).Status));
        Assert.Equal("active", (await _stage.CurrentAsync())!.Status);

        async Task<Payment> PendingAsync() => Assert.Single(await _stage.PaymentsAsync(), p => p is { Purpose: "renewal", Status: "pending" });
        async Task PayAsync(Payment payment)
        {
            await _stage.WorkAsync();
            _stage.PhonePe.Transactions[payment.MerchantTransactionId].Code = "PAYMENT_SUCCESS";
            await _stage.WorkAsync();
        }
    }

    [Fact]
    public async Task A_payment_that_was_given_up_and_is_paid_after_all_is_fulfilled_or_given_back()
    {
        var late = (await _stage.OrderAsync("indian", provider: "phonepe")).Value.Payment!;
        await _stage.WorkAsync();
        await _stage.PassAsync(TimeSpan.FromHours(26));
        var other = (await _stage.OrderAsync("indian", provider: "phonepe")).Value.Payment!;
        await _stage.WorkAsync();
        _stage.PhonePe.Transactions[other.MerchantTransactionId].Code = "PAYMENT_SUCCESS";
        await _stage.WorkAsync();

        _stage.PhonePe.Transactions[late.MerchantTransactionId].Code = "PAYMENT_SUCCESS";
        await _stage.PhonePeCallbackAsync(late.MerchantTransactionId);
        await _stage.WorkAsync();

        Assert.Equal("refunded", (await _stage.PaymentAsync(late.Id)).Status);
        Assert.Equal("active", (await _stage.CurrentAsync())!.Status);
        Assert.Equal(["invoice", "invoice", "credit_note"], (await _stage.InvoicesAsync()).Select(i => i.Kind));
    }

    [Theory]
    [InlineData(9999, "usd")]
    [InlineData(10000, "eur")]
    public async Task Another_sum_than_was_asked_for_is_noticed_and_stays_so(int amount, string currency)
    {
        var payment = (await _stage.OrderAsync("small")).Value.Payment!;
        var session = await _stage.PayAtPageAsync(payment.Id, amount, currency);
        Assert.Equal(("failed", SettlePayment.Mismatch), await EndAsync(payment.Id));

        await _stage.PassAsync(TimeSpan.FromHours(2));
        Assert.Equal(200, await _stage.StripeEventAsync("checkout.session.completed", session));
        await _stage.WorkAsync();

        Assert.Equal(("failed", SettlePayment.Mismatch), await EndAsync(payment.Id));
        Assert.Null(await _stage.CurrentAsync());
        Assert.Empty(await _stage.InvoicesAsync());
    }

    [Fact]
    [Behaviour("mk-payment-refund")]
    public async Task A_refund_takes_back_what_was_bought_and_corrects_the_invoice()
    {
        await _stage.SubscribedAsync();
        var payment = (await _stage.PaymentsAsync())[0];
        await RefundAsync(payment.Id);
        await _stage.WorkAsync();

        Assert.Equal("refunded", (await _stage.PaymentAsync(payment.Id)).Status);
        Assert.Null(await _stage.CurrentAsync());
        var (invoice, note) = ((await _stage.InvoicesAsync())[0], (await _stage.InvoicesAsync())[1]);
        Assert.Equal(("credit_note", invoice.Id, invoice.GrandTotal, "CN/25-26/000001"), (note.Kind, note.CorrectsId, note.GrandTotal, note.InvoiceNumber));
        Assert.Equal(invoice.InvoiceNumber, note.Data.GetProperty("corrects").GetString());
    }

    [Fact]
    public async Task A_refund_that_fails_is_seen_and_tried_again()
    {
        await _stage.SubscribedAsync();
        var payment = (await _stage.PaymentsAsync())[0];
        _stage.Stripe.RefundStatus = "failed";
        await RefundAsync(payment.Id);
        await _stage.WorkAsync();
        var refund = Assert.Single(await _stage.RefundsAsync());
        Assert.Equal(("failed", "lost_or_stolen_card", "success"), (refund.Status, refund.Error, (await _stage.PaymentAsync(payment.Id)).Status));

        _stage.Stripe.RefundStatus = "succeeded";
        _stage.Stripe.Next(new StripeAnswer.AcceptThenHang());
        Assert.True((await RefundAsync(payment.Id)).IsOk);
        await _stage.WorkAsync();

        Assert.Equal(("success", 2, "refunded"), (Assert.Single(await _stage.RefundsAsync()).Status, _stage.Stripe.Refunds.Count, (await _stage.PaymentAsync(payment.Id)).Status));
    }

    [Fact]
    public async Task A_refund_that_is_told_of_before_the_success_is_not_lost()
    {
        var payment = (await _stage.OrderAsync("small")).Value.Payment!;
        var session = await _stage.PageAsync(payment.Id);
        var intent = _stage.Stripe.Pay(session);
        _stage.Stripe.GiveBack(session);

        Assert.Equal(200, await _stage.StripeEventAsync("charge.refunded", intent));
        await _stage.WorkAsync();

        Assert.Equal("refunded", (await _stage.PaymentAsync(payment.Id)).Status);
        Assert.Null(await _stage.CurrentAsync());
        Assert.Equal(["invoice", "credit_note"], (await _stage.InvoicesAsync()).Select(i => i.Kind));
        Assert.Equal("success", Assert.Single(await _stage.RefundsAsync()).Status);
    }

    [Fact]
    public async Task A_notice_that_comes_while_the_provider_is_being_asked_has_to_be_repeated()
    {
        var payment = (await _stage.OrderAsync("small")).Value.Payment!;
        var session = await _stage.PageAsync(payment.Id);
        await _stage.Platform.Postgres.ScalarAsync<int>($"UPDATE work.items SET state = 'running', owner = gen_random_uuid(), lease_until = now() + interval '1 hour' WHERE key = '{payment.Id}' RETURNING 1");

        Assert.Equal(503, await _stage.StripeEventAsync("charge.refunded", session));
    }

    [Fact]
    public async Task A_refund_at_PhonePe_is_asked_for_under_its_own_id()
    {
        var payment = (await _stage.OrderAsync("indian", provider: "phonepe")).Value.Payment!;
        await _stage.WorkAsync();
        _stage.PhonePe.Transactions[payment.MerchantTransactionId].Code = "PAYMENT_SUCCESS";
        await _stage.WorkAsync();
        await RefundAsync(payment.Id);
        await _stage.WorkAsync();

        Assert.Equal("refunded", (await _stage.PaymentAsync(payment.Id)).Status);
        Assert.Equal(2, _stage.PhonePe.Transactions.Count);
    }

    [Fact]
    public async Task A_pack_ordered_in_a_trial_goes_to_a_page_and_one_paid_too_late_is_given_back()
    {
        await _stage.OrderAsync("small", trial: true);
        var order = await _stage.Get<OrderPack>().RunAsync(_stage.Owner, new PackOrder("period"), default);
        var session = await _stage.PageAsync(order.Value.Id);
        Assert.Empty(_stage.Stripe.Intents);

        // The money was taken in time, and is told of after the end.
        _stage.Stripe.Pay(session, status: "processing");
        await _stage.PassAsync(TimeSpan.FromDays(14));
        FakeStripe.Become(session, "succeeded");
        await _stage.WorkAsync();

        Assert.Equal("refunded", (await _stage.PaymentAsync(order.Value.Id)).Status);
        Assert.Empty(await _stage.PacksAsync());
    }

    [Fact]
    public async Task What_Stripes_own_client_signs_is_genuine_and_what_we_sign_it_accepts()
    {
        var (body, secret, now) = ("""{"id":"evt_1","object":"event","data":{"object":{}}}""", "whsec_witness", TimeProvider.System.GetUtcNow());
        var answer = await Witness.AskAsync(
            """
            import Stripe from 'stripe';
            let text = ''; for await (const chunk of process.stdin) text += chunk;
            const { body, secret, signature } = JSON.parse(text);
            const stripe = new Stripe('sk_test_1');
            const event = stripe.webhooks.constructEvent(body, signature, secret);
            console.log(JSON.stringify({ id: event.id, signed: stripe.webhooks.generateTestHeaderString({ payload: body, secret }) }));
            """,
            new { body, secret, signature = StripeSignature.Sign(secret, body, now) });

        Assert.Equal("evt_1", answer.GetProperty("id").GetString());
        var signed = answer.GetProperty("signed").GetString()!;
        Assert.True(StripeSignature.IsGenuine(secret, signed, body, now));
        Assert.False(StripeSignature.IsGenuine(secret, signed, body + " ", now));
        Assert.False(StripeSignature.IsGenuine(secret, signed, body, now.AddMinutes(6)));
    }

    private async Task<(string Status, string? Code)> EndAsync(Guid id) => await _stage.PaymentAsync(id) is var p ? (p.Status, p.FailureCode) : default;

    private async Task<Payment> PackAsync(string pack)
    {
        var order = await _stage.Get<OrderPack>().RunAsync(_stage.Owner, new PackOrder(pack), default);
        await _stage.WorkAsync();
        return await _stage.PaymentAsync(order.Value.Id);
    }

    private Task<AgentPlatform.Kernel.Result<Refund>> RefundAsync(Guid payment) => _stage.Get<Refunds>().OrderAsync(_stage.Tenant.TenantId, payment, "Asked for.", default);
}
