using System.Collections.Concurrent;
using System.Diagnostics;
using System.Security.Cryptography;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace AgentPlatform.Bench;

/// <summary>Twilio's message API on loopback: answers 201 at once and remembers when each recipient was first written to.</summary>
internal sealed class FakeTwilio : IAsyncDisposable
{
    private readonly WebApplication _app;

    private FakeTwilio(WebApplication app) => _app = app;

    /// <summary>Timestamps (<see cref="Stopwatch.GetTimestamp"/>) of the first call per recipient.</summary>
    internal ConcurrentDictionary<string, long> Calls { get; } = new(StringComparer.Ordinal);

    internal string Address => _app.Urls.First();

    internal static async Task<FakeTwilio> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        var app = builder.Build();
        var fake = new FakeTwilio(app);
        app.MapPost("/2010-04-01/Accounts/{account}/Messages.json", fake.AnswerAsync);
        await app.StartAsync();
        return fake;
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    private async Task<IResult> AnswerAsync(HttpRequest request)
    {
        var at = Stopwatch.GetTimestamp();
        var form = await request.ReadFormAsync();
        Calls.TryAdd(form["To"].ToString(), at);
        var sid = $"SM{RandomNumberGenerator.GetHexString(32, lowercase: true)}";
        return Results.Json(new { sid, status = "queued", num_segments = "1", to = form["To"].ToString(), body = form["Body"].ToString() }, statusCode: 201);
    }
}
