using System.Net;
using System.Net.Sockets;
using System.Text.Json;

namespace AgentPlatform.Billing.Payments.Providers;

/// <summary>How a call to a provider went: with an answer, surely without effect, or so that nobody can say.</summary>
internal sealed record ProviderReply(HttpStatusCode Status, JsonElement Body, string? NotReached, string? Lost)
{
    internal bool IsOk => (int)Status is >= 200 and < 300;

    /// <summary>Not let in, or asked for patience: the request was not looked at.</summary>
    internal bool IsTurnedAway => Status is HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden or HttpStatusCode.TooManyRequests;

    /// <summary>The provider's own fault, or the same request under way.</summary>
    internal bool IsUncertain => Lost is not null || (int)Status >= 500 || Status is HttpStatusCode.Conflict or HttpStatusCode.RequestTimeout;

    internal string Says => NotReached ?? Lost ?? $"HTTP {(int)Status}";

    internal JsonElement? Get(params string[] path)
    {
        var at = Body;
        foreach (var name in path)
        {
            if (at.ValueKind != JsonValueKind.Object || !at.TryGetProperty(name, out at) || at.ValueKind == JsonValueKind.Null)
            {
                return null;
            }
        }

        return at;
    }

    internal string? Text(params string[] path) => Get(path) is { ValueKind: JsonValueKind.String } text ? text.GetString() : null;

    internal long? Number(params string[] path) => Get(path) is { ValueKind: JsonValueKind.Number } number ? number.GetInt64() : null;
}

/// <summary>Calls providers, and tells an answer that was lost from a call that never was.</summary>
internal sealed class ProviderClient(IHttpClientFactory clients)
{
    internal const string Name = "billing";

    private static readonly JsonElement Nothing = JsonSerializer.SerializeToElement(new { });

    internal async Task<ProviderReply> SendAsync(HttpRequestMessage request, TimeSpan timeout, CancellationToken ct)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(ct);
        limit.CancelAfter(timeout);
        try
        {
            using var client = clients.CreateClient(Name);
            using var response = await client.SendAsync(request, limit.Token);
            return new(response.StatusCode, Parse(await response.Content.ReadAsStringAsync(limit.Token)), null, null);
        }
        catch (HttpRequestException e) when (e.InnerException is SocketException { SocketErrorCode: SocketError.ConnectionRefused or SocketError.HostNotFound or SocketError.HostUnreachable })
        {
            return new(default, Nothing, $"Not reached: {e.Message}", null);
        }
        catch (Exception e) when (e is HttpRequestException or IOException || (e is OperationCanceledException && !ct.IsCancellationRequested))
        {
            return new(default, Nothing, null, e is OperationCanceledException ? "No answer in time." : e.Message);
        }
    }

    private static JsonElement Parse(string body)
    {
        try
        {
            return JsonSerializer.Deserialize<JsonElement>(body) is { ValueKind: JsonValueKind.Object } json ? json : Nothing;
        }
        catch (JsonException)
        {
            return Nothing;
        }
    }
}
