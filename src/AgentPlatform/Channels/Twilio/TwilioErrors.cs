using System.Net;
using System.Text.Json;

namespace AgentPlatform.Channels.Twilio;

/// <summary>What Twilio's answer to a send means for the message.</summary>
internal static class TwilioErrors
{
    private const int OptedOut = 21610;
    private const int TooManyRequests = 20429;
    private static readonly TimeSpan SlowDown = TimeSpan.FromSeconds(5);

    public static SendOutcome Read(HttpStatusCode status, JsonElement? body, TimeSpan? retryAfter)
    {
        var code = Code(body);
        return (int)status switch
        {
            >= 200 and < 300 => body is { } accepted && accepted.TryGetProperty("sid", out var sid) && sid.GetString() is { Length: > 0 } id
                ? new SendOutcome.Accepted(id, accepted)
                // A 2xx without an id has most likely been accepted.
                : new SendOutcome.Unknown("The provider answered 2xx without a message id."),
            429 => new SendOutcome.Throttled(retryAfter ?? SlowDown),
            >= 500 => new SendOutcome.Unknown($"The provider answered {(int)status}."),
            408 => new SendOutcome.Unknown("The provider answered 408."),
            _ when code == TooManyRequests => new SendOutcome.Throttled(retryAfter ?? SlowDown),
            _ => new SendOutcome.Rejected(
                code == 0 ? $"http_{(int)status}" : $"twilio_{code}",
                body is { } error && error.TryGetProperty("message", out var message) ? message.GetString() ?? "" : $"The provider answered {(int)status}.",
                code == OptedOut),
        };
    }

    /// <summary>The error codes of status callbacks that mean the recipient has opted out.</summary>
    public static bool MeansOptedOut(string? errorCode) => errorCode is "21610";

    private static int Code(JsonElement? body) =>
        body is { ValueKind: JsonValueKind.Object } error && error.TryGetProperty("code", out var code) && code.ValueKind == JsonValueKind.Number ? code.GetInt32() : 0;
}
