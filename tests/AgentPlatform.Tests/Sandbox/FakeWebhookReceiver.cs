using System.Collections.Concurrent;
using System.Globalization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace AgentPlatform.Tests.Sandbox;

/// <summary>A call the receiver got.</summary>
public sealed record ReceivedWebhook(string Body, IReadOnlyDictionary<string, string> Headers);

/// <summary>Somebody's webhook endpoint on loopback. It drops repeated webhook-ids, as receivers are told to.</summary>
public sealed class FakeWebhookReceiver : IAsyncDisposable
{
    private readonly WebApplication _server;
    private readonly ConcurrentQueue<(int Status, int? RetryAfter)> _answers = new();

    private FakeWebhookReceiver(WebApplication server) => _server = server;

    public string Address => $"{_server.Urls.First()}/hook";

    /// <summary>Every call, repeated ones included.</summary>
    public ConcurrentQueue<ReceivedWebhook> Calls { get; } = new();

    /// <summary>The webhook-ids it answered with success.</summary>
    public ConcurrentDictionary<string, string> Taken { get; } = new(StringComparer.Ordinal);

    public static async Task<FakeWebhookReceiver> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Logging.ClearProviders();
        var receiver = new FakeWebhookReceiver(builder.Build());
        receiver._server.MapPost("/hook", receiver.ReceiveAsync);
        await receiver._server.StartAsync();
        return receiver;
    }

    public FakeWebhookReceiver Next(int status, int? retryAfter = null)
    {
        _answers.Enqueue((status, retryAfter));
        return this;
    }

    public async ValueTask DisposeAsync()
    {
        await _server.StopAsync();
        await _server.DisposeAsync();
    }

    private async Task<IResult> ReceiveAsync(HttpRequest request)
    {
        using var reader = new StreamReader(request.Body);
        var call = new ReceivedWebhook(await reader.ReadToEndAsync(), request.Headers.ToDictionary(h => h.Key, h => h.Value.ToString(), StringComparer.OrdinalIgnoreCase));
        Calls.Enqueue(call);
        var (status, retryAfter) = _answers.TryDequeue(out var answer) ? answer : (200, null);
        if (retryAfter is { } seconds)
        {
            request.HttpContext.Response.Headers.RetryAfter = seconds.ToString(CultureInfo.InvariantCulture);
        }

        if (status < 300)
        {
            Taken.TryAdd(call.Headers["webhook-id"], call.Body);
        }

        return Results.Text("noted", statusCode: status);
    }
}
