using System.Collections.Concurrent;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace AgentPlatform.Chaos.Flows;

/// <summary>Something that was done for a trip. <paramref name="Reference"/> is what the provider answered.</summary>
internal sealed record Effect(string Trip, string Name, string Reference);

/// <summary>The provider that the steps call, with its own ledger: it drops repeated idempotency keys, refuses some steps, and outlives every host and database.</summary>
internal sealed class StepProvider : IAsyncDisposable
{
    private static readonly string[] Refused = ["decline", "deny"];

    private readonly WebApplication _app;
    private readonly ConcurrentDictionary<string, Effect> _byKey = new(StringComparer.Ordinal);
    private readonly ConcurrentQueue<Effect> _ledger = new();
    private int _requests;

    private StepProvider(WebApplication app) => _app = app;

    internal string Address => _app.Urls.First();

    internal int Requests => _requests;

    /// <summary>In the order in which it was done.</summary>
    internal IReadOnlyList<Effect> Ledger => [.. _ledger];

    internal static async Task<StepProvider> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        var app = builder.Build();
        var provider = new StepProvider(app);
        app.MapPost("/steps/{name}", provider.DoAsync);
        await app.StartAsync();
        return provider;
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    private async Task<IResult> DoAsync(string name, HttpRequest request)
    {
        var number = Interlocked.Increment(ref _requests);
        var body = await JsonSerializer.DeserializeAsync<JsonElement>(request.Body);
        if (Refused.Contains(name))
        {
            return Results.Json(new { error = $"No {name} today." }, statusCode: StatusCodes.Status422UnprocessableEntity);
        }

        var key = request.Headers["Idempotency-Key"].ToString();
        var effect = new Effect(body.GetProperty("n").GetString()!, name, $"{name}-{number}");
        if (_byKey.TryAdd(key, effect))
        {
            _ledger.Enqueue(effect);
        }

        return Results.Json(new { @ref = _byKey[key].Reference });
    }
}
