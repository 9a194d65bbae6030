using System.Collections.Concurrent;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace AgentPlatform.Tests.Workflows;

/// <summary>A foreign service on loopback that does what steps ask for, once per idempotency key, and remembers it.</summary>
internal sealed class Depot : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly ConcurrentDictionary<string, Effect> _byKey = new(StringComparer.Ordinal);
    private int _running;

    private Depot(WebApplication app) => _app = app;

    internal string Url => _app.Urls.First();

    /// <summary>What was done, in that order.</summary>
    internal ConcurrentQueue<Effect> Effects { get; } = new();

    /// <summary>Every call, also those that did nothing.</summary>
    internal ConcurrentQueue<string> Calls { get; } = new();

    /// <summary>What is refused, with this status.</summary>
    internal ConcurrentDictionary<string, int> Refuses { get; } = new(StringComparer.Ordinal);

    /// <summary>Happens while a call of this name is being answered.</summary>
    internal ConcurrentDictionary<string, Func<Task>> Meanwhile { get; } = new(StringComparer.Ordinal);

    internal int MostAtOnce { get; private set; }

    internal IEnumerable<string> Names => Effects.Select(e => e.Name);

    internal static async Task<Depot> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        var app = builder.Build();
        var depot = new Depot(app);
        app.MapPost("/{name}", depot.DoAsync);
        await app.StartAsync();
        return depot;
    }

    public async ValueTask DisposeAsync() => await _app.DisposeAsync();

    private async Task<IResult> DoAsync(string name, HttpRequest request)
    {
        var body = await JsonSerializer.DeserializeAsync<JsonElement>(request.Body);
        Calls.Enqueue(name);
        MostAtOnce = Math.Max(MostAtOnce, Interlocked.Increment(ref _running));
        if (Meanwhile.TryGetValue(name, out var meanwhile))
        {
            await meanwhile();
        }

        Interlocked.Decrement(ref _running);
        if (Refuses.TryGetValue(name, out var status))
        {
            return Results.Json(new { error = $"no {name} today" }, statusCode: status);
        }

        var effect = _byKey.GetOrAdd(request.Headers["Idempotency-Key"].ToString(), key =>
        {
            var made = new Effect(name, key, $"{name}-{_byKey.Count + 1}", body);
            Effects.Enqueue(made);
            return made;
        });
        return Results.Json(new { @ref = effect.Ref, ok = true });
    }

    internal sealed record Effect(string Name, string Key, string Ref, JsonElement Body);
}
