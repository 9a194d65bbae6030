using System.Net.Http.Headers;

namespace AgentPlatform.Tests.Api;

internal sealed record Sse(string Id, string Event, string Data);

/// <summary>A client of a stream of server-sent events that has come as far as to hear what happens from now on.</summary>
internal sealed class SseReader(HttpResponseMessage response, StreamReader reader) : IAsyncDisposable
{
    internal static async Task<SseReader> OpenAsync(TestApi api, string path, string? key = null, params (string Name, string Value)[] headers)
    {
        var request = new HttpRequestMessage(HttpMethod.Get, path);
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", key ?? api.Tenant.ApiKey);
        foreach (var (name, value) in headers)
        {
            request.Headers.Add(name, value);
        }

        var response = await api.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        Assert.Equal("text/event-stream", response.Content.Headers.ContentType?.MediaType);
        var reader = new SseReader(response, new StreamReader(await response.Content.ReadAsStreamAsync()));
        await reader.NextBlockAsync(); // the retry hint: from here on the stream is live
        return reader;
    }

    internal async Task<Sse> NextAsync()
    {
        while (true)
        {
            var lines = await NextBlockAsync();
            if (lines.Any(l => l.StartsWith("data: ", StringComparison.Ordinal)))
            {
                return new Sse(Field(lines, "id: "), Field(lines, "event: "), Field(lines, "data: "));
            }
        }
    }

    internal async Task<string> NextCommentAsync() => (await NextBlockAsync()).Single();

    internal async Task<bool> EndsAsync()
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        while (await reader.ReadLineAsync(patience.Token) is not null)
        {
        }

        return true;
    }

    internal async Task<List<string>> NextBlockAsync()
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        var lines = new List<string>();
        while (await reader.ReadLineAsync(patience.Token) is { } line)
        {
            if (line.Length == 0)
            {
                return lines;
            }

            lines.Add(line);
        }

        throw new InvalidOperationException("The stream ended.");
    }

    public ValueTask DisposeAsync()
    {
        reader.Dispose();
        response.Dispose();
        return ValueTask.CompletedTask;
    }

    private static string Field(List<string> lines, string name) => lines.SingleOrDefault(l => l.StartsWith(name, StringComparison.Ordinal))?[name.Length..] ?? "";
}
