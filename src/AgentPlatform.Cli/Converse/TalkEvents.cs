using System.Net.Http.Headers;
using System.Net.ServerSentEvents;
using System.Text.Json;

namespace AgentPlatform.Cli.Converse;

/// <summary>An event of a conversation.</summary>
internal sealed record TalkEvent(string Type, string Conversation, JsonElement Payload)
{
    internal string Text(string name) =>
        Find(name) is { ValueKind: JsonValueKind.String } value ? value.GetString()! : Find(name)?.GetRawText() ?? "";

    /// <summary>Of the payload, or of its details.</summary>
    private JsonElement? Find(string name) =>
        Payload.ValueKind != JsonValueKind.Object ? null
        : Payload.TryGetProperty(name, out var own) ? own
        : Payload.TryGetProperty("details", out var details) && details.ValueKind == JsonValueKind.Object && details.TryGetProperty(name, out var inner) ? inner
        : null;
}

/// <summary>The tenant's events as they happen, kept for whoever asks what became of a conversation.</summary>
internal sealed class TalkEvents : IAsyncDisposable
{
    private readonly List<TalkEvent> _all = [];
    private readonly HttpResponseMessage _response;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _reading;
    private TaskCompletionSource _news = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private TalkEvents(HttpResponseMessage response)
    {
        _response = response;
        _reading = ReadAsync();
    }

    internal static async Task<TalkEvents> OpenAsync(HttpClient client, string apiKey, CancellationToken ct)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/api/v1/events/stream") { Headers = { Authorization = new AuthenticationHeaderValue("Bearer", apiKey) } };
        var response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, ct);
        return response.IsSuccessStatusCode ? new(response) : throw new CommandException($"The API refused the key ({(int)response.StatusCode}). Start the host again with ./dev run.");
    }

    /// <summary>What has happened from a place on, and where the next look begins.</summary>
    internal (IReadOnlyList<TalkEvent> Events, int Next) From(int place)
    {
        lock (_all)
        {
            return ([.. _all.Skip(place)], _all.Count);
        }
    }

    /// <summary>Until something new has happened after a place, or the time is over; true when there is news.</summary>
    internal async Task<bool> WaitAsync(int place, TimeSpan patience, CancellationToken ct)
    {
        Task news;
        lock (_all)
        {
            if (_all.Count > place)
            {
                return true;
            }

            news = _news.Task;
        }

        return await Task.WhenAny(news, Task.Delay(patience, TimeProvider.System, ct)) == news;
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _reading;
        _response.Dispose();
        _stop.Dispose();
    }

    private async Task ReadAsync()
    {
        try
        {
            await foreach (var item in SseParser.Create(await _response.Content.ReadAsStreamAsync(_stop.Token)).EnumerateAsync(_stop.Token))
            {
                if (item.Data.Length > 0)
                {
                    Add(JsonSerializer.Deserialize<JsonElement>(item.Data));
                }
            }
        }
        catch (Exception e) when (e is OperationCanceledException or IOException or HttpRequestException)
        {
            // Nobody listens any more, or the host has gone: those who wait will say so.
        }
    }

    private void Add(JsonElement e)
    {
        var happened = new TalkEvent(e.GetProperty("event_type").GetString()!, e.GetProperty("aggregate_id").GetString()!, e.GetProperty("payload"));
        lock (_all)
        {
            _all.Add(happened);
            _news.TrySetResult();
            _news = new(TaskCreationOptions.RunContinuationsAsynchronously);
        }
    }
}
