using System.ComponentModel.DataAnnotations;
using AgentPlatform.Billing.Catalogue;
using AgentPlatform.Billing.Invoices;
using AgentPlatform.Billing.Payments;
using AgentPlatform.Billing.Payments.Providers;
using AgentPlatform.Billing.Subscriptions;
using AgentPlatform.Billing.Usage;
using AgentPlatform.Events;
using AgentPlatform.Postgres;
using AgentPlatform.Work;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Billing;

/// <summary>What the installation asks of its workspaces, and who sells.</summary>
public sealed class BillingOptions
{
    /// <summary>Whether a workspace without a subscription may execute nothing; else it is unlimited. Default false.</summary>
    public bool SubscriptionRequired { get; set; }

    /// <summary>Hours that a payment page may be used. Default 24.</summary>
    [Range(1, 24)]
    public int CheckoutHours { get; set; } = 24;

    /// <summary>Days after its period that an unpaid subscription is kept. Default 7.</summary>
    [Range(1, 90)]
    public int GraceDays { get; set; } = 7;

    /// <summary>Where the payment page sends people back to; <c>PublicBaseUrl</c> when it is not set. Default none.</summary>
    public string? ReturnUrl { get; set; }

    /// <summary>The name on invoices. Default <c>AgentPlatform</c>.</summary>
    [Required]
    public string SellerName { get; set; } = "AgentPlatform";

    /// <summary>The address on invoices. Default none.</summary>
    public string? SellerAddress { get; set; }

    /// <summary>The seller's GSTIN: with it, rupees are taxed. Default none.</summary>
    public string? SellerGstin { get; set; }

    /// <summary>The seller's state, which divides GST into CGST and SGST for its own buyers. Default none.</summary>
    public string? SellerState { get; set; }

    /// <summary>Percent of GST on what is sold in rupees. Default 18.</summary>
    [Range(0, 100)]
    public int GstPercent { get; set; } = 18;

    /// <summary>The IANA zone in which the seller's fiscal year begins with April. Default <c>Asia/Kolkata</c>.</summary>
    [Required]
    public string SellerTimeZone { get; set; } = "Asia/Kolkata";
}

public static class BillingModule
{
    public static IServiceCollection AddBilling(this IServiceCollection services)
    {
        services.AddOptions<BillingOptions>().BindConfiguration("Billing").ValidateDataAnnotations()
            .Validate(o => TimeZoneInfo.TryFindSystemTimeZoneById(o.SellerTimeZone, out _), "Billing:SellerTimeZone must be an IANA time zone.")
            .Validate(o => o.SellerGstin is null || o.SellerState is not null, "Billing:SellerGstin needs Billing:SellerState.").ValidateOnStart();
        services.AddOptions<StripeOptions>().BindConfiguration("Billing:Stripe").ValidateDataAnnotations().ValidateOnStart();
        services.AddOptions<PhonePeOptions>().BindConfiguration("Billing:PhonePe").ValidateDataAnnotations().ValidateOnStart();
        services.AddHttpClient(ProviderClient.Name).RemoveAllLoggers();
        services.AddSingleton<ProviderClient>().AddSingleton<IPaymentProvider, StripeProvider>().AddSingleton<IPaymentProvider, PhonePeProvider>().AddSingleton<PaymentProviders>();
        services.AddSingleton<Offers>().AddSingleton<ApplyCatalogue>().AddSingleton<Buyers>();
        services.AddSingleton<SubscriptionStore>().AddSingleton<UsageRecords>().AddSingleton<ReadStanding>().AddSingleton<Subscribe>().AddSingleton<ChangeSubscription>().AddSingleton<EndSubscription>()
            .AddSingleton<OrderPack>().AddSingleton<OrderAddOn>().AddSingleton<AddOnStore>();
        services.AddSingleton<PaymentStore>().AddSingleton<PlacePayment>().AddSingleton<SettlePayment>().AddSingleton<Fulfilment>().AddSingleton<IssueInvoice>();
        services.AddSingleton<InvoiceArchive>();
        services.AddSingleton(p => new Refunds(
            p.GetRequiredService<Database>(), p.GetRequiredService<PaymentStore>(), p.GetRequiredService<Fulfilment>(), p.GetRequiredService<IssueInvoice>(),
            p.GetRequiredService<EventStore>(), p.GetRequiredService<WorkQueue>(), p.GetRequiredService<TimeProvider>()));
        services.AddSingleton(p => new PaymentWebhooks(
            p.GetRequiredService<PaymentProviders>(), p.GetRequiredService<Database>(), p.GetRequiredService<WorkQueue>(), p.GetRequiredService<PaymentStore>()));
        services.AddSingleton(p => new ExecutionAllowance(p.GetRequiredService<IOptions<BillingOptions>>(), p.GetRequiredService<TimeProvider>()));
        services.AddWorkHandler<MakePayment>(PlacePayment.WorkKind, kind => kind.MaxAttempts = 25);
        services.AddWorkHandler<MakeRefund>(Refunds.WorkKind, kind => kind.MaxAttempts = 25);
        services.AddWorkHandler<ExpirePack>(ExpirePack.WorkKind);
        return services.AddWorkHandler<SubscriptionClock>(SubscriptionClock.WorkKind, kind => kind.MaxAttempts = 100);
    }

    public static void MapBilling(this IEndpointRouteBuilder v1) => BillingApi.Map(v1);
}
