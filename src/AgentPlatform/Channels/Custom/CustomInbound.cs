using AgentPlatform.Channels.Intake;
using System.Text.Json;
using System.Text.Json.Nodes;
using AgentPlatform.Kernel;
using Microsoft.AspNetCore.Http;

namespace AgentPlatform.Channels.Custom;

public sealed class CustomOptions
{
    /// <summary>Lets outgoing webhooks reach loopback and private addresses. Default false.</summary>
    public bool AllowPrivateTargets { get; set; }

    /// <summary>Seconds an endpoint has to answer. Default 15.</summary>
    [System.ComponentModel.DataAnnotations.Range(1, 60)]
    public int TimeoutSeconds { get; set; } = 15;
}

/// <summary>
/// A message as signed JSON: <c>{"id", "from", "name", "text", "data", "in_reply_to", "attachments": [{"url", "content_type", "name"}]}</c>.
/// <c>from</c> and one of <c>text</c>, <c>data</c>, <c>attachments</c> are required; <c>id</c> too, unless a webhook-id header is signed.
/// </summary>
internal sealed class CustomInbound(TimeProvider clock) : IInboundAdapter
{
    private const int MaxAddress = 255;

    public string ChannelType => ChannelTypes.CustomWebhook;

    public long MaxBytes => 1024 * 1024;

    public bool Accepts(WebhookCall call) => call.Is("application/json");

    public Task<Result<InboundEnvelope>> ReadAsync(WebhookCall call, InboundChannel channel, CancellationToken ct) => Task.FromResult(Read(call, channel));

    public IResult Answer(Guid inboundId) => Results.Json(new { id = inboundId }, Json.Options);

    private Result<InboundEnvelope> Read(WebhookCall call, InboundChannel channel)
    {
        if (!IsSigned(call, channel))
        {
            return Problem.Forbidden("bad_signature", "The signature does not match.");
        }

        try
        {
            return JsonNode.Parse(call.Body) is JsonObject json ? Parse(json, SignedId(call)) : FormReading.Malformed("The body is not a JSON object.");
        }
        catch (JsonException e)
        {
            return FormReading.Malformed($"The body is not JSON (line {e.LineNumber + 1}).");
        }
        catch (Exception e) when (e is ArgumentException or InvalidOperationException)
        {
            // A property twice, a number where text belongs, or bytes that are not UTF-8 inside a string.
            return FormReading.Malformed("The body is not the documented JSON.");
        }
    }

    private bool IsSigned(WebhookCall call, InboundChannel channel) =>
        call.Header(WebhookSignature.SignatureHeader) is { } standard
            ? WebhookSignature.Verify(channel.Secrets, call.Header(WebhookSignature.IdHeader), call.Header(WebhookSignature.TimestampHeader), standard, call.Body, clock.GetUtcNow())
            : WebhookSignature.VerifyPlain(
                channel.Secrets, call.Header(WebhookSignature.PlainHeader) ?? call.Header("X-Hub-Signature-256") ?? call.Header("X-Signature"), call.Body);

    // A plain signature covers the body alone: under it the id has to be in the body, or a captured request could be replayed for ever.
    private static string? SignedId(WebhookCall call) => call.Header(WebhookSignature.SignatureHeader) is null ? null : call.Header(WebhookSignature.IdHeader);

    private static Result<InboundEnvelope> Parse(JsonObject json, string? signedId)
    {
        var id = signedId ?? Text(json, "id");
        var from = Text(json, "from")?.Trim();
        if (id is not { Length: > 0 and <= MaxAddress } || from is not { Length: > 0 and <= MaxAddress })
        {
            return FormReading.Malformed("id and from are required, of at most 255 characters.");
        }

        var attachments = Attachments(json["attachments"]);
        if (!attachments.IsOk)
        {
            return attachments.Problem;
        }

        var (text, data) = (Text(json, "text"), json["data"]);
        if (string.IsNullOrEmpty(text) && data is null && attachments.Value.Count == 0)
        {
            return FormReading.Malformed("One of text, data and attachments is required.");
        }

        var type = (text, data, attachments.Value) switch
        {
            (_, not null, _) => "structured",
            ({ Length: > 0 }, _, _) => "text",
            var (_, _, files) => files[0].MessageType,
        };
        return new InboundEnvelope(id, from, type, text ?? data?.ToJsonString(Json.Options) ?? "")
        {
            SenderName = Text(json, "name"),
            Parsed = data?.DeepClone(),
            Attachments = attachments.Value,
            InReplyTo = Text(json, "in_reply_to") is { Length: > 0 } parent ? [parent] : [],
            RawPayload = json,
            ProviderMetadata = new JsonObject { ["provider"] = "custom_webhook" },
        };
    }

    private static Result<List<InboundAttachment>> Attachments(JsonNode? node)
    {
        var files = new List<InboundAttachment>();
        if (node is null)
        {
            return files;
        }

        if (node is not JsonArray array || array.Count > 20)
        {
            return FormReading.Malformed("attachments is a list of at most 20.");
        }

        foreach (var item in array)
        {
            if (item is not JsonObject file || Text(file, "url") is not { } url || !Uri.TryCreate(url, UriKind.Absolute, out var uri) || uri.Scheme is not ("http" or "https"))
            {
                return FormReading.Malformed("Each attachment has a url.");
            }

            files.Add(new InboundAttachment(Text(file, "name") ?? "file", Text(file, "content_type") ?? "application/octet-stream", url, null));
        }

        return files;
    }

    private static string? Text(JsonObject json, string name) => json[name]?.GetValue<string>();
}
