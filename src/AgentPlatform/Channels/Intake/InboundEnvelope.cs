using System.Net;
using System.Text.Json.Nodes;
using AgentPlatform.Kernel;
using Microsoft.AspNetCore.Http;

namespace AgentPlatform.Channels.Intake;

/// <summary>A provider's request, read to the end: what signatures are computed over.</summary>
internal sealed record WebhookCall(string PublicUrl, IHeaderDictionary Headers, IQueryCollection Query, string? ContentType, byte[] Body)
{
    /// <summary>Who sent it: the provider, or a proxy before us.</summary>
    public IPAddress? Peer { get; init; }

    public string? Header(string name) => Headers.TryGetValue(name, out var values) && values.Count > 0 ? values[0] : null;

    public bool Is(string mediaType) => ContentType is { } type && type.Split(';')[0].Trim().Equals(mediaType, StringComparison.OrdinalIgnoreCase);
}

/// <summary>One message as every channel hands it to the intake.</summary>
internal sealed record InboundEnvelope(string ExternalId, string Sender, string MessageType, string Content)
{
    public string? SenderName { get; init; }

    public JsonNode? Parsed { get; init; }

    public IReadOnlyList<InboundAttachment> Attachments { get; init; } = [];

    /// <summary>External ids of the messages this one answers, the nearest first.</summary>
    public IReadOnlyList<string> InReplyTo { get; init; } = [];

    /// <summary>The request as it came, without the bytes of files.</summary>
    public JsonNode? RawPayload { get; init; }

    public JsonNode? ProviderMetadata { get; init; }

    /// <summary>Why nobody is to answer it, though it is kept; null for a message like any other.</summary>
    public string? IgnoredBecause { get; init; }
}

/// <summary>A file of a message: by address (MMS, custom) or with its bytes (e-mail).</summary>
internal sealed record InboundAttachment(string FileName, string ContentType, string? Url, byte[]? Content, string? ContentId = null)
{
    /// <summary>image, audio or file: what a message that is nothing but this attachment counts as.</summary>
    public string MessageType => ContentType.Split('/')[0].ToLowerInvariant() switch
    {
        "image" => "image",
        "audio" => "audio",
        _ => "file",
    };
}

/// <summary>How one kind of channel is read: Twilio's forms, e-mail, signed JSON.</summary>
internal interface IInboundAdapter
{
    string ChannelType { get; }

    /// <summary>Bytes a request may have.</summary>
    long MaxBytes { get; }

    bool Accepts(WebhookCall call);

    /// <summary>Verifies with the channel's secrets, then parses: 403 before anything is believed, 400 for what cannot be read.</summary>
    Task<Result<InboundEnvelope>> ReadAsync(WebhookCall call, InboundChannel channel, CancellationToken ct);

    /// <summary>What the provider wants to hear: the same for the first delivery and for every repeat of it.</summary>
    IResult Answer(Guid inboundId);
}
