using AgentPlatform.Channels.Intake;
using System.ComponentModel.DataAnnotations;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using AgentPlatform.Kernel;
using Microsoft.AspNetCore.Http;
using Microsoft.Net.Http.Headers;

namespace AgentPlatform.Channels.Twilio;

public sealed class TwilioOptions
{
    /// <summary>Where Twilio's REST API is. Default <c>https://api.twilio.com</c>.</summary>
    [Required]
    public Uri ApiBaseUrl { get; set; } = new("https://api.twilio.com");

    /// <summary>Seconds until an unanswered request counts as unknown. Default 10.</summary>
    [Range(1, 60)]
    public int TimeoutSeconds { get; set; } = 10;

    /// <summary>The account for SMS channels that name none of their own. Default none.</summary>
    public string? AccountSid { get; set; }

    /// <summary>The auth token that goes with <see cref="AccountSid"/>. Default none.</summary>
    public string? AuthToken { get; set; }
}

/// <summary>Twilio's messaging webhooks: verified with the account's auth token, which is the channel's secret.</summary>
internal sealed class TwilioInbound : IInboundAdapter
{
    private const int MaxMedia = 10;

    public string ChannelType => ChannelTypes.Sms;

    public long MaxBytes => 256 * 1024;

    public bool Accepts(WebhookCall call) => call.Is("application/x-www-form-urlencoded") || call.Is("application/json");

    public Task<Result<InboundEnvelope>> ReadAsync(WebhookCall call, InboundChannel channel, CancellationToken ct) => Task.FromResult(Read(call, channel));

    public IResult Answer(Guid inboundId) => Results.Content("""<?xml version="1.0" encoding="UTF-8"?><Response></Response>""", "text/xml; charset=utf-8");

    private static Result<InboundEnvelope> Read(WebhookCall call, InboundChannel channel)
    {
        var form = Verified(call, channel);
        return form.IsOk ? Parse(form.Value) : form.Problem;
    }

    /// <summary>The parameters of a request that Twilio really signed; also for status callbacks.</summary>
    internal static Result<List<KeyValuePair<string, string>>> Verified(WebhookCall call, InboundChannel channel)
    {
        var isForm = call.Is("application/x-www-form-urlencoded");
        var fields = isForm ? FormReading.Parse(call.Body) : JsonFields(call.Body);
        if (!fields.IsOk)
        {
            return fields;
        }

        // A JSON body is not part of the signed text; its digest is, as a parameter of the URL.
        var signedForm = isForm ? fields.Value : [];
        var signed = TwilioSignature.Verify(channel.Secrets, TwilioSignature.WithAndWithoutPort(call.PublicUrl), signedForm, call.Header(TwilioSignature.Header))
            && (isForm || TwilioSignature.BodyMatches(call.Body, call.Query["bodySHA256"]));
        return signed ? fields : Problem.Forbidden("bad_signature", "The signature does not match.");
    }

    private static Result<InboundEnvelope> Parse(List<KeyValuePair<string, string>> form)
    {
        var sid = form.Field("MessageSid") ?? form.Field("SmsMessageSid") ?? form.Field("SmsSid");
        if (sid is null || sid.Length > 64)
        {
            return FormReading.Malformed("MessageSid is missing.");
        }

        if (!PhoneNumber.TryNormalize(form.Field("From"), out var from))
        {
            return FormReading.Malformed("From is not a phone number in E.164.");
        }

        var media = Media(form);
        if (!media.IsOk)
        {
            return media.Problem;
        }

        var text = form.Field("Body") ?? "";
        return new InboundEnvelope(sid, from, text.Length == 0 && media.Value.Count > 0 ? media.Value[0].MessageType : "text", text)
        {
            Attachments = media.Value,
            InReplyTo = form.Field("OriginalRepliedMessageSid") is { } replied ? [replied] : [],
            RawPayload = new JsonObject(form.DistinctBy(f => f.Key).Select(f => KeyValuePair.Create(f.Key, (JsonNode?)f.Value))),
            ProviderMetadata = Metadata(form),
        };
    }

    private static Result<List<InboundAttachment>> Media(List<KeyValuePair<string, string>> form)
    {
        var media = new List<InboundAttachment>();
        if (form.Field("NumMedia") is not { } number)
        {
            return media;
        }

        if (!int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out var count) || count > MaxMedia)
        {
            return FormReading.Malformed($"NumMedia is a number up to {MaxMedia}.");
        }

        for (var i = 0; i < count; i++)
        {
            if (form.Field($"MediaUrl{i}") is not { } url || !Uri.TryCreate(url, UriKind.Absolute, out var uri) || uri.Scheme is not ("https" or "http"))
            {
                return FormReading.Malformed($"MediaUrl{i} is not an address.");
            }

            var type = MediaTypeHeaderValue.TryParse(form.Field($"MediaContentType{i}"), out var parsed) ? parsed.MediaType.ToString() : "application/octet-stream";
            media.Add(new InboundAttachment($"media-{i}", type, url, null));
        }

        return media;
    }

    private static JsonObject Metadata(List<KeyValuePair<string, string>> form) => new()
    {
        ["provider"] = "twilio",
        ["account_sid"] = form.Field("AccountSid"),
        ["to"] = form.Field("To"),
        ["messaging_service_sid"] = form.Field("MessagingServiceSid"),
        ["num_segments"] = form.Field("NumSegments"),
        ["from_city"] = form.Field("FromCity"),
        ["from_country"] = form.Field("FromCountry"),
        // Set when Twilio has already acted on a keyword itself.
        ["opt_out_type"] = form.Field("OptOutType"),
    };

    private static Result<List<KeyValuePair<string, string>>> JsonFields(byte[] body)
    {
        try
        {
            return JsonNode.Parse(body) is JsonObject json
                ? json.Where(p => p.Value is JsonValue).Select(p => KeyValuePair.Create(p.Key, p.Value!.ToString())).ToList()
                : FormReading.Malformed("The body is not a JSON object.");
        }
        catch (JsonException)
        {
            return FormReading.Malformed("The body is not JSON.");
        }
        catch (ArgumentException)
        {
            return FormReading.Malformed("The body names a property twice.");
        }
    }
}
