using System.ComponentModel.DataAnnotations;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using AgentPlatform.Kernel;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Billing.Payments.Providers;

public sealed class StripeOptions
{
    /// <summary>The secret key. Default none: Stripe is not offered.</summary>
    public string? ApiKey { get; set; }

    /// <summary>The signing secret of the webhook endpoint <c>/webhooks/stripe</c>. Default none: its events are refused.</summary>
    public string? WebhookSecret { get; set; }

    /// <summary>Where Stripe's API is. Default <c>https://api.stripe.com</c>.</summary>
    [Url]
    public string BaseUrl { get; set; } = "https://api.stripe.com";

    /// <summary>Seconds until an unanswered call counts as unknown. Default 30.</summary>
    [Range(0.1, 120)]
    public double TimeoutSeconds { get; set; } = 30;
}

/// <summary>
/// Stripe: a Checkout page, which saves the method for later, or a PaymentIntent of a saved method. Periods are charged by us, so there is no subscription at
/// Stripe. A charge whose answer was lost is looked for among the customer's PaymentIntents before it is tried again.
/// </summary>
internal sealed class StripeProvider(ProviderClient client, IOptions<StripeOptions> options, IOptions<BillingOptions> billing, IConfiguration configuration, TimeProvider clock) : IPaymentProvider
{
    public string Name => "stripe";

    public bool IsConfigured => options.Value.ApiKey is not null;

    public string? Currency => null;

    public async Task<PaymentAnswer> BeginAsync(Payment payment, CancellationToken ct)
    {
        var reply = payment.MethodId is null
            ? await PostAsync("/v1/checkout/sessions", PageOf(payment), $"{payment.MerchantTransactionId}-{payment.Attempts}", ct)
            : await PostAsync("/v1/payment_intents", ChargeOf(payment), $"{payment.MerchantTransactionId}-{payment.Attempts}", ct);
        return reply switch
        {
            { NotReached: { } why } => new PaymentAnswer.Unavailable(why),
            { IsTurnedAway: true } => new PaymentAnswer.Unavailable(Error(reply)),
            { IsUncertain: true } => new PaymentAnswer.Unknown(reply.Says),
            { IsOk: false } => new PaymentAnswer.Refused(reply.Text("error", "decline_code") ?? reply.Text("error", "code") ?? "refused", Error(reply)),
            _ => Read(reply),
        };
    }

    public async Task<PaymentAnswer> AskAsync(Payment payment, CancellationToken ct)
    {
        if (payment.ProviderRef is null && payment.MethodId is null)
        {
            // A page whose address was lost was shown to nobody.
            return new PaymentAnswer.NotThere();
        }

        var reply = await GetAsync(payment.ProviderRef switch
        {
            null => $"/v1/payment_intents?customer={payment.CustomerId}&limit=100&created[gte]={payment.CalledAt!.Value.AddMinutes(-5).ToUnixTimeSeconds()}&expand[]=data.latest_charge",
            var page when page.StartsWith("cs_", StringComparison.Ordinal) => $"/v1/checkout/sessions/{page}?expand[]=payment_intent.latest_charge",
            var charge => $"/v1/payment_intents/{charge}?expand[]=latest_charge",
        }, ct);
        return reply switch
        {
            { Status: HttpStatusCode.NotFound } => new PaymentAnswer.NotThere(),
            { IsOk: false } => new PaymentAnswer.Unavailable(Error(reply)),
            _ when payment.ProviderRef is null => Among(reply, payment),
            _ => Read(reply),
        };
    }

    public async Task<RefundAnswer> RefundAsync(RefundCall refund, CancellationToken ct)
    {
        var form = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["payment_intent"] = refund.Payment.TransactionId!,
            ["metadata[payment]"] = refund.Payment.MerchantTransactionId,
            ["metadata[refund]"] = refund.MerchantRefundId,
        };
        var reply = await PostAsync("/v1/refunds", form, $"{refund.MerchantRefundId}-{refund.Attempt}", ct);
        return reply switch
        {
            { NotReached: { } why } => new RefundAnswer.Unavailable(why),
            { IsTurnedAway: true } => new RefundAnswer.Unavailable(Error(reply)),
            { IsUncertain: true } => new RefundAnswer.Unknown(reply.Says),
            { IsOk: false } => new RefundAnswer.Refused(Error(reply)),
            _ => ReadRefund(reply),
        };
    }

    public async Task<RefundAnswer> AskRefundAsync(RefundCall refund, CancellationToken ct)
    {
        var reply = await GetAsync($"/v1/refunds?payment_intent={refund.Payment.TransactionId}&limit=100", ct);
        if (!reply.IsOk)
        {
            return new RefundAnswer.Unavailable(Error(reply));
        }

        var ours = Listed(reply).Where(r => r.Text("metadata", "refund") == refund.MerchantRefundId).ToList();
        return ours is [var newest, ..] ? ReadRefund(newest) : new RefundAnswer.NotThere();
    }

    public Result<string?> ReadNotice(IHeaderDictionary headers, string body)
    {
        if (options.Value.WebhookSecret is not { } secret || !StripeSignature.IsGenuine(secret, headers["Stripe-Signature"].ToString(), body, clock.GetUtcNow()))
        {
            return Problem.Forbidden("bad_signature", "The signature is not Stripe's.");
        }

        var subject = new ProviderReply(HttpStatusCode.OK, JsonSerializer.Deserialize<JsonElement>(body), null, null);
        return subject.Text("data", "object", "metadata", "payment") ?? subject.Text("data", "object", "client_reference_id");
    }

    /// <summary>Pure. A session with its intent, or an intent.</summary>
    private static PaymentAnswer Read(ProviderReply reply)
    {
        if (reply.Text("object") == "payment_intent")
        {
            return OfIntent(reply, reply.Text("id")!, isPage: false);
        }

        var expires = reply.Number("expires_at") is { } at ? DateTimeOffset.FromUnixTimeSeconds(at) : default(DateTimeOffset?);
        var open = new PaymentAnswer.Open(reply.Text("id")!, reply.Text("url"), expires, Processing: false);
        return reply.Text("status") switch
        {
            "expired" => new PaymentAnswer.Refused("expired", "Nobody paid at the page in time."),
            // Also when it is complete and not paid: the intent tells whether the money is still on its way.
            _ when reply.Get("payment_intent") is { ValueKind: JsonValueKind.Object } intent => OfIntent(reply with { Body = intent }, open.Ref, isPage: reply.Text("status") == "open", open),
            _ => open,
        };
    }

    private static PaymentAnswer OfIntent(ProviderReply intent, string reference, bool isPage, PaymentAnswer.Open? page = null) => intent.Text("status") switch
    {
        "succeeded" => new PaymentAnswer.Paid(
            reference, intent.Text("id")!, intent.Number("amount_received") ?? 0, intent.Text("currency")!.ToUpperInvariant(),
            intent.Text("latest_charge", "payment_method_details", "type"), intent.Text("customer"), intent.Text("payment_method"), intent.Number("latest_charge", "amount_refunded") ?? 0),
        "processing" => new PaymentAnswer.Open(reference, page?.PayUrl, page?.ExpiresAt, Processing: true),
        // At a page that is open another card may be tried.
        "requires_payment_method" or "requires_action" or "requires_confirmation" when isPage => page!,
        var status => new PaymentAnswer.Refused(intent.Text("last_payment_error", "code") ?? status ?? "refused", intent.Text("last_payment_error", "message") ?? $"The payment is {status}."),
    };

    private static PaymentAnswer Among(ProviderReply list, Payment payment) =>
        Listed(list).Where(i => i.Text("metadata", "payment") == payment.MerchantTransactionId).Select(Read).OrderByDescending(a => a is PaymentAnswer.Paid).FirstOrDefault()
            ?? new PaymentAnswer.NotThere();

    private static RefundAnswer ReadRefund(ProviderReply refund) => refund.Text("status") switch
    {
        "succeeded" => new RefundAnswer.Done(refund.Text("id")!),
        "failed" or "canceled" => new RefundAnswer.Refused(refund.Text("failure_reason") ?? "The refund failed."),
        _ => new RefundAnswer.Open(refund.Text("id")!),
    };

    private static IEnumerable<ProviderReply> Listed(ProviderReply list) =>
        list.Get("data") is { ValueKind: JsonValueKind.Array } data ? data.EnumerateArray().Select(item => list with { Body = item }) : [];

    private static string Error(ProviderReply reply) => reply.Text("error", "message") ?? reply.Says;

    private Dictionary<string, string> PageOf(Payment payment)
    {
        var back = billing.Value.ReturnUrl ?? configuration["PublicBaseUrl"] ?? "http://localhost:7071";
        var form = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["mode"] = "payment",
            ["client_reference_id"] = payment.MerchantTransactionId,
            ["metadata[payment]"] = payment.MerchantTransactionId,
            ["payment_intent_data[metadata][payment]"] = payment.MerchantTransactionId,
            ["payment_intent_data[setup_future_usage]"] = "off_session",
            ["line_items[0][quantity]"] = "1",
            ["line_items[0][price_data][currency]"] = payment.Currency.ToLowerInvariant(),
            ["line_items[0][price_data][unit_amount]"] = payment.Total.ToString(CultureInfo.InvariantCulture),
            ["line_items[0][price_data][product_data][name]"] = payment.Description,
            ["expires_at"] = clock.GetUtcNow().AddHours(billing.Value.CheckoutHours).AddMinutes(-1).ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture),
            ["success_url"] = back,
            ["cancel_url"] = back,
        };
        form.Add(payment.CustomerId is null ? "customer_creation" : "customer", payment.CustomerId ?? "always");
        return form;
    }

    private static Dictionary<string, string> ChargeOf(Payment payment) => new(StringComparer.Ordinal)
    {
        ["amount"] = payment.Total.ToString(CultureInfo.InvariantCulture),
        ["currency"] = payment.Currency.ToLowerInvariant(),
        ["customer"] = payment.CustomerId!,
        ["payment_method"] = payment.MethodId!,
        ["off_session"] = "true",
        ["confirm"] = "true",
        ["description"] = payment.Description,
        ["metadata[payment]"] = payment.MerchantTransactionId,
        ["expand[]"] = "latest_charge",
    };

    private async Task<ProviderReply> PostAsync(string path, Dictionary<string, string> form, string key, CancellationToken ct)
    {
        using var request = Request(HttpMethod.Post, path);
        request.Content = new FormUrlEncodedContent(form);
        request.Headers.Add("Idempotency-Key", key);
        return await client.SendAsync(request, TimeSpan.FromSeconds(options.Value.TimeoutSeconds), ct);
    }

    private async Task<ProviderReply> GetAsync(string path, CancellationToken ct)
    {
        using var request = Request(HttpMethod.Get, path);
        return await client.SendAsync(request, TimeSpan.FromSeconds(options.Value.TimeoutSeconds), ct);
    }

    private HttpRequestMessage Request(HttpMethod method, string path)
    {
        var request = new HttpRequestMessage(method, options.Value.BaseUrl.TrimEnd('/') + path);
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", options.Value.ApiKey);
        return request;
    }
}
