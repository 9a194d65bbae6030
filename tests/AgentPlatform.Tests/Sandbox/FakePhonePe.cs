using System.Collections.Concurrent;
using System.Text;
using System.Text.Json;
using AgentPlatform.Billing.Payments.Providers;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace AgentPlatform.Tests.Sandbox;

/// <summary>A payment, or a refund, as the fake keeps it.</summary>
public sealed class PhonePeTransaction
{
    public string TransactionId { get; init; } = "";

    public long Amount { get; set; }

    public string Code { get; set; } = "PAYMENT_PENDING";
}

/// <summary>PhonePe's pay page, status and refund on loopback: refuses a wrong checksum, loses answers, and calls back.</summary>
public sealed class FakePhonePe : IAsyncDisposable
{
    public const string MerchantId = "SANDBOX";
    public const string SaltKey = "sandbox-salt";

    private readonly WebApplication _server;
    private int _count;

    private FakePhonePe(WebApplication server) => _server = server;

    public Uri Address => new(_server.Urls.First());

    public ConcurrentDictionary<string, PhonePeTransaction> Transactions { get; } = new(StringComparer.Ordinal);

    /// <summary>Takes the next payments, and answers with an error.</summary>
    public int LoseAnswers { get; set; }

    /// <summary>Turns everybody away.</summary>
    public bool IsClosed { get; set; }

    public static async Task<FakePhonePe> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Logging.ClearProviders();
        var fake = new FakePhonePe(builder.Build());
        fake._server.MapPost("/pg/v1/pay", fake.PayAsync);
        fake._server.MapPost("/pg/v1/refund", fake.RefundAsync);
        fake._server.MapGet("/pg/v1/status/{merchant}/{transaction}", fake.Status);
        await fake._server.StartAsync();
        return fake;
    }

    /// <summary>The callback about a payment, as it is sent: body and checksum.</summary>
    public (string Body, string Verify) Callback(string merchantTransactionId)
    {
        var response = Convert.ToBase64String(Encoding.UTF8.GetBytes(JsonSerializer.Serialize(Shape(merchantTransactionId))));
        return (JsonSerializer.Serialize(new { response }), PhonePeSignature.Sign(response, SaltKey, 1));
    }

    public async ValueTask DisposeAsync()
    {
        await _server.StopAsync();
        await _server.DisposeAsync();
    }

    private async Task<IResult> PayAsync(HttpRequest request)
    {
        if (await ReadAsync(request, "/pg/v1/pay") is not { } payload)
        {
            return Refused;
        }

        var id = payload.GetProperty("merchantTransactionId").GetString()!;
        Transactions.TryAdd(id, new PhonePeTransaction { TransactionId = $"T{Interlocked.Increment(ref _count)}", Amount = payload.GetProperty("amount").GetInt64() });
        if (LoseAnswers > 0)
        {
            LoseAnswers--;
            return Results.Json(new { success = false, code = "INTERNAL_SERVER_ERROR" }, statusCode: 500);
        }

        return Results.Json(new { success = true, code = "PAYMENT_INITIATED", data = new { instrumentResponse = new { redirectInfo = new { url = $"https://pay.phonepe.test/{id}" } } } });
    }

    private async Task<IResult> RefundAsync(HttpRequest request)
    {
        if (await ReadAsync(request, "/pg/v1/refund") is not { } payload)
        {
            return Refused;
        }

        var original = Transactions[payload.GetProperty("originalTransactionId").GetString()!];
        var id = payload.GetProperty("merchantTransactionId").GetString()!;
        Transactions[id] = new PhonePeTransaction
        {
            TransactionId = $"R{Interlocked.Increment(ref _count)}",
            Amount = payload.GetProperty("amount").GetInt64(),
            Code = original.Amount == payload.GetProperty("amount").GetInt64() ? "PAYMENT_SUCCESS" : "PAYMENT_ERROR",
        };
        return Results.Json(Shape(id));
    }

    private IResult Status(HttpRequest request, string merchant, string transaction)
    {
        if (IsClosed || request.Headers["X-VERIFY"] != PhonePeSignature.Sign($"/pg/v1/status/{merchant}/{transaction}", SaltKey, 1) || request.Headers["X-MERCHANT-ID"] != MerchantId)
        {
            return Refused;
        }

        return Transactions.ContainsKey(transaction) ? Results.Json(Shape(transaction)) : Results.Json(new { success = false, code = "TRANSACTION_NOT_FOUND" }, statusCode: 404);
    }

    private static IResult Refused => Results.Json(new { success = false, code = "AUTHORIZATION_FAILED", message = "Unauthorized" }, statusCode: 401);

    private async Task<JsonElement?> ReadAsync(HttpRequest request, string path)
    {
        var encoded = (await JsonSerializer.DeserializeAsync<JsonElement>(request.Body)).GetProperty("request").GetString()!;
        return IsClosed || request.Headers["X-VERIFY"] != PhonePeSignature.Sign(encoded + path, SaltKey, 1)
            ? null
            : JsonSerializer.Deserialize<JsonElement>(Convert.FromBase64String(encoded));
    }

    private object Shape(string id) => new
    {
        success = Transactions[id].Code == "PAYMENT_SUCCESS",
        code = Transactions[id].Code,
        message = Transactions[id].Code,
        data = new
        {
            merchantId = MerchantId,
            merchantTransactionId = id,
            transactionId = Transactions[id].TransactionId,
            amount = Transactions[id].Amount,
            paymentInstrument = new { type = "UPI" },
        },
    };
}
