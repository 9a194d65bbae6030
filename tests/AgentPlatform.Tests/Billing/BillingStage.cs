using System.Text;
using System.Text.Json.Nodes;
using AgentPlatform.Billing.Catalogue;
using AgentPlatform.Billing.Invoices;
using AgentPlatform.Billing.Payments;
using AgentPlatform.Billing.Subscriptions;
using AgentPlatform.Billing.Usage;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Tenancy;
using AgentPlatform.Tests.Conversations;
using AgentPlatform.Tests.Sandbox;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Tests.Billing;

/// <summary>A workspace that buys, both providers, and a clock that is moved by hand.</summary>
internal sealed class BillingStage : IAsyncDisposable
{
    internal static readonly DateTimeOffset Start = new(2026, 1, 31, 10, 0, 0, TimeSpan.Zero);

    private static readonly CatalogueFile Offered = new(
        [
            new("starter", "Starter", "USD", 99700, 5, 2, 200, SortOrder: 1, SetupFeeCents: 5000, TrialDays: 14),
            new("small", "Small", "USD", 10000, 2, 1, 3, SortOrder: 2, OverageCents: 50, OverageCapCents: 100, TrialDays: 14),
            new("indian", "Indian", "INR", 100001, 2, 1, 3, SortOrder: 2),
        ],
        [
            new("ten", "Ten executions", "USD", 900, ExecutionCount: 10, ValidForDays: 40, MinTier: "small", MaxPerMonth: 2),
            new("two", "Two executions", "USD", 300, ExecutionCount: 2, ValidForDays: 5),
            new("endless", "As many as you like", "USD", 5000, ValidForDays: 1),
            new("period", "To the period's end", "USD", 700, ExecutionCount: 7),
        ],
        [new("slots", "Slots", "USD", 2000, AdditionalAgents: 3, MinTier: "small", MaxPerUser: 2)]);

    private BillingStage(TestPlatform platform, StillClock clock, FakeStripe stripe, FakePhonePe phonePe, ProvisionedTenant tenant) =>
        (Platform, Clock, Stripe, PhonePe, Tenant) = (platform, clock, stripe, phonePe, tenant);

    internal TestPlatform Platform { get; }
    internal StillClock Clock { get; }
    internal FakeStripe Stripe { get; }
    internal FakePhonePe PhonePe { get; }
    internal ProvisionedTenant Tenant { get; }
    internal Actor Owner => new(Tenant.TenantId, Tenant.OwnerId, "owner");

    internal static async Task<BillingStage> StartAsync(params (string Key, string Value)[] settings)
    {
        var clock = new StillClock(Start);
        var stripe = await FakeStripe.StartAsync(clock);
        var phonePe = await FakePhonePe.StartAsync();
        var platform = await TestPlatform.StartAsync(services => services.AddSingleton<TimeProvider>(clock), Settings(stripe, phonePe, settings));
        Assert.True((await platform.Get<ApplyCatalogue>().RunAsync(Offered, default)).IsOk);
        return new(platform, clock, stripe, phonePe, await platform.ProvisionAsync());
    }

    internal static (string, string)[] Settings(FakeStripe stripe, FakePhonePe phonePe, params (string Key, string Value)[] more) =>
    [
        ("Billing:Stripe:ApiKey", FakeStripe.ApiKey), ("Billing:Stripe:WebhookSecret", FakeStripe.WebhookSecret), ("Billing:Stripe:BaseUrl", stripe.Address.ToString()),
        ("Billing:Stripe:TimeoutSeconds", "1"), ("Billing:PhonePe:MerchantId", FakePhonePe.MerchantId), ("Billing:PhonePe:SaltKey", FakePhonePe.SaltKey),
        ("Billing:PhonePe:BaseUrl", phonePe.Address.ToString()), ("Billing:SellerGstin", "29ABCDE1234F1Z5"), ("Billing:SellerState", "Karnataka"), .. more,
    ];

    public async ValueTask DisposeAsync()
    {
        await Platform.DisposeAsync();
        await Stripe.DisposeAsync();
        await PhonePe.DisposeAsync();
    }

    internal T Get<T>()
        where T : notnull => Platform.Get<T>();

    internal Task<T> ReadAsync<T>(Func<Transaction, Task<T>> read) => Platform.AsAsync(Owner, read);

    internal Task<Result<Ordered>> OrderAsync(string tier, string frequency = "monthly", string provider = "stripe", bool trial = false) =>
        Get<Subscribe>().RunAsync(Owner, new SubscribeInput(tier, frequency, provider, trial), default);

    /// <summary>Orders, pays at Stripe's page, and has a subscription.</summary>
    internal async Task<Subscription> SubscribedAsync(string tier = "small", string frequency = "monthly")
    {
        var payment = (await OrderAsync(tier, frequency)).Value.Payment!;
        await PayAtPageAsync(payment.Id);
        return (await CurrentAsync())!;
    }

    /// <summary>Opens the payment's page, and pays there.</summary>
    internal async Task<JsonObject> PayAtPageAsync(Guid payment, long? amount = null, string? currency = null)
    {
        var session = await PageAsync(payment);
        Stripe.Pay(session, amount, currency);
        await WorkAsync();
        return session;
    }

    internal async Task<JsonObject> PageAsync(Guid payment)
    {
        await WorkAsync();
        return Stripe.SessionOf((await PaymentAsync(payment)).PayUrl!);
    }

    internal Task<Subscription?> CurrentAsync() => ReadAsync(tx => Get<SubscriptionStore>().CurrentAsync(tx, default));

    internal async Task<Payment> PaymentAsync(Guid id) => (await ReadAsync(tx => Get<PaymentStore>().FindAsync(tx, id, default)))!;

    internal async Task<IReadOnlyList<Payment>> PaymentsAsync() => (await ReadAsync(tx => Get<PaymentStore>().ListAsync(tx, null, new PageRequest(200, null), default))).Items;

    internal async Task<IReadOnlyList<Refund>> RefundsAsync() => (await ReadAsync(tx => Get<Refunds>().ListAsync(tx, null, new PageRequest(200, null), default))).Items;

    internal async Task<IReadOnlyList<UsageRecord>> UsageAsync() => (await ReadAsync(tx => Get<UsageRecords>().ListAsync(tx, new PageRequest(200, null), default))).Items;

    internal async Task<IReadOnlyList<BoughtPack>> PacksAsync() => (await ReadAsync(tx => OrderPack.ListAsync(tx, null, new PageRequest(200, null), default))).Items;

    internal Task<IReadOnlyList<Invoice>> InvoicesAsync() => Get<InvoiceArchive>().OfAsync(Tenant.TenantId, default);

    /// <summary>Takes an execution as whoever executes does; true when it may start.</summary>
    internal async Task<Allowance> ExecuteAsync(Guid? id = null, int busy = 0, Guid? agent = null)
    {
        var allowance = Get<ExecutionAllowance>();
        var execution = id ?? TimeProvider.System.NewId();
        return await ReadAsync(async tx => await allowance.TakeAsync(tx, await allowance.LockAsync(tx, execution, default), execution, agent ?? Tenant.AgentId, () => Task.FromResult(busy), default));
    }

    internal async Task<int> ExecuteManyAsync(int times)
    {
        var granted = 0;
        for (var i = 0; i < times; i++)
        {
            granted += await ExecuteAsync() is Allowance.Granted ? 1 : 0;
        }

        return granted;
    }

    /// <summary>Everything of billing that waits for its time does what is due by the clock.</summary>
    internal async Task WorkAsync()
    {
        for (var round = 0; round < 3; round++)
        {
            await DueAsync();
            await Platform.DrainAsync();
        }
    }

    internal async Task DueAsync() => await Platform.Postgres.ScalarAsync<long>(
        "WITH due AS (UPDATE work.items SET run_at = now() WHERE kind LIKE 'billing.%' AND state = 'ready' RETURNING 1) SELECT count(*) FROM due");

    internal async Task PassAsync(TimeSpan time)
    {
        Clock.Advance(time);
        await WorkAsync();
    }

    internal async Task<int> StripeEventAsync(string type, JsonObject subject, string? signature = null)
    {
        var (body, signed) = Stripe.Event(type, subject);
        return await ReceiveAsync((hooks, request) => hooks.StripeAsync(request, default), "Stripe-Signature", signature ?? signed, body);
    }

    internal async Task<int> PhonePeCallbackAsync(string merchantTransactionId, string? verify = null)
    {
        var (body, signed) = PhonePe.Callback(merchantTransactionId);
        return await ReceiveAsync((hooks, request) => hooks.PhonePeAsync(request, default), "X-VERIFY", verify ?? signed, body);
    }

    private async Task<int> ReceiveAsync(Func<PaymentWebhooks, HttpRequest, Task<IResult>> receive, string header, string value, string body)
    {
        var http = new DefaultHttpContext { RequestServices = Platform.Services };
        http.Request.Headers[header] = value;
        http.Request.Body = new MemoryStream(Encoding.UTF8.GetBytes(body));
        http.Response.Body = new MemoryStream();
        await (await receive(Get<PaymentWebhooks>(), http.Request)).ExecuteAsync(http);
        return http.Response.StatusCode;
    }
}
