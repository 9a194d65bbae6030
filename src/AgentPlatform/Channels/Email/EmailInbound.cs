using AgentPlatform.Channels.Intake;
using System.ComponentModel.DataAnnotations;
using System.Net.Mail;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using AgentPlatform.Channels.Custom;
using AgentPlatform.Kernel;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Channels.Email;

public sealed class EmailOptions
{
    /// <summary>The mail server as <c>host:port</c>; port 465 speaks TLS at once, others when the server offers STARTTLS. Default none: mail goes to the outbox.</summary>
    public string? Smtp { get; set; }

    /// <summary>User of the mail server. Default none.</summary>
    public string? SmtpUser { get; set; }

    /// <summary>Password of the mail server; sent over TLS, or to a loopback server. Default none.</summary>
    public string? SmtpPassword { get; set; }

    /// <summary>Refuse to send without TLS. Default false.</summary>
    public bool RequireTls { get; set; }

    /// <summary>The sender of channels that name none (<c>provider_config.from</c>). Default none.</summary>
    public string? From { get; set; }

    /// <summary>Seconds the mail server has for each answer. Default 30.</summary>
    [Range(1, 300)]
    public int TimeoutSeconds { get; set; } = 30;

    /// <summary>The largest inbound mail, attachments included, in megabytes. Default 25.</summary>
    [Range(1, 100)]
    public int MaxMegabytes { get; set; } = 25;
}

/// <summary>What the two forms of inbound mail have in common after parsing.</summary>
internal sealed record ParsedMail(string From, string? To, string? Subject, string? Text, string? Html, MailHeaders Headers, IReadOnlyList<InboundAttachment> Files, JsonObject Raw, string Provider);

/// <summary>
/// Inbound mail: SendGrid Inbound Parse (multipart/form-data), or JSON <c>{"from", "to", "subject", "text", "html", "message_id", "in_reply_to",
/// "references": [], "headers", "attachments": [{"file_name", "content_type", "content", "content_id"}]}</c> with base64 contents. A channel that
/// has a secret demands it: as the password of HTTP basic authentication, or as a webhook signature.
/// </summary>
internal sealed class EmailInbound(IOptions<EmailOptions> options, TimeProvider clock) : IInboundAdapter
{
    private const int MaxExternalId = 255;

    public string ChannelType => ChannelTypes.Email;

    public long MaxBytes => options.Value.MaxMegabytes * 1024L * 1024L;

    public bool Accepts(WebhookCall call) => call.Is("multipart/form-data") || call.Is("application/json");

    public async Task<Result<InboundEnvelope>> ReadAsync(WebhookCall call, InboundChannel channel, CancellationToken ct)
    {
        if (!IsGenuine(call, channel))
        {
            return Problem.Forbidden("bad_signature", "The signature or password does not match.");
        }

        var mail = call.Is("application/json") ? MailParsing.Json(call.Body) : await MailParsing.MultipartAsync(call, ct);
        try
        {
            return mail.IsOk ? Parse(mail.Value) : mail.Problem;
        }
        catch (RegexMatchTimeoutException)
        {
            return FormReading.Malformed("The text of the mail cannot be told from its mark-up.");
        }
    }

    public IResult Answer(Guid inboundId) => Results.Json(new { id = inboundId }, Json.Options);

    private bool IsGenuine(WebhookCall call, InboundChannel channel) =>
        channel.Secrets.Count == 0
        || (call.Header(WebhookSignature.SignatureHeader) is { } standard
            && WebhookSignature.Verify(channel.Secrets, call.Header(WebhookSignature.IdHeader), call.Header(WebhookSignature.TimestampHeader), standard, call.Body, clock.GetUtcNow()))
        || WebhookSignature.VerifyPlain(channel.Secrets, call.Header(WebhookSignature.PlainHeader), call.Body)
        || (Password(call.Header("Authorization")) is { } password
            && channel.Secrets.Any(s => CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(s), Encoding.UTF8.GetBytes(password))));

    private static string? Password(string? authorization)
    {
        if (authorization is null || !authorization.StartsWith("Basic ", StringComparison.OrdinalIgnoreCase))
        {
            return null;
        }

        var bytes = new byte[authorization.Length];
        if (!Convert.TryFromBase64String(authorization[6..].Trim(), bytes, out var written))
        {
            return null;
        }

        var pair = Encoding.UTF8.GetString(bytes, 0, written);
        return pair.IndexOf(':', StringComparison.Ordinal) is >= 0 and var colon ? pair[(colon + 1)..] : null;
    }

    private static Result<InboundEnvelope> Parse(ParsedMail mail)
    {
        if (!MailAddress.TryCreate(mail.From, out var from) || from.Address.Length > MaxExternalId)
        {
            return FormReading.Malformed("from is not an e-mail address.");
        }

        var full = string.IsNullOrWhiteSpace(mail.Text) && mail.Html is { } html ? HtmlText.From(html) : mail.Text ?? "";
        var said = QuotedText.Strip(full);
        if (said.Length == 0 && mail.Files.Count == 0 && string.IsNullOrWhiteSpace(mail.Subject))
        {
            return FormReading.Malformed("The mail has neither a subject nor a text nor an attachment.");
        }

        var id = mail.Headers.MessageId is { Length: > 0 and <= MaxExternalId } given ? given : Digest(mail, full);
        return new InboundEnvelope(id, from.Address.ToLowerInvariant(), said.Length == 0 && mail.Files.Count > 0 ? mail.Files[0].MessageType : "text", said.Length > 0 ? said : mail.Subject ?? "")
        {
            SenderName = from.DisplayName.Length > 0 ? from.DisplayName : null,
            Parsed = new JsonObject { ["subject"] = mail.Subject, ["text"] = full },
            Attachments = mail.Files,
            InReplyTo = mail.Headers.Thread,
            IgnoredBecause = mail.Headers.IsAutomatic ? "An automatic answer is not answered." : null,
            RawPayload = mail.Raw,
            ProviderMetadata = new JsonObject
            {
                ["provider"] = mail.Provider,
                ["to"] = mail.To,
                ["message_id"] = id,
                ["references"] = new JsonArray([.. mail.Headers.References.Select(r => (JsonNode?)r)]),
            },
        };
    }

    // Mail without a Message-ID is rare and against the standard; what it says identifies it as well as anything.
    private static string Digest(ParsedMail mail, string text) =>
        $"sha256:{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{mail.From}\n{mail.Headers.Date}\n{mail.Subject}\n{text}")))}";
}
