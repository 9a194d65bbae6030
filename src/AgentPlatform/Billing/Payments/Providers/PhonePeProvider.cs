using System.ComponentModel.DataAnnotations;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using AgentPlatform.Kernel;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Billing.Payments.Providers;

public sealed class PhonePeOptions
{
    /// <summary>The merchant's id. Default none: PhonePe is not offered.</summary>
    public string? MerchantId { get; set; }

    /// <summary>The salt key that signs requests and callbacks. Default none.</summary>
    public string? SaltKey { get; set; }

    /// <summary>The index of the salt key. Default 1.</summary>
    [Range(1, 100)]
    public int SaltIndex { get; set; } = 1;

    /// <summary>Where PhonePe's API is. Default <c>https://api.phonepe.com/apis/hermes</c>.</summary>
    [Url]
    public string BaseUrl { get; set; } = "https://api.phonepe.com/apis/hermes";

    /// <summary>Seconds until an unanswered call counts as unknown. Default 30.</summary>
    [Range(0.1, 120)]
    public double TimeoutSeconds { get; set; } = 30;
}

/// <summary>PhonePe's standard checkout: a page for every payment, in rupees. A payment is known to it by our id, under which a lost answer is asked for.</summary>
internal sealed class PhonePeProvider(ProviderClient client, IOptions<PhonePeOptions> options, IOptions<BillingOptions> billing, IConfiguration configuration, TimeProvider clock) : IPaymentProvider
{
    public string Name => "phonepe";

    public bool IsConfigured => options.Value is { MerchantId: not null, SaltKey: not null };

    public string? Currency => "INR";

    public async Task<PaymentAnswer> BeginAsync(Payment payment, CancellationToken ct)
    {
        var reply = await PostAsync("/pg/v1/pay", new
        {
            merchantId = options.Value.MerchantId,
            merchantTransactionId = payment.MerchantTransactionId,
            merchantUserId = payment.MerchantTransactionId,
            amount = payment.Total,
            redirectUrl = billing.Value.ReturnUrl ?? BaseUrl,
            redirectMode = "REDIRECT",
            callbackUrl = $"{BaseUrl}/webhooks/phonepe",
            paymentInstrument = new { type = "PAY_PAGE" },
        }, ct);
        return reply switch
        {
            { NotReached: { } why } => new PaymentAnswer.Unavailable(why),
            { IsTurnedAway: true } => new PaymentAnswer.Unavailable(Error(reply)),
            _ when reply.IsUncertain || Code(reply) is "INTERNAL_SERVER_ERROR" => new PaymentAnswer.Unknown(Error(reply)),
            { IsOk: true } when reply.Text("data", "instrumentResponse", "redirectInfo", "url") is { } url =>
                new PaymentAnswer.Open(payment.MerchantTransactionId, url, clock.GetUtcNow().AddHours(billing.Value.CheckoutHours), Processing: false),
            _ => new PaymentAnswer.Refused(Code(reply) ?? "refused", Error(reply)),
        };
    }

    public async Task<PaymentAnswer> AskAsync(Payment payment, CancellationToken ct)
    {
        var reply = await StatusAsync(payment.MerchantTransactionId, ct);
        return Code(reply) switch
        {
            "PAYMENT_SUCCESS" => new PaymentAnswer.Paid(
                payment.MerchantTransactionId, reply.Text("data", "transactionId")!, reply.Number("data", "amount") ?? 0, "INR", reply.Text("data", "paymentInstrument", "type"), null, null, 0),
            "PAYMENT_PENDING" => new PaymentAnswer.Open(payment.MerchantTransactionId, null, null, Processing: false),
            "PAYMENT_ERROR" or "PAYMENT_DECLINED" or "PAYMENT_CANCELLED" or "TIMED_OUT" => new PaymentAnswer.Refused(Code(reply)!.ToLowerInvariant(), Error(reply)),
            "TRANSACTION_NOT_FOUND" => new PaymentAnswer.NotThere(),
            _ => new PaymentAnswer.Unavailable(Error(reply)),
        };
    }

    public async Task<RefundAnswer> RefundAsync(RefundCall refund, CancellationToken ct)
    {
        var reply = await PostAsync("/pg/v1/refund", new
        {
            merchantId = options.Value.MerchantId,
            merchantUserId = refund.Payment.MerchantTransactionId,
            originalTransactionId = refund.Payment.MerchantTransactionId,
            merchantTransactionId = IdOf(refund),
            amount = refund.Payment.Total,
            callbackUrl = $"{BaseUrl}/webhooks/phonepe",
        }, ct);
        return reply switch
        {
            { NotReached: { } why } => new RefundAnswer.Unavailable(why),
            { IsTurnedAway: true } => new RefundAnswer.Unavailable(Error(reply)),
            { IsUncertain: true } => new RefundAnswer.Unknown(Error(reply)),
            _ => ReadRefund(reply, refund),
        };
    }

    public async Task<RefundAnswer> AskRefundAsync(RefundCall refund, CancellationToken ct) => ReadRefund(await StatusAsync(IdOf(refund), ct), refund);

    public Result<string?> ReadNotice(IHeaderDictionary headers, string body)
    {
        var (salt, index) = (options.Value.SaltKey, options.Value.SaltIndex);
        var response = Response(body);
        return salt is not null && response is not null && PhonePeSignature.IsGenuine(headers["X-VERIFY"].ToString(), response, salt, index)
            ? new ProviderReply(HttpStatusCode.OK, JsonSerializer.Deserialize<JsonElement>(Convert.FromBase64String(response)), null, null).Text("data", "merchantTransactionId")
            : Problem.Forbidden("bad_signature", "The checksum is not PhonePe's.");
    }

    private string BaseUrl => configuration["PublicBaseUrl"]?.TrimEnd('/') ?? "http://localhost:7071";

    /// <summary>A refund that PhonePe has refused is tried again under another id.</summary>
    private static string IdOf(RefundCall refund) => $"{refund.MerchantRefundId}-{refund.Attempt}";

    private static string? Response(string body)
    {
        try
        {
            return JsonSerializer.Deserialize<JsonElement>(body).GetProperty("response").GetString();
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or KeyNotFoundException)
        {
            return null;
        }
    }

    private static RefundAnswer ReadRefund(ProviderReply reply, RefundCall refund) => Code(reply) switch
    {
        "PAYMENT_SUCCESS" => new RefundAnswer.Done(reply.Text("data", "transactionId") ?? IdOf(refund)),
        "PAYMENT_PENDING" => new RefundAnswer.Open(IdOf(refund)),
        "TRANSACTION_NOT_FOUND" => new RefundAnswer.NotThere(),
        null or "INTERNAL_SERVER_ERROR" or "AUTHORIZATION_FAILED" or "TOO_MANY_REQUESTS" => new RefundAnswer.Unavailable(Error(reply)),
        _ => new RefundAnswer.Refused(Error(reply)),
    };

    private static string? Code(ProviderReply reply) => reply.Text("code");

    private static string Error(ProviderReply reply) => reply.Text("message") ?? Code(reply) ?? reply.Says;

    private async Task<ProviderReply> StatusAsync(string merchantTransactionId, CancellationToken ct)
    {
        var path = $"/pg/v1/status/{options.Value.MerchantId}/{merchantTransactionId}";
        using var request = new HttpRequestMessage(HttpMethod.Get, options.Value.BaseUrl.TrimEnd('/') + path);
        request.Headers.Add("X-VERIFY", PhonePeSignature.Sign(path, options.Value.SaltKey!, options.Value.SaltIndex));
        request.Headers.Add("X-MERCHANT-ID", options.Value.MerchantId);
        return await client.SendAsync(request, TimeSpan.FromSeconds(options.Value.TimeoutSeconds), ct);
    }

    private async Task<ProviderReply> PostAsync(string path, object payload, CancellationToken ct)
    {
        var encoded = Convert.ToBase64String(JsonSerializer.SerializeToUtf8Bytes(payload));
        using var request = new HttpRequestMessage(HttpMethod.Post, options.Value.BaseUrl.TrimEnd('/') + path);
        request.Content = new StringContent(JsonSerializer.Serialize(new { request = encoded }), Encoding.UTF8, "application/json");
        request.Headers.Add("X-VERIFY", PhonePeSignature.Sign(encoded + path, options.Value.SaltKey!, options.Value.SaltIndex));
        return await client.SendAsync(request, TimeSpan.FromSeconds(options.Value.TimeoutSeconds), ct);
    }
}

/// <summary>The header <c>X-VERIFY</c>: SHA-256 over what is signed and the salt key, then <c>###</c> and the key's index.</summary>
internal static class PhonePeSignature
{
    internal static string Sign(string text, string saltKey, int saltIndex) =>
        $"{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text + saltKey)))}###{saltIndex}";

    internal static bool IsGenuine(string header, string text, string saltKey, int saltIndex) =>
        CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(header), Encoding.UTF8.GetBytes(Sign(text, saltKey, saltIndex)));
}
