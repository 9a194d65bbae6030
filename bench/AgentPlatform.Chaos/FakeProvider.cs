using System.Collections.Concurrent;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace AgentPlatform.Chaos;

/// <summary>
/// Two providers on loopback, which log every effect they have: one drops repeated idempotency keys, the other knows none and can only
/// be asked whether it has had a reference. They outlive every worker and every database.
/// </summary>
internal sealed class FakeProvider : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly ConcurrentDictionary<(string Reference, string Key), bool> _keyed = new();
    private readonly ConcurrentDictionary<string, int> _unkeyed = new(StringComparer.Ordinal);
    private int _requests;

    private FakeProvider(WebApplication app) => _app = app;

    internal string Address => _app.Urls.First();

    internal int Requests => _requests;

    /// <summary>Effects per reference of the provider with keys.</summary>
    internal IReadOnlyDictionary<string, int> Keyed => _keyed.Keys.GroupBy(k => k.Reference).ToDictionary(g => g.Key, g => g.Count(), StringComparer.Ordinal);

    /// <summary>Effects per reference of the provider without keys.</summary>
    internal IReadOnlyDictionary<string, int> Unkeyed => _unkeyed;

    /// <summary>A request that began to arrive but stopped is hung up on after <paramref name="patience"/>: nothing older can still have an effect.</summary>
    internal static async Task<FakeProvider> StartAsync(TimeSpan patience)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0").ConfigureKestrel(kestrel =>
        {
            kestrel.Limits.KeepAliveTimeout = patience;
            kestrel.Limits.RequestHeadersTimeout = patience;
        });
        var app = builder.Build();
        var provider = new FakeProvider(app);
        app.MapPost("/keyed/{reference}", (string reference, HttpRequest request) => provider.TakeKeyed(reference, request.Headers["Idempotency-Key"].ToString()));
        app.MapPost("/unkeyed/{reference}", (string reference) => provider.TakeUnkeyed(reference));
        app.MapGet("/unkeyed/{reference}", (string reference) => provider._unkeyed.ContainsKey(reference) ? Results.Ok() : Results.NotFound());
        await app.StartAsync();
        return provider;
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    private IResult TakeKeyed(string reference, string key)
    {
        Interlocked.Increment(ref _requests);
        _keyed.TryAdd((reference, key), true);
        return Results.Accepted();
    }

    private IResult TakeUnkeyed(string reference)
    {
        Interlocked.Increment(ref _requests);
        _unkeyed.AddOrUpdate(reference, 1, (_, n) => n + 1);
        return Results.Accepted();
    }
}
