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
/// A provider of language models on loopback that speaks Anthropic's and OpenAI's API: fills in forms as it is told, and refuses, hangs, breaks
/// off and talks nonsense as the real ones do on bad days. The last answer repeats.
/// </summary>
public sealed class FakeModel : IAsyncDisposable
{
    /// <summary>What it counts for each answer.</summary>
    public const int Input = 100, Output = 20, CacheWritten = 30, CacheRead = 40;

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

    /// <summary>Fills in the form.</summary>
    public FakeModel Fills(object form) => Next(http => WriteAsync(http, Json.Of(form), text: null));

    /// <summary>Writes words instead of filling in the form.</summary>
    public FakeModel Says(string text) => Next(http => WriteAsync(http, form: null, text));

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

    /// <summary>Begins its answer, and the connection breaks.</summary>
    public FakeModel BreaksOff() => Next(async http =>
    {
        http.Response.ContentType = "application/json";
        http.Response.ContentLength = 4000;
        await http.Response.WriteAsync("""{"id":"msg_1","type":"mess""");
        await http.Response.Body.FlushAsync();
        http.Abort();
    });

    /// <summary>Answers with what is no JSON.</summary>
    public FakeModel Babbles() => Next(async http =>
    {
        http.Response.ContentType = "application/json";
        await http.Response.WriteAsync("""{"id": "msg_1", "content": [{"type": "tool_""");
    });

    /// <summary>Something happens while the caller waits for this answer.</summary>
    public FakeModel Fills(object form, Func<Task> meanwhile) => Next(async http =>
    {
        await meanwhile();
        await WriteAsync(http, Json.Of(form), text: null);
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
        if (_answers.TryPeek(out var answer))
        {
            if (_answers.Count > 1)
            {
                _answers.TryDequeue(out _);
            }

            await answer(http);
        }
    }

    private static Task WriteAsync(HttpContext http, JsonElement? form, string? text)
    {
        http.Response.ContentType = "application/json";
        return http.Response.WriteAsync(Json.Text(http.Request.Path.Value!.EndsWith("/messages", StringComparison.Ordinal) ? Anthropic(form, text) : OpenAI(form, text)));
    }

    private static object Anthropic(JsonElement? form, string? text) => new
    {
        id = "msg_1",
        type = "message",
        role = "assistant",
        model = "fake",
        content = new[] { form is { } input ? Json.Of(new { type = "tool_use", id = "tu_1", name = "reply", input }) : Json.Of(new { type = "text", text }) },
        stop_reason = form is null ? "end_turn" : "tool_use",
        usage = new { input_tokens = Input, output_tokens = Output, cache_creation_input_tokens = CacheWritten, cache_read_input_tokens = CacheRead },
    };

    private static object OpenAI(JsonElement? form, string? text) => new
    {
        id = "chatcmpl-1",
        @object = "chat.completion",
        created = 1,
        model = "fake",
        choices = new[]
        {
            new
            {
                index = 0,
                finish_reason = form is null ? "stop" : "tool_calls",
                message = form is { } arguments
                    ? Json.Of(new { role = "assistant", content = (string?)null, tool_calls = new[] { new { id = "c1", type = "function", function = new { name = "reply", arguments = arguments.GetRawText() } } } })
                    : Json.Of(new { role = "assistant", content = text }),
            },
        },
        // OpenAI counts what it read from the cache among the prompt, and does not charge for writing to it.
        usage = new { prompt_tokens = Input + CacheRead, completion_tokens = Output, total_tokens = Input + CacheRead + Output, prompt_tokens_details = new { cached_tokens = CacheRead } },
    };
}
