using AgentPlatform.Channels.Intake;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using AgentPlatform.Kernel;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Net.Http.Headers;

namespace AgentPlatform.Channels.Email;

/// <summary>Reads the two forms of inbound mail.</summary>
internal static class MailParsing
{
    private const int MaxFiles = 100;

    private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    static MailParsing() => Encoding.RegisterProvider(CodePagesEncodingProvider.Instance);

    internal static async Task<Result<ParsedMail>> MultipartAsync(WebhookCall call, CancellationToken ct)
    {
        var boundary = MediaTypeHeaderValue.TryParse(call.ContentType, out var type) ? HeaderUtilities.RemoveQuotes(type.Boundary).Value : null;
        if (string.IsNullOrEmpty(boundary))
        {
            return FormReading.Malformed("The multipart body has no boundary.");
        }

        try
        {
            return await ReadPartsAsync(new MultipartReader(boundary, new MemoryStream(call.Body)), ct);
        }
        catch (Exception e) when (e is IOException or InvalidDataException or DecoderFallbackException or ArgumentException or InvalidOperationException or JsonException)
        {
            return FormReading.Malformed("The multipart body cannot be read.");
        }
    }

    internal static Result<ParsedMail> Json(byte[] body)
    {
        try
        {
            return JsonNode.Parse(body) is JsonObject json ? FromJson(json) : FormReading.Malformed("The body is not a JSON object.");
        }
        catch (Exception e) when (e is JsonException or ArgumentException or InvalidOperationException or FormatException)
        {
            return FormReading.Malformed("The body is not the documented JSON.");
        }
    }

    private static async Task<Result<ParsedMail>> ReadPartsAsync(MultipartReader reader, CancellationToken ct)
    {
        var fields = new Dictionary<string, byte[]>(StringComparer.Ordinal);
        var files = new List<InboundAttachment>();
        while (await reader.ReadNextSectionAsync(ct) is { } section)
        {
            if (!ContentDispositionHeaderValue.TryParse(section.ContentDisposition, out var disposition))
            {
                return FormReading.Malformed("A part of the body has no Content-Disposition.");
            }

            var content = new MemoryStream();
            await section.Body.CopyToAsync(content, ct);
            var fileName = disposition.FileNameStar.HasValue ? disposition.FileNameStar.Value : HeaderUtilities.RemoveQuotes(disposition.FileName).Value;
            if (!string.IsNullOrEmpty(fileName))
            {
                files.Add(new InboundAttachment(Name(fileName), section.ContentType ?? "application/octet-stream", null, content.ToArray(), section.Headers?.GetValueOrDefault("Content-ID").ToString()));
            }
            else
            {
                fields.TryAdd(HeaderUtilities.RemoveQuotes(disposition.Name).Value ?? "", content.ToArray());
            }

            if (files.Count > MaxFiles || fields.Count > MaxFiles)
            {
                return FormReading.Malformed($"A mail has at most {MaxFiles} attachments.");
            }
        }

        return FromParts(fields, files);
    }

    private static Result<ParsedMail> FromParts(Dictionary<string, byte[]> fields, List<InboundAttachment> files)
    {
        // Each field may be in the charset its part of the mail was in; "charsets" says which.
        var charsets = fields.TryGetValue("charsets", out var map) ? JsonNode.Parse(map) as JsonObject : null;
        string? Text(string name) => fields.TryGetValue(name, out var bytes) ? Decode(bytes, charsets?[name]?.GetValue<string>()) : null;
        if (Text("from") is not { } from)
        {
            return FormReading.Malformed("from is missing.");
        }

        var raw = new JsonObject(fields.Keys.Where(k => k.Length > 0).Select(k => KeyValuePair.Create(k, (JsonNode?)Text(k))));
        return new ParsedMail(from, Text("to"), Text("subject"), Text("text"), Text("html"), MailHeaders.Parse(Text("headers") ?? ""), files, raw, "sendgrid");
    }

    private static Result<ParsedMail> FromJson(JsonObject json)
    {
        string? Text(string name) => json[name]?.GetValue<string>();
        if (Text("from") is not { } from)
        {
            return FormReading.Malformed("from is missing.");
        }

        var files = new List<InboundAttachment>();
        foreach (var file in json["attachments"]?.AsArray().Select(f => f!.AsObject()) ?? [])
        {
            files.Add(new InboundAttachment(
                Name(file["file_name"]?.GetValue<string>() ?? "file"), file["content_type"]?.GetValue<string>() ?? "application/octet-stream", null,
                Convert.FromBase64String(file["content"]?.GetValue<string>() ?? ""), file["content_id"]?.GetValue<string>()));
        }

        var inHeaders = Text("headers") is { } block ? MailHeaders.Parse(block) : MailHeaders.Parse("");
        var headers = inHeaders with
        {
            MessageId = MailHeaders.Id(Text("message_id")) ?? inHeaders.MessageId,
            InReplyTo = MailHeaders.Id(Text("in_reply_to")) ?? inHeaders.InReplyTo,
            References = json["references"] is JsonArray ids ? [.. ids.SelectMany(i => MailHeaders.Ids(i?.GetValue<string>()))] : inHeaders.References,
        };
        var raw = (JsonObject)json.DeepClone();
        raw.Remove("attachments");
        return new ParsedMail(from, Text("to"), Text("subject"), Text("text"), Text("html"), headers, files, raw, "json");
    }

    private static string Decode(byte[] bytes, string? charset)
    {
        var name = charset?.Trim().ToLowerInvariant();
        return (name is null or "" or "utf-8" or "utf8" or "us-ascii" ? Strict : Encoding.GetEncoding(name)).GetString(bytes);
    }

    // The name is shown and offered for download: no path, no control characters.
    private static string Name(string given)
    {
        var last = given.Split('/', '\\')[^1];
        var clean = new string([.. last.Where(c => !char.IsControl(c))]).Trim();
        return clean.Length == 0 ? "file" : clean.Clip(200);
    }
}
