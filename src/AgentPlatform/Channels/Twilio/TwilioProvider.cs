using System.Globalization;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using AgentPlatform.Kernel;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Channels.Twilio;

/// <summary>
/// SMS through Twilio's REST API. The account is the channel's (<c>provider_config.account_sid</c>, its secret the auth token) or the
/// settings'. Twilio has no idempotency key, so an attempt whose answer was lost is looked up before anything is sent again.
/// </summary>
internal sealed class TwilioProvider(IHttpClientFactory clients, IOptions<TwilioOptions> options, ILogger<TwilioProvider> log) : IMessageProvider
{
    internal const string ClientName = "twilio";

    private const int ListSize = 100;

    // Twilio's clock and ours may differ a little, and its dates have whole seconds.
    private static readonly TimeSpan ClockSkew = TimeSpan.FromSeconds(10);

    public string Name => "twilio";

    public TimeSpan Patience => TimeSpan.FromSeconds(options.Value.TimeoutSeconds);

    public bool Serves(OutboundChannel channel) => channel.ChannelType == ChannelTypes.Sms && Account(channel) is not null;

    public Task<SendOutcome> SendAsync(OutboundMessage message, CancellationToken ct)
    {
        if (Account(message.Channel) is not { } account || From(message.Channel) is not { } from)
        {
            return Task.FromResult<SendOutcome>(new SendOutcome.Rejected("not_configured", "The channel has no Twilio account or no sender."));
        }

        var form = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["To"] = message.To,
            [from.StartsWith("MG", StringComparison.Ordinal) ? "MessagingServiceSid" : "From"] = from,
            ["Body"] = message.Text,
        };
        if (message.StatusCallback is { } callback)
        {
            form["StatusCallback"] = callback.AbsoluteUri;
        }

        return CallAsync(message, account, () => new HttpRequestMessage(HttpMethod.Post, MessagesUrl(account, "")) { Content = new FormUrlEncodedContent(form) }, TwilioErrors.Read, ct);
    }

    public async Task<SendOutcome> ProbeAsync(OutboundMessage message, CancellationToken ct)
    {
        if (Account(message.Channel) is not { } account)
        {
            return new SendOutcome.Unknown("The channel has no Twilio account any more.");
        }

        var since = message.FirstAttemptAt.UtcDateTime - ClockSkew;
        // Not by DateSent: a message that was taken but has not left yet has none, and would look as if it were unknown.
        var query = $"?To={Uri.EscapeDataString(message.To)}&PageSize={ListSize}";
        return await CallAsync(message, account, () => new HttpRequestMessage(HttpMethod.Get, MessagesUrl(account, query)), (status, body, wait) => Find(message, From(message.Channel), since, (int)status, body), ct);
    }

    private static SendOutcome Find(OutboundMessage message, string? from, DateTime since, int status, JsonElement? body)
    {
        if (status != 200 || body is not { } list || !list.TryGetProperty("messages", out var messages) || messages.ValueKind != JsonValueKind.Array)
        {
            return new SendOutcome.Unknown($"The provider answered {status} when asked about the message.");
        }

        var reachedBack = messages.GetArrayLength() < ListSize;
        foreach (var candidate in messages.EnumerateArray())
        {
            reachedBack |= Created(candidate) < since;
            if (Text(candidate, "sid") is { } sid && Text(candidate, "to") == message.To && Text(candidate, "body") == message.Text
                && Text(candidate, "direction")?.StartsWith("outbound", StringComparison.Ordinal) == true
                && Created(candidate) >= since
                // Other numbers of the account may say the same to the same person.
                && from == (Text(candidate, "messaging_service_sid") ?? Text(candidate, "from"))
                && !message.KnownExternalIds.Contains(sid))
            {
                return new SendOutcome.Accepted(sid, candidate.Clone());
            }
        }

        // Newest first: a list that reaches back before the attempt, or holds everything, would have shown it.
        return reachedBack
            ? new SendOutcome.NotSent("The provider does not know the message.")
            : new SendOutcome.Unknown("The provider lists too many messages to tell.");
    }

    private async Task<SendOutcome> CallAsync(
        OutboundMessage message,
        (string Sid, string Token) account,
        Func<HttpRequestMessage> build,
        Func<System.Net.HttpStatusCode, JsonElement?, TimeSpan?, SendOutcome> read,
        CancellationToken ct)
    {
        using var timeout = CancellationTokenSource.CreateLinkedTokenSource(ct);
        timeout.CancelAfter(Patience);
        using var request = build();
        request.Headers.Authorization = new AuthenticationHeaderValue("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes($"{account.Sid}:{account.Token}")));
        try
        {
            using var response = await clients.CreateClient(ClientName).SendAsync(request, timeout.Token);
            var text = await response.Content.ReadAsStringAsync(timeout.Token);
            return read(response.StatusCode, Parse(text), response.Headers.RetryAfter?.Delta);
        }
        catch (HttpRequestException e) when (e.HttpRequestError is HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError or HttpRequestError.SecureConnectionError)
        {
            // No connection, so no request has left.
            Log.Unreachable(log, Name, message.Id, e.HttpRequestError.ToString());
            return new SendOutcome.NotSent($"Twilio could not be reached: {e.HttpRequestError}.");
        }
        catch (HttpRequestException e)
        {
            Log.Unreachable(log, Name, message.Id, e.HttpRequestError.ToString());
            return new SendOutcome.Unknown($"The connection broke before the answer: {e.HttpRequestError}.");
        }
        catch (IOException)
        {
            return new SendOutcome.Unknown("The connection broke in the answer.");
        }
        catch (OperationCanceledException) when (!ct.IsCancellationRequested)
        {
            Log.Unreachable(log, Name, message.Id, "time-out");
            return new SendOutcome.Unknown("Twilio did not answer in time.");
        }
    }

    private Uri MessagesUrl((string Sid, string Token) account, string query) =>
        new($"{options.Value.ApiBaseUrl.AbsoluteUri.TrimEnd('/')}/2010-04-01/Accounts/{Uri.EscapeDataString(account.Sid)}/Messages.json{query}");

    private (string Sid, string Token)? Account(OutboundChannel channel) =>
        (channel.Provider("account_sid"), channel.Secrets, options.Value) switch
        {
            ({ } sid, [var token, ..], _) => (sid, token),
            (null, _, { AccountSid: { Length: > 0 } sid, AuthToken: { Length: > 0 } token }) => (sid, token),
            _ => null,
        };

    /// <summary>The sending number or the messaging service.</summary>
    private static string? From(OutboundChannel channel) => channel.Provider("messaging_service_sid") ?? channel.Provider("from");

    private static DateTime? Created(JsonElement message) =>
        DateTimeOffset.TryParse(Text(message, "date_created"), CultureInfo.InvariantCulture, out var created) ? created.UtcDateTime : null;

    private static string? Text(JsonElement element, string name) =>
        element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private static JsonElement? Parse(string text)
    {
        try
        {
            return JsonSerializer.Deserialize<JsonElement>(text, Json.Options);
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
