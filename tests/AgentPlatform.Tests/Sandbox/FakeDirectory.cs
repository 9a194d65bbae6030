using System.Collections.Concurrent;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace AgentPlatform.Tests.Sandbox;

/// <summary>A question the directory was asked.</summary>
public sealed record DirectoryQuestion(string Method, string Path, IReadOnlyDictionary<string, string> Headers, string Body);

/// <summary>
/// A tenant's own directory of people on loopback, behind a bearer token. It answers what it knows of a person, and can be told to fail, to hang, or
/// to let somebody do something while its caller waits.
/// </summary>
public sealed class FakeDirectory : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly ConcurrentQueue<Func<HttpContext, Task>> _instead = new();

    private FakeDirectory(WebApplication app) => _app = app;

    public const string Token = "s3cret-directory-token";

    public string Url => _app.Urls.First();

    public ConcurrentQueue<DirectoryQuestion> Questions { get; } = new();

    /// <summary>By external id.</summary>
    public ConcurrentDictionary<string, JsonNode> People { get; } = new(StringComparer.Ordinal);

    /// <summary>Where the token is expected; an empty name takes anybody.</summary>
    public string TokenHeader { get; set; } = "Authorization";

    public static async Task<FakeDirectory> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        var fake = new FakeDirectory(builder.Build());
        fake._app.Run(fake.AnswerAsync);
        await fake._app.StartAsync();
        return fake;
    }

    /// <summary>The next question is answered like this, whatever is known.</summary>
    public FakeDirectory Next(int status, string body = "{}") => Instead(http =>
    {
        http.Response.StatusCode = status;
        return http.Response.WriteAsync(body);
    });

    /// <summary>The next question is never answered; it ends when the caller goes away.</summary>
    public FakeDirectory Hangs() => Instead(http =>
        Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, http.RequestAborted).ContinueWith(_ => { }, TaskScheduler.Default));

    /// <summary>The next question is answered as ever, once <paramref name="meanwhile"/> is done.</summary>
    public FakeDirectory Slow(Func<Task> meanwhile) => Instead(async http =>
    {
        await meanwhile();
        await TellAsync(http);
    });

    public async ValueTask DisposeAsync() => await _app.DisposeAsync();

    private FakeDirectory Instead(Func<HttpContext, Task> answer)
    {
        _instead.Enqueue(answer);
        return this;
    }

    private async Task AnswerAsync(HttpContext http)
    {
        using var reader = new StreamReader(http.Request.Body);
        Questions.Enqueue(new(
            http.Request.Method, http.Request.Path.Value!, http.Request.Headers.ToDictionary(h => h.Key, h => h.Value.ToString(), StringComparer.OrdinalIgnoreCase), await reader.ReadToEndAsync()));
        await (_instead.TryDequeue(out var answer) ? answer(http) : TellAsync(http));
    }

    private async Task TellAsync(HttpContext http)
    {
        var expected = TokenHeader == "Authorization" ? $"Bearer {Token}" : Token;
        if (TokenHeader.Length > 0 && http.Request.Headers[TokenHeader] != expected)
        {
            http.Response.StatusCode = 401;
        }
        else if (People.TryGetValue(http.Request.Path.Value!.Split('/')[^1], out var person))
        {
            await http.Response.WriteAsJsonAsync(person);
        }
        else
        {
            http.Response.StatusCode = 404;
        }
    }
}
