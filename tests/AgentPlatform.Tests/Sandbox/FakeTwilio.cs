using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using System.Text.Json;
using AgentPlatform.Channels.Twilio;
using AgentPlatform.Kernel;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace AgentPlatform.Tests.Sandbox;

/// <summary>How the fake provider treats the next send.</summary>
public abstract record TwilioAnswer
{
    /// <summary>201 with a SID.</summary>
    public sealed record Accept : TwilioAnswer;

    /// <summary>Takes the message, then never answers.</summary>
    public sealed record AcceptThenHang : TwilioAnswer;

    /// <summary>Takes the message, then answers with a server error.</summary>
    public sealed record AcceptThenFail : TwilioAnswer;

    /// <summary>Takes the message and reports its delivery before it answers.</summary>
    public sealed record ReportThenAccept(string Status) : TwilioAnswer;

    /// <summary>Does not take it, and does not answer.</summary>
    public sealed record Hang : TwilioAnswer;

    /// <summary>Refuses it.</summary>
    public sealed record Refuse(int Status, int Code = 0, string Message = "Refused.", int? RetryAfter = null) : TwilioAnswer;
}

/// <summary>A message the fake provider has taken.</summary>
public sealed record TwilioMessage(string Sid, string To, string From, string Body, string? StatusCallback, DateTimeOffset At);

/// <summary>Twilio's message API on loopback: takes, refuses, loses its answers, lists, and reports deliveries, as the real one does on bad days.</summary>
public sealed class FakeTwilio : IAsyncDisposable
{
    public const string AccountSid = "AC00000000000000000000000000000001";
    public const string AuthToken = "sandbox-auth-token";

    private readonly WebApplication _server;
    private readonly ConcurrentQueue<TwilioAnswer> _answers = new();
    private readonly CancellationTokenSource _stopping = new();
    private readonly HttpClient _http = new();
    private int _count;

    private FakeTwilio(WebApplication server) => _server = server;

    public Uri Address => new(_server.Urls.First());

    /// <summary>What it has taken, in order.</summary>
    public ConcurrentQueue<TwilioMessage> Messages { get; } = new();

    /// <summary>Every send that was asked of it.</summary>
    public ConcurrentQueue<IReadOnlyDictionary<string, string>> Requests { get; } = new();

    /// <summary>The traces that the sends said they belong to, in the same order.</summary>
    public ConcurrentQueue<string> TraceParents { get; } = new();

    /// <summary>How often it was asked for a list of messages.</summary>
    public int Lists { get; private set; }

    /// <summary>Fails the next list requests.</summary>
    public int FailLists { get; set; }

    public static async Task<FakeTwilio> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Logging.ClearProviders();
        var fake = new FakeTwilio(builder.Build());
        fake._server.MapPost("/2010-04-01/Accounts/{sid}/Messages.json", fake.TakeAsync);
        fake._server.MapGet("/2010-04-01/Accounts/{sid}/Messages.json", fake.List);
        await fake._server.StartAsync();
        return fake;
    }

    public FakeTwilio Next(params TwilioAnswer[] answers)
    {
        foreach (var answer in answers)
        {
            _answers.Enqueue(answer);
        }

        return this;
    }

    /// <summary>Reports a status to the callback address the sender gave, signed; returns the platform's answer.</summary>
    public async Task<int> ReportAsync(TwilioMessage message, string status, string? errorCode = null)
    {
        var form = new Dictionary<string, string>(StringComparer.Ordinal) { ["MessageSid"] = message.Sid, ["MessageStatus"] = status, ["AccountSid"] = AccountSid, ["To"] = message.To };
        if (errorCode is not null)
        {
            form["ErrorCode"] = errorCode;
        }

        using var request = new HttpRequestMessage(HttpMethod.Post, message.StatusCallback) { Content = new FormUrlEncodedContent(form) };
        request.Headers.Add(TwilioSignature.Header, TwilioSignature.Sign(AuthToken, message.StatusCallback!, form));
        using var response = await _http.SendAsync(request);
        return (int)response.StatusCode;
    }

    public async ValueTask DisposeAsync()
    {
        if (_stopping.IsCancellationRequested)
        {
            return;
        }

        await _stopping.CancelAsync();
        await _server.StopAsync();
        await _server.DisposeAsync();
        _http.Dispose();
    }

    private async Task<IResult> TakeAsync(string sid, HttpRequest request)
    {
        if (sid != AccountSid || request.Headers.Authorization != $"Basic {Convert.ToBase64String(Encoding.UTF8.GetBytes($"{AccountSid}:{AuthToken}"))}")
        {
            return Results.Json(new { code = 20003, message = "Authenticate" }, statusCode: 401);
        }

        var form = (await request.ReadFormAsync()).ToDictionary(f => f.Key, f => f.Value.ToString(), StringComparer.Ordinal);
        TraceParents.Enqueue(request.Headers.TraceParent.ToString());
        Requests.Enqueue(form);
        var answer = _answers.TryDequeue(out var next) ? next : new TwilioAnswer.Accept();
        switch (answer)
        {
            case TwilioAnswer.Refuse refuse:
                if (refuse.RetryAfter is { } seconds)
                {
                    request.HttpContext.Response.Headers.RetryAfter = seconds.ToString(CultureInfo.InvariantCulture);
                }

                return Results.Json(new { code = refuse.Code, message = refuse.Message, status = refuse.Status }, statusCode: refuse.Status);
            case TwilioAnswer.Hang:
                await HangAsync(request);
                return Results.Empty;
        }

        var message = Take(form);
        switch (answer)
        {
            case TwilioAnswer.AcceptThenHang:
                await HangAsync(request);
                return Results.Empty;
            case TwilioAnswer.AcceptThenFail:
                return Results.Json(new { code = 20500, message = "Internal error" }, statusCode: 500);
            case TwilioAnswer.ReportThenAccept report:
                await ReportAsync(message, report.Status);
                break;
        }

        return Results.Json(Shape(message), statusCode: 201);
    }

    private TwilioMessage Take(Dictionary<string, string> form)
    {
        var message = new TwilioMessage(
            $"SM{Interlocked.Increment(ref _count):d32}", form["To"], form.GetValueOrDefault("From") ?? form.GetValueOrDefault("MessagingServiceSid") ?? "", form["Body"],
            form.GetValueOrDefault("StatusCallback"), TimeProvider.System.GetUtcNow());
        Messages.Enqueue(message);
        return message;
    }

    private IResult List(HttpRequest request)
    {
        Lists++;
        if (FailLists > 0)
        {
            FailLists--;
            return Results.StatusCode(503);
        }

        // As the real one does: a filter by date of sending leaves out what has been taken and not sent yet.
        if (request.Query.Keys.Any(key => key.StartsWith("DateSent", StringComparison.Ordinal)))
        {
            return Results.Json(new { messages = Array.Empty<object>() });
        }

        var to = request.Query["To"].ToString();
        return Results.Json(new { messages = Messages.Where(m => to.Length == 0 || m.To == to).Reverse().Select(Shape) });
    }

    private static object Shape(TwilioMessage m) => JsonSerializer.SerializeToElement(new
    {
        sid = m.Sid,
        account_sid = AccountSid,
        to = m.To,
        from = m.From.StartsWith("MG", StringComparison.Ordinal) ? null : m.From,
        messaging_service_sid = m.From.StartsWith("MG", StringComparison.Ordinal) ? m.From : null,
        body = m.Body,
        status = "queued",
        direction = "outbound-api",
        num_segments = "1",
        date_created = m.At.ToString("R", CultureInfo.InvariantCulture),
    }, Json.Options);

    private async Task HangAsync(HttpRequest request)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(request.HttpContext.RequestAborted, _stopping.Token);
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
