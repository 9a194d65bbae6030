using System.Collections.Concurrent;
using System.Text.Json;
using System.Text.Json.Nodes;
using AgentPlatform.Billing.Payments.Providers;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace AgentPlatform.Tests.Sandbox;

/// <summary>How the fake treats the next request that would move money.</summary>
public abstract record StripeAnswer
{
    public sealed record Accept : StripeAnswer;

    /// <summary>Takes it, and its answer is lost.</summary>
    public sealed record AcceptThenHang : StripeAnswer;

    /// <summary>Takes it, and answers with a server error.</summary>
    public sealed record AcceptThenFail : StripeAnswer;

    /// <summary>Does not take it.</summary>
    public sealed record Refuse(int Status, string Code = "card_declined") : StripeAnswer;
}

/// <summary>Stripe's Checkout, PaymentIntents and Refunds on loopback, with idempotency keys, filters of lists, and bad days.</summary>
public sealed class FakeStripe : IAsyncDisposable
{
    public const string ApiKey = "sk_test_sandbox";
    public const string WebhookSecret = "whsec_sandbox";

    private readonly WebApplication _server;
    private readonly ConcurrentQueue<StripeAnswer> _answers = new();
    private readonly ConcurrentDictionary<string, (int Status, string Body)> _replies = new(StringComparer.Ordinal);
    private readonly CancellationTokenSource _stopping = new();
    private readonly TimeProvider _clock;
    private int _count;

    private FakeStripe(WebApplication server, TimeProvider clock) => (_server, _clock) = (server, clock);

    public Uri Address => new(_server.Urls.First());

    public ConcurrentDictionary<string, JsonObject> Sessions { get; } = new(StringComparer.Ordinal);

    public ConcurrentDictionary<string, JsonObject> Intents { get; } = new(StringComparer.Ordinal);

    public ConcurrentDictionary<string, JsonObject> Refunds { get; } = new(StringComparer.Ordinal);

    /// <summary>Answers every question with this status, when it is set.</summary>
    public int? Questions { get; set; }

    /// <summary>What refunds become.</summary>
    public string RefundStatus { get; set; } = "succeeded";

    public int Charges => Intents.Values.Count(i => (string?)i["status"] == "succeeded");

    public static async Task<FakeStripe> StartAsync(TimeProvider clock)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Logging.ClearProviders();
        var fake = new FakeStripe(builder.Build(), clock);
        fake._server.MapPost("/v1/checkout/sessions", request => fake.MoveAsync(request, fake.OpenSession));
        fake._server.MapPost("/v1/payment_intents", request => fake.MoveAsync(request, fake.Charge));
        fake._server.MapPost("/v1/refunds", request => fake.MoveAsync(request, fake.Refund));
        fake._server.MapGet("/v1/checkout/sessions/{id}", (HttpContext http, string id) => fake.Read(http, fake.Sessions.TryGetValue(id, out var s) ? s : null));
        fake._server.MapGet("/v1/payment_intents/{id}", (HttpContext http, string id) => fake.Read(http, fake.Intents.TryGetValue(id, out var i) ? i : null));
        fake._server.MapGet("/v1/payment_intents", (HttpContext http) => fake.Read(http, List(fake.Intents.Values.Where(i =>
            (string?)i["customer"] == http.Request.Query["customer"] && (long)i["created"]! >= long.Parse(http.Request.Query["created[gte]"]!, System.Globalization.CultureInfo.InvariantCulture)))));
        fake._server.MapGet("/v1/refunds", (HttpContext http) => fake.Read(http, List(fake.Refunds.Values.Where(r => (string?)r["payment_intent"] == http.Request.Query["payment_intent"]))));
        await fake._server.StartAsync();
        return fake;
    }

    public FakeStripe Next(params StripeAnswer[] answers)
    {
        Array.ForEach(answers, _answers.Enqueue);
        return this;
    }

    /// <summary>The session whose page that is.</summary>
    public JsonObject SessionOf(string payUrl) => Sessions[payUrl[(payUrl.LastIndexOf('/') + 1)..]];

    /// <summary>Somebody pays at the page.</summary>
    public JsonObject Pay(JsonObject session, long? amount = null, string? currency = null, string status = "succeeded")
    {
        var intent = NewIntent(amount ?? (long)session["amount_total"]!, currency ?? (string)session["currency"]!, (string?)session["customer"] ?? $"cus_{Next()}", $"pm_{Next()}", (string)session["metadata"]!["payment"]!, status);
        session["payment_intent"] = intent.DeepClone();
        session["status"] = "complete";
        session["payment_status"] = status == "succeeded" ? "paid" : "unpaid";
        return intent;
    }

    /// <summary>What became of the intent of a session.</summary>
    public static void Become(JsonObject session, string status)
    {
        session["payment_intent"]!["status"] = status;
        session["payment_status"] = status == "succeeded" ? "paid" : "unpaid";
    }

    /// <summary>Given back at the dashboard.</summary>
    public void GiveBack(JsonObject session) => session["payment_intent"]!["latest_charge"]!["amount_refunded"] = (long)session["payment_intent"]!["amount_received"]!;

    /// <summary>An event about an object, as it is sent: body and signature.</summary>
    public (string Body, string Signature) Event(string type, JsonObject subject)
    {
        var body = new JsonObject { ["id"] = $"evt_{Next()}", ["type"] = type, ["data"] = new JsonObject { ["object"] = subject.DeepClone() } }.ToJsonString();
        return (body, StripeSignature.Sign(WebhookSecret, body, _clock.GetUtcNow()));
    }

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await _server.StopAsync();
        await _server.DisposeAsync();
    }

    private int Next() => Interlocked.Increment(ref _count);

    private async Task MoveAsync(HttpContext http, Func<Dictionary<string, string>, JsonObject> take)
    {
        if (http.Request.Headers.Authorization != $"Bearer {ApiKey}")
        {
            await WriteAsync(http, 401, """{"error":{"message":"Invalid API Key"}}""");
            return;
        }

        // As the real one does: the same key gets the same answer, whatever it was.
        var key = http.Request.Headers["Idempotency-Key"].ToString();
        if (_replies.TryGetValue(key, out var earlier))
        {
            await WriteAsync(http, earlier.Status, earlier.Body);
            return;
        }

        var form = (await http.Request.ReadFormAsync()).ToDictionary(f => f.Key, f => f.Value.ToString(), StringComparer.Ordinal);
        var answer = _answers.TryDequeue(out var next) ? next : new StripeAnswer.Accept();
        if (answer is StripeAnswer.Refuse refuse)
        {
            var body = JsonSerializer.Serialize(new { error = new { code = refuse.Code, message = $"Refused: {refuse.Code}." } });
            if (refuse.Status is not (401 or 429))
            {
                _replies[key] = (refuse.Status, body);
            }

            await WriteAsync(http, refuse.Status, body);
            return;
        }

        var taken = take(form).ToJsonString();
        _replies[key] = answer is StripeAnswer.AcceptThenFail ? (500, "{}") : (200, taken);
        if (answer is StripeAnswer.AcceptThenHang)
        {
            await HangAsync(http);
            return;
        }

        await WriteAsync(http, _replies[key].Status, _replies[key].Body);
    }

    private JsonObject OpenSession(Dictionary<string, string> form)
    {
        var id = $"cs_{Next()}";
        return Sessions[id] = new JsonObject
        {
            ["id"] = id,
            ["object"] = "checkout.session",
            ["status"] = "open",
            ["payment_status"] = "unpaid",
            ["url"] = $"https://checkout.stripe.test/{id}",
            ["expires_at"] = long.Parse(form["expires_at"], System.Globalization.CultureInfo.InvariantCulture),
            ["client_reference_id"] = form["client_reference_id"],
            ["customer"] = form.GetValueOrDefault("customer"),
            ["currency"] = form["line_items[0][price_data][currency]"],
            ["amount_total"] = long.Parse(form["line_items[0][price_data][unit_amount]"], System.Globalization.CultureInfo.InvariantCulture),
            ["metadata"] = new JsonObject { ["payment"] = form["metadata[payment]"] },
            ["payment_intent"] = null,
        };
    }

    private JsonObject Charge(Dictionary<string, string> form) => NewIntent(
        long.Parse(form["amount"], System.Globalization.CultureInfo.InvariantCulture), form["currency"], form["customer"], form["payment_method"], form["metadata[payment]"], "succeeded");

    private JsonObject NewIntent(long amount, string currency, string customer, string method, string payment, string status)
    {
        var id = $"pi_{Next()}";
        return Intents[id] = new JsonObject
        {
            ["id"] = id,
            ["object"] = "payment_intent",
            ["status"] = status,
            ["amount_received"] = amount,
            ["currency"] = currency,
            ["customer"] = customer,
            ["payment_method"] = method,
            ["created"] = _clock.GetUtcNow().ToUnixTimeSeconds(),
            ["metadata"] = new JsonObject { ["payment"] = payment },
            ["latest_charge"] = new JsonObject { ["amount_refunded"] = 0, ["payment_method_details"] = new JsonObject { ["type"] = "card" } },
        };
    }

    private JsonObject Refund(Dictionary<string, string> form)
    {
        var id = $"re_{Next()}";
        return Refunds[id] = new JsonObject
        {
            ["id"] = id,
            ["status"] = RefundStatus,
            ["failure_reason"] = RefundStatus == "failed" ? "lost_or_stolen_card" : null,
            ["payment_intent"] = form["payment_intent"],
            ["metadata"] = new JsonObject { ["payment"] = form["metadata[payment]"], ["refund"] = form["metadata[refund]"] },
        };
    }

    private Task Read(HttpContext http, JsonObject? found) =>
        Questions is { } status ? WriteAsync(http, status, """{"error":{"message":"Not now."}}""") : WriteAsync(http, found is null ? 404 : 200, found?.ToJsonString() ?? "{}");

    private static JsonObject List(IEnumerable<JsonObject> items) => new() { ["data"] = new JsonArray([.. items.Select(i => i.DeepClone())]) };

    private static Task WriteAsync(HttpContext http, int status, string body)
    {
        http.Response.StatusCode = status;
        http.Response.ContentType = "application/json";
        return http.Response.WriteAsync(body);
    }

    private async Task HangAsync(HttpContext http)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(http.RequestAborted, _stopping.Token);
        try
        {
            await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, either.Token);
        }
        catch (OperationCanceledException)
        {
            // The caller has given up, or the test is over.
        }
    }
}
