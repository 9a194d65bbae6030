using AgentPlatform.Api;
using AgentPlatform.Billing.Catalogue;
using AgentPlatform.Billing.Invoices;
using AgentPlatform.Billing.Payments;
using AgentPlatform.Billing.Subscriptions;
using AgentPlatform.Billing.Usage;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Billing;

internal static class BillingApi
{
    internal static void Map(IEndpointRouteBuilder v1)
    {
        var billing = v1.MapGroup("/billing").WithTags("Billing");
        MapCatalogue(billing);
        MapStanding(billing);
        MapSubscription(billing);
        MapChanges(billing);
        MapOrders(billing);
        MapMoney(billing);
    }

    private static void MapCatalogue(RouteGroupBuilder billing)
    {
        billing.MapGet("/tiers", async (HttpContext http, Database database, Offers offers, CancellationToken ct) =>
            await http.PageAsync(database, null, null, (tx, _) => offers.TiersAsync(tx, ct)))
            .RequireScope("billing:read").Describe("listTiers", "The tiers that are offered, with their prices at each payment frequency.").Produces<Page<Tier>>();
        billing.MapGet("/packs", async (HttpContext http, Database database, Offers offers, CancellationToken ct) =>
            await http.PageAsync(database, null, null, (tx, _) => offers.PacksAsync(tx, ct)))
            .RequireScope("billing:read").Describe("listPacks", "The packs of executions that are offered.").Produces<Page<ExecutionPack>>();
        billing.MapGet("/add-ons", async (HttpContext http, Database database, Offers offers, CancellationToken ct) =>
            await http.PageAsync(database, null, null, (tx, _) => offers.AddOnsAsync(tx, ct)))
            .RequireScope("billing:read").Describe("listAddOns", "The add-ons that are offered.").Produces<Page<AgentAddOn>>();
    }

    private static void MapStanding(RouteGroupBuilder billing)
    {
        billing.MapGet("/standing", async (HttpContext http, Database database, ReadStanding standing, CancellationToken ct) =>
            await http.OneAsync<Standing>(database, async tx => await standing.RunAsync(tx, ct), "standing"))
            .RequireScope("billing:read").Describe("getStanding", "The workspace's tier and status, its limits and what is used of them.").Produces<Standing>();
        billing.MapGet("/buyer", async (HttpContext http, Database database, Buyers buyers, CancellationToken ct) =>
            await http.OneAsync(database, tx => buyers.FindAsync(tx, ct), "buyer", b => b.UpdatedAt))
            .RequireScope("billing:read").Describe("getBuyer", "Whom the workspace's invoices are made out to.").Produces<Buyer>();
        billing.MapPut("/buyer", async (HttpContext http, IfMatch ifMatch, Buyers buyers, BuyerInput body, CancellationToken ct) =>
            (await buyers.SetAsync(http.Actor(), body, ifMatch, ct)).ToHttp(b => b.UpdatedAt))
            .RequireScope("billing:write").Describe("setBuyer", "Set whom further invoices are made out to.").Produces<Buyer>();
        billing.MapGet("/subscriptions", async (HttpContext http, Database database, SubscriptionStore subscriptions, CancellationToken ct, int? limit = null, string? cursor = null) =>
            await http.PageAsync(database, limit, cursor, (tx, page) => subscriptions.ListAsync(tx, page, ct)))
            .RequireScope("billing:read").Describe("listSubscriptions", "The workspace's subscriptions, earlier ones too, newest first.").Produces<Page<Subscription>>();
        billing.MapGet("/usage", async (HttpContext http, Database database, UsageRecords usage, CancellationToken ct, int? limit = null, string? cursor = null) =>
            await http.PageAsync(database, limit, cursor, (tx, page) => usage.ListAsync(tx, page, ct)))
            .RequireScope("billing:read").Describe("listUsage", "What each period used, beside its limits, newest first.").Produces<Page<UsageRecord>>();
        billing.MapGet("/executions", async (HttpContext http, Database database, UsageRecords usage, CancellationToken ct, int? limit = null, string? cursor = null) =>
            await http.PageAsync(database, limit, cursor, (tx, page) => usage.ExecutionsAsync(tx, page, ct)))
            .RequireScope("billing:read").Describe("listCountedExecutions", "The executions that were counted, and what they were taken from.").Produces<Page<CountedExecution>>();
    }

    private static void MapSubscription(RouteGroupBuilder billing)
    {
        billing.MapPost("/subscription", async (HttpContext http, Subscribe subscribe, SubscribeInput body, CancellationToken ct) =>
            (await subscribe.RunAsync(http.Actor(), body, ct)).ToAccepted(o => o.Payment is { } p ? $"/api/v1/billing/payments/{p.Id}" : "/api/v1/billing/subscription"))
            .RequireScope("billing:write").Sensitive("subscription.order", "subscription").Describe("subscribe", "Order a subscription, or begin its trial.").Produces<Ordered>(StatusCodes.Status202Accepted);
        billing.MapPost("/subscription/pay", async (HttpContext http, Subscribe subscribe, CancellationToken ct) =>
            (await subscribe.PayAsync(http.Actor(), ct)).ToAccepted(o => $"/api/v1/billing/payments/{o.Payment!.Id}"))
            .RequireScope("billing:write").Describe("paySubscription", "Open a payment page for a trial, or for a period that is due.").Produces<Ordered>(StatusCodes.Status202Accepted);
        billing.MapGet("/subscription", async (HttpContext http, Database database, SubscriptionStore subscriptions, CancellationToken ct) =>
            await http.OneAsync(database, tx => subscriptions.CurrentAsync(tx, ct), "subscription", s => s.UpdatedAt))
            .RequireScope("billing:read").Describe("getSubscription", "The workspace's current subscription.").Produces<Subscription>();
    }

    private static void MapChanges(RouteGroupBuilder billing)
    {
        billing.MapPost("/subscription/cancel", async (HttpContext http, IfMatch ifMatch, ChangeSubscription change, CancelInput body, CancellationToken ct) =>
            (await change.CancelAsync(http.Actor(), body, ifMatch, ct)).ToHttp(s => s.UpdatedAt))
            .RequireScope("billing:write").Sensitive("subscription.cancel", "subscription").Describe("cancelSubscription", "Cancel at the end of the period, or at once.").Produces<Subscription>();
        billing.MapPost("/subscription/keep", async (HttpContext http, IfMatch ifMatch, ChangeSubscription change, CancellationToken ct) =>
            (await change.KeepAsync(http.Actor(), ifMatch, ct)).ToHttp(s => s.UpdatedAt))
            .RequireScope("billing:write").Describe("keepSubscription", "Take back a cancellation at the end of the period.").Produces<Subscription>();
        billing.MapPost("/subscription/pause", async (HttpContext http, IfMatch ifMatch, ChangeSubscription change, CancellationToken ct) =>
            (await change.PauseAsync(http.Actor(), ifMatch, ct)).ToHttp(s => s.UpdatedAt))
            .RequireScope("billing:write").Describe("pauseSubscription", "Execute nothing, and pay no further period, until it is resumed.").Produces<Subscription>();
        billing.MapPost("/subscription/resume", async (HttpContext http, IfMatch ifMatch, ChangeSubscription change, CancellationToken ct) =>
            (await change.ResumeAsync(http.Actor(), ifMatch, ct)).ToHttp(s => s.UpdatedAt))
            .RequireScope("billing:write").Describe("resumeSubscription", "Go on after a pause.").Produces<Subscription>();
    }

    private static void MapOrders(RouteGroupBuilder billing)
    {
        billing.MapGet("/bought-packs", async (HttpContext http, Database database, CancellationToken ct, int? limit = null, string? cursor = null, string? status = null) =>
            await http.PageAsync(database, limit, cursor, (tx, page) => OrderPack.ListAsync(tx, status, page, ct), Known(status, "active", "depleted", "expired")))
            .RequireScope("billing:read").Describe("listBoughtPacks", "The packs that were bought, newest first.").Produces<Page<BoughtPack>>();
        billing.MapPost("/bought-packs", async (HttpContext http, OrderPack packs, PackOrder body, CancellationToken ct) =>
            (await packs.RunAsync(http.Actor(), body, ct)).ToAccepted(p => $"/api/v1/billing/payments/{p.Id}"))
            .RequireScope("billing:write").Sensitive("pack.order", "payment").Describe("buyPack", "Order a pack of executions.").Produces<Payment>(StatusCodes.Status202Accepted);
        billing.MapGet("/bought-add-ons", async (HttpContext http, Database database, AddOnStore addOns, CancellationToken ct, int? limit = null, string? cursor = null, string? status = null) =>
            await http.PageAsync(database, limit, cursor, (tx, page) => addOns.ListAsync(tx, status, page, ct), Known(status, "active", "cancelled")))
            .RequireScope("billing:read").Describe("listBoughtAddOns", "The add-ons that were bought, newest first.").Produces<Page<BoughtAddOn>>();
        billing.MapGet("/bought-add-ons/{id:guid}", async (HttpContext http, Database database, AddOnStore addOns, Guid id, CancellationToken ct) =>
            await http.OneAsync(database, tx => addOns.FindAsync(tx, id, ct), "add_on", a => a.UpdatedAt))
            .RequireScope("billing:read").Describe("getBoughtAddOn", "One add-on that was bought.").Produces<BoughtAddOn>();
        billing.MapPost("/bought-add-ons", async (HttpContext http, OrderAddOn addOns, AddOnOrder body, CancellationToken ct) =>
            (await addOns.RunAsync(http.Actor(), body, ct)).ToAccepted(p => $"/api/v1/billing/payments/{p.Id}"))
            .RequireScope("billing:write").Sensitive("add_on.order", "payment").Describe("buyAddOn", "Order slots for agents.").Produces<Payment>(StatusCodes.Status202Accepted);
        billing.MapPost("/bought-add-ons/{id:guid}/cancel", async (HttpContext http, IfMatch ifMatch, OrderAddOn addOns, Guid id, CancellationToken ct) =>
            (await addOns.CancelAsync(http.Actor(), id, ifMatch, ct)).ToHttp(a => a.UpdatedAt))
            .RequireScope("billing:write").Describe("cancelAddOn", "Give up slots for agents, at once.").Produces<BoughtAddOn>();
    }

    private static void MapMoney(RouteGroupBuilder billing)
    {
        billing.MapGet("/payments", async (HttpContext http, Database database, PaymentStore payments, CancellationToken ct, int? limit = null, string? cursor = null, string? status = null) =>
            await http.PageAsync(database, limit, cursor, (tx, page) => payments.ListAsync(tx, status, page, ct), Known(status, "pending", "success", "failed", "refunded")))
            .RequireScope("billing:read").Describe("listPayments", "The workspace's payments, newest first.").Produces<Page<Payment>>();
        billing.MapGet("/payments/{id:guid}", async (HttpContext http, Database database, PaymentStore payments, Guid id, CancellationToken ct) =>
            await http.OneAsync(database, tx => payments.FindAsync(tx, id, ct), "payment", p => p.UpdatedAt))
            .RequireScope("billing:read").Describe("getPayment", "One payment; while it waits for somebody, with the address of its page.").Produces<Payment>();
        billing.MapGet("/refunds", async (HttpContext http, Database database, Refunds refunds, CancellationToken ct, int? limit = null, string? cursor = null, string? status = null) =>
            await http.PageAsync(database, limit, cursor, (tx, page) => refunds.ListAsync(tx, status, page, ct), Known(status, "pending", "success", "failed")))
            .RequireScope("billing:read").Describe("listRefunds", "Refunds, also those that failed, newest first.").Produces<Page<Refund>>();
        billing.MapGet("/invoices", async (HttpContext http, Database database, InvoiceArchive invoices, CancellationToken ct, int? limit = null, string? cursor = null) =>
            await http.PageAsync(database, limit, cursor, (tx, page) => invoices.ListAsync(tx, page, ct)))
            .RequireScope("billing:read").Describe("listInvoices", "Invoices and credit notes, newest first.").Produces<Page<Invoice>>();
        billing.MapGet("/invoices/{id:guid}", async (HttpContext http, Database database, InvoiceArchive invoices, Guid id, CancellationToken ct) =>
            await http.OneAsync(database, tx => invoices.FindAsync(tx, id, ct), "invoice"))
            .RequireScope("billing:read").Describe("getInvoice", "One invoice or credit note.").Produces<Invoice>();
        billing.MapGet("/invoices/{id:guid}/pdf", PdfAsync)
            .RequireScope("billing:read").Describe("getInvoicePdf", "The invoice as a page to print.").Produces(StatusCodes.Status200OK, contentType: "application/pdf");
    }

    private static async Task<IResult> PdfAsync(HttpContext http, Database database, InvoiceArchive invoices, Guid id, CancellationToken ct)
    {
        await using var tx = database.Begin(http.Actor());
        return await invoices.FindAsync(tx, id, ct) is { } invoice
            ? Results.Bytes(InvoicePdf.Of(invoice), "application/pdf", $"{invoice.InvoiceNumber.Replace('/', '-')}.pdf")
            : Problem.NotFound("invoice").ToHttp();
    }

    private static Problem? Known(string? status, params string[] known) => new Validation().OneOf("status", status, required: false, known).Problem;
}
