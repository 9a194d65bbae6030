using System.Globalization;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using AgentPlatform.Demo;
using AgentPlatform.Kernel;

namespace AgentPlatform.Cli.Converse;

/// <summary>The webhook each provider would send for a message, signed as that provider signs.</summary>
internal static class ProviderRequests
{
    internal static HttpRequestMessage Create(DemoFile demo, string channel, string from, string text, TimeProvider clock) => channel switch
    {
        DemoChannels.Sms or DemoChannels.Concierge => Twilio(demo, demo.Channels[channel], from, text),
        DemoChannels.Email => Email(demo, demo.Channels[channel], from, text),
        DemoChannels.Custom => Custom(demo, demo.Channels[channel], from, text, clock),
        _ => throw new CommandException($"There is no channel '{channel}'; choose {string.Join(", ", DemoChannels.All)}."),
    };

    // The request goes to the local address, the signature covers the public one: so it is when Twilio calls through a proxy.
    private static HttpRequestMessage Twilio(DemoFile demo, DemoChannel channel, string from, string text)
    {
        var sid = $"SM{RandomNumberGenerator.GetHexString(32, lowercase: true)}";
        var form = new SortedDictionary<string, string>(StringComparer.Ordinal)
        {
            ["AccountSid"] = channel.AccountSid!,
            ["ApiVersion"] = "2010-04-01",
            ["Body"] = text,
            ["From"] = from,
            ["MessageSid"] = sid,
            ["NumMedia"] = "0",
            ["NumSegments"] = "1",
            ["SmsMessageSid"] = sid,
            ["SmsSid"] = sid,
            ["SmsStatus"] = "received",
            ["To"] = channel.From,
        };
        var signed = form.Aggregate(new StringBuilder(channel.WebhookUrl), (all, field) => all.Append(field.Key).Append(field.Value)).ToString();
#pragma warning disable CA5350 // X-Twilio-Signature is HMAC-SHA1 by Twilio's definition.
        var signature = HMACSHA1.HashData(Encoding.UTF8.GetBytes(channel.AuthToken!), Encoding.UTF8.GetBytes(signed));
#pragma warning restore CA5350
        var request = Post(demo, channel, new FormUrlEncodedContent(form));
        request.Headers.Add("X-Twilio-Signature", Convert.ToBase64String(signature));
        return request;
    }

    private static HttpRequestMessage Email(DemoFile demo, DemoChannel channel, string from, string text)
    {
        var messageId = $"<{RandomNumberGenerator.GetHexString(24, lowercase: true)}@cli.agentplatform.example>";
        var request = Post(demo, channel, Json(new { from, to = channel.From, subject = text.Clip(60), text, message_id = messageId }));
        request.Headers.Authorization = new AuthenticationHeaderValue("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes($"agentplatform:{channel.Secret}")));
        return request;
    }

    /// <summary>Standard Webhooks: HMAC-SHA256 over id, time and body.</summary>
    private static HttpRequestMessage Custom(DemoFile demo, DemoChannel channel, string from, string text, TimeProvider clock)
    {
        var id = $"msg_{RandomNumberGenerator.GetHexString(24, lowercase: true)}";
        var body = JsonSerializer.Serialize(new { id, from, text });
        var time = clock.GetUtcNow().ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture);
        var key = Convert.FromBase64String(channel.Secret!["whsec_".Length..]);
        var signature = Convert.ToBase64String(HMACSHA256.HashData(key, Encoding.UTF8.GetBytes($"{id}.{time}.{body}")));
        var request = Post(demo, channel, new StringContent(body, Encoding.UTF8, "application/json"));
        request.Headers.Add("webhook-id", id);
        request.Headers.Add("webhook-timestamp", time);
        request.Headers.Add("webhook-signature", $"v1,{signature}");
        return request;
    }

    private static StringContent Json(object body) => new(JsonSerializer.Serialize(body), Encoding.UTF8, "application/json");

    private static HttpRequestMessage Post(DemoFile demo, DemoChannel channel, HttpContent content) =>
        new(HttpMethod.Post, new Uri(new Uri(demo.BaseUrl), new Uri(channel.WebhookUrl).PathAndQuery)) { Content = content };
}
