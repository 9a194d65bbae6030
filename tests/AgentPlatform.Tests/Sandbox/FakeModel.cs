using System.Collections.Concurrent;
using System.Globalization;
using System.Text.Json;
using AgentPlatform.Kernel;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace AgentPlatform.Tests.Sandbox;

/// <summary>What the fake model was asked.</summary>
public sealed record ModelRequest(string Path, string Authorization, JsonElement Body, DateTimeOffset At)
{
    public string Text => Body.GetRawText();
}

/// <summary>
/// A provider of language models on loopback that speaks Anthropic's and OpenAI's API, always as a stream: fills in forms as it is told, and refuses,
/// hangs, breaks off and talks nonsense, before it begins or in mid-stream, as the real ones do on bad days. The last answer repeats.
/// </summary>
public sealed class FakeModel : IAsyncDisposable
{
    /// <summary>What it counts for each answer.</summary>
    public const int Input = 100, Output = 20, CacheWritten = 30, CacheRead = 40;

    /// <summary>Whether the caller asked to be told of the tokens.</summary>
    internal const string CountsKey = "counts";

    /// <summary>The form that it was told to fill in.</summary>
    internal const string FormKey = "form";

    private readonly WebApplication _server;
    private readonly ConcurrentQueue<Func<HttpContext, Task>> _answers = new();

    private FakeModel(WebApplication server) => _server = server;

    public string Url => _server.Urls.First();

    public ConcurrentQueue<ModelRequest> Requests { get; } = new();

    public static async Task<FakeModel> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Logging.ClearProviders();
        var fake = new FakeModel(builder.Build());
        fake._server.Run(fake.TakeAsync);
        await fake._server.StartAsync();
        return fake;
    }

    /// <summary>Fills in the form. Something may happen after a half of it.</summary>
    public FakeModel Fills(object form, Func<Task>? halfway = null) => Next(http => ModelStream.Of(http).FillAsync(Json.Text(form), halfway));

    /// <summary>Writes words instead of filling in the form.</summary>
    public FakeModel Says(string text) => Next(http => ModelStream.Of(http).SayAsync(text));

    /// <summary>Half of the form, and then, once that was heard, something else.</summary>
    public FakeModel Begins(object form, Midway then, Func<Task>? heard = null) => Next(http => ModelStream.Of(http).BeginAsync(Json.Text(form), then, heard));

    public FakeModel Refuses(int status, int? retryAfter = null, string message = "Not now.") => Next(async http =>
    {
        http.Response.StatusCode = status;
        http.Response.ContentType = "application/json";
        if (retryAfter is { } seconds)
        {
            http.Response.Headers.RetryAfter = seconds.ToString(CultureInfo.InvariantCulture);
        }

        await http.Response.WriteAsync(Json.Text(new { type = "error", error = new { type = "api_error", message } }));
    });

    /// <summary>Never answers.</summary>
    public FakeModel Hangs(Action? arrived = null) => Next(async http =>
    {
        arrived?.Invoke();
        await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, http.RequestAborted).ContinueWith(_ => { }, TaskScheduler.Default);
    });

    /// <summary>Begins its answer, and the connection breaks before there is a word of it.</summary>
    public FakeModel BreaksOff() => Next(async http =>
    {
        http.Response.ContentType = "text/event-stream";
        await http.Response.WriteAsync("event: mess");
        await http.Response.Body.FlushAsync();
        http.Abort();
    });

    /// <summary>Answers with what is no JSON.</summary>
    public FakeModel Babbles() => Next(async http =>
    {
        http.Response.ContentType = "text/event-stream";
        await http.Response.WriteAsync("event: message_start\ndata: {\"type\": \"message_sta\n\n");
    });

    /// <summary>Something happens while the caller waits for this answer.</summary>
    public FakeModel FillsAfter(Func<Task> meanwhile, object form) => Next(async http =>
    {
        await meanwhile();
        await ModelStream.Of(http).FillAsync(Json.Text(form), halfway: null);
    });

    public async ValueTask DisposeAsync() => await _server.DisposeAsync();

    private FakeModel Next(Func<HttpContext, Task> answer)
    {
        _answers.Enqueue(answer);
        return this;
    }

    private async Task TakeAsync(HttpContext http)
    {
        using var body = await JsonDocument.ParseAsync(http.Request.Body);
        Requests.Enqueue(new(http.Request.Path, $"{http.Request.Headers.Authorization}{http.Request.Headers["x-api-key"]}", body.RootElement.Clone(), TimeProvider.System.GetUtcNow()));
        http.Items[CountsKey] = body.RootElement.TryGetProperty("stream_options", out var options) && options.GetProperty("include_usage").GetBoolean();
        http.Items[FormKey] = body.RootElement.TryGetProperty("tools", out var tools) ? FormOf(tools[0]) : null;
        if (_answers.TryPeek(out var answer))
        {
            if (_answers.Count > 1)
            {
                _answers.TryDequeue(out _);
            }

            await answer(http);
        }
    }

    /// <summary>Both APIs have their own place for it.</summary>
    private static string? FormOf(JsonElement tool) => (tool.TryGetProperty("function", out var function) ? function : tool).GetProperty("name").GetString();
}
