using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using System.Text.Json.Nodes;
using AgentPlatform.Kernel;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Channels.Custom;

/// <summary>
/// Replies as a signed <c>POST</c> to <c>outbound_config.url</c>, in the form of Standard Webhooks. The <c>webhook-id</c> is the message's
/// own and the same on every attempt: receivers drop what they have seen, so an attempt whose answer was lost is simply repeated.
/// </summary>
internal sealed class CustomProvider(
    IHttpClientFactory clients, IOptions<CustomOptions> options, WebhookAttempts attempts, TimeProvider clock, ILogger<CustomProvider> log) : IMessageProvider
{
    internal const string ClientName = "custom_webhook";

    private const int MaxAnswer = 16 * 1024;

    public string Name => "custom_webhook";

    /// <summary>None: a repeated id does no harm.</summary>
    public TimeSpan Patience => TimeSpan.Zero;

    public bool Serves(OutboundChannel channel) => channel.ChannelType == ChannelTypes.CustomWebhook && channel.Outbound("url") is not null;

    /// <summary>By the protocol nothing is lost or doubled by sending the same id again.</summary>
    public Task<SendOutcome> ProbeAsync(OutboundMessage message, CancellationToken ct) =>
        Task.FromResult<SendOutcome>(new SendOutcome.NotSent("The receiver knows repeated webhook-ids."));

    public async Task<SendOutcome> SendAsync(OutboundMessage message, CancellationToken ct)
    {
        if (!Uri.TryCreate(message.Channel.Outbound("url"), UriKind.Absolute, out var url) || url.Scheme is not ("https" or "http"))
        {
            return new SendOutcome.Rejected("not_configured", "The channel has no URL to send to.");
        }

        var body = Body(message);
        var bytes = JsonSerializer.SerializeToUtf8Bytes(body, Json.Options);
        using var request = Signed(message, url, bytes);
        var started = Stopwatch.GetTimestamp();
        var (outcome, status, answer) = await CallAsync(message, request, ct);
        var error = outcome switch
        {
            SendOutcome.Rejected r => (r.Code, r.Message),
            SendOutcome.NotSent n => ("not_sent", n.Error),
            SendOutcome.Throttled => ("throttled", "The endpoint asked for a pause."),
            _ => ((string?)null, (string?)null),
        };
        await attempts.RecordAsync(
            message,
            new WebhookAttempt(
                WebhookLog.MaskUrl(url.GetComponents(UriComponents.HttpRequestUrl, UriFormat.UriEscaped)),
                request.Headers.ToDictionary(h => h.Key, h => string.Join(", ", h.Value), StringComparer.OrdinalIgnoreCase),
                body, status, answer, (int)Stopwatch.GetElapsedTime(started).TotalMilliseconds, error.Item2, error.Item1),
            ct);
        return outcome;
    }

    private async Task<(SendOutcome Outcome, int? Status, string? Answer)> CallAsync(OutboundMessage message, HttpRequestMessage request, CancellationToken ct)
    {
        using var timeout = CancellationTokenSource.CreateLinkedTokenSource(ct);
        timeout.CancelAfter(TimeSpan.FromSeconds(options.Value.TimeoutSeconds));
        try
        {
            using var response = await clients.CreateClient(ClientName).SendAsync(request, HttpCompletionOption.ResponseHeadersRead, timeout.Token);
            var answer = await ReadAsync(response.Content, timeout.Token);
            return (Read(message, response), (int)response.StatusCode, answer);
        }
        catch (HttpRequestException e) when (e.InnerException is ForbiddenTargetException)
        {
            return (new SendOutcome.Rejected("target_not_public", "The URL leads to an address that is not public."), null, null);
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            Log.Unreachable(log, Name, message.Id, e.GetType().Name);
            return (new SendOutcome.NotSent($"The endpoint could not be reached: {e.GetType().Name}."), null, null);
        }
        catch (OperationCanceledException) when (!ct.IsCancellationRequested)
        {
            return (new SendOutcome.NotSent("The endpoint did not answer in time."), null, null);
        }
    }

    private static SendOutcome Read(OutboundMessage message, HttpResponseMessage response) => (int)response.StatusCode switch
    {
        >= 200 and < 300 => new SendOutcome.Accepted(WebhookId(message), Json.Of(new { status = (int)response.StatusCode })),
        410 => new SendOutcome.Rejected("gone", "The endpoint answered 410 Gone.", Gone: true),
        429 or 503 when response.Headers.RetryAfter?.Delta is { } wait => new SendOutcome.Throttled(wait),
        429 => new SendOutcome.Throttled(TimeSpan.FromSeconds(30)),
        var status => new SendOutcome.NotSent($"The endpoint answered {status}."),
    };

    private HttpRequestMessage Signed(OutboundMessage message, Uri url, byte[] body)
    {
        var (id, now) = (WebhookId(message), clock.GetUtcNow());
        var request = new HttpRequestMessage(HttpMethod.Post, url) { Content = new ByteArrayContent(body) };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        request.Headers.UserAgent.ParseAdd("AgentPlatform-Webhooks/1");
        request.Headers.Add(WebhookSignature.IdHeader, id);
        request.Headers.Add(WebhookSignature.TimestampHeader, now.ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture));
        if (message.Channel.Secrets.Count > 0)
        {
            request.Headers.Add(WebhookSignature.SignatureHeader, WebhookSignature.Sign(message.Channel.Secrets, id, now, body));
        }

        return request;
    }

    private static JsonObject Body(OutboundMessage message) => new()
    {
        ["type"] = "message.created",
        ["data"] = new JsonObject
        {
            ["id"] = message.Id.ToString(),
            ["conversation_id"] = message.ConversationId?.ToString(),
            ["to"] = message.To,
            ["text"] = message.Text,
            ["in_reply_to"] = message.InReplyTo,
        },
    };

    private static string WebhookId(OutboundMessage message) => $"msg_{message.Id:N}";

    private static async Task<string> ReadAsync(HttpContent content, CancellationToken ct)
    {
        var buffer = new byte[MaxAnswer];
        await using var stream = await content.ReadAsStreamAsync(ct);
        var read = await stream.ReadAtLeastAsync(buffer, MaxAnswer, throwOnEndOfStream: false, ct);
        return System.Text.Encoding.UTF8.GetString(buffer, 0, read);
    }
}
