using System.Collections.Concurrent;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace AgentPlatform.Tests.Actions;

/// <summary>An action's endpoint on loopback: answers as told, in order (the last answer repeats), and remembers what it was asked.</summary>
public sealed class FakeEndpoint : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly ConcurrentQueue<Func<HttpContext, Task>> _answers = new();

    private FakeEndpoint(WebApplication app) => _app = app;

    public string Url => _app.Urls.First();

    public ConcurrentQueue<Request> Requests { get; } = new();

    public static async Task<FakeEndpoint> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        var app = builder.Build();
        var fake = new FakeEndpoint(app);
        app.Run(fake.AnswerAsync);
        await app.StartAsync();
        return fake;
    }

    public FakeEndpoint Answers(int status, string json)
    {
        _answers.Enqueue(async http =>
        {
            http.Response.StatusCode = status;
            http.Response.ContentType = "application/json";
            await http.Response.WriteAsync(json);
        });
        return this;
    }

    /// <summary>Something happens while the caller waits for its answer.</summary>
    public FakeEndpoint Does(Func<Task> meanwhile, int status)
    {
        _answers.Enqueue(async http =>
        {
            await meanwhile();
            http.Response.StatusCode = status;
        });
        return this;
    }

    /// <summary>Never answers; says that a request has come, and ends when the caller goes away.</summary>
    public FakeEndpoint Hangs(Action? arrived = null)
    {
        _answers.Enqueue(async http =>
        {
            arrived?.Invoke();
            await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, http.RequestAborted).ContinueWith(_ => { }, TaskScheduler.Default);
        });
        return this;
    }

    /// <summary>The answer that repeats is over: the next one is the next.</summary>
    public FakeEndpoint Skip()
    {
        _answers.TryDequeue(out _);
        return this;
    }

    public async ValueTask DisposeAsync() => await _app.DisposeAsync();

    private async Task AnswerAsync(HttpContext http)
    {
        using var reader = new StreamReader(http.Request.Body);
        Requests.Enqueue(new Request(
            http.Request.Method,
            http.Features.Get<Microsoft.AspNetCore.Http.Features.IHttpRequestFeature>()!.RawTarget,
            http.Request.Headers.ToDictionary(h => h.Key, h => h.Value.ToString(), StringComparer.OrdinalIgnoreCase),
            await reader.ReadToEndAsync()));
        if (_answers.TryPeek(out var answer))
        {
            if (_answers.Count > 1)
            {
                _answers.TryDequeue(out _);
            }

            await answer(http);
        }
    }

    public sealed record Request(string Method, string Target, IReadOnlyDictionary<string, string> Headers, string Body);
}
