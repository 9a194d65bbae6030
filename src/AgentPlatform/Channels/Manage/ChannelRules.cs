using System.Text.Json;
using AgentPlatform.Api;
using AgentPlatform.Kernel;
using Npgsql;

namespace AgentPlatform.Channels.Manage;

/// <summary>What a channel may be told to be.</summary>
internal static class ChannelRules
{
    internal static Problem? Check(ChannelInput input, bool creating)
    {
        var url = Text(input.OutboundConfig, "url");
        return new Validation()
            .OneOf("channel_type", input.ChannelType, creating, [.. ChannelTypes.All])
            .Check("channel_type", creating || input.ChannelType is null, "Cannot be changed.")
            .Text("channel_name", input.ChannelName, 100, creating)
            .Check("channel_order", input.ChannelOrder is null or (>= 1 and <= 3), "Must be 1, 2 or 3.")
            .MustBeObject("provider_config", input.ProviderConfig)
            .MustBeObject("outbound_config", input.OutboundConfig)
            .MustBeObject("metadata", input.Metadata)
            .Check("outbound_config", url is null || (Uri.TryCreate(url, UriKind.Absolute, out var uri) && uri.Scheme is "http" or "https"), "url must be an http(s) address.")
            .Check("provider_config", Text(input.ProviderConfig, "auth_token") is null, "Secrets do not belong here: use secret.")
            .Check("rate_limit_per_minute", input.RateLimitPerMinute is null or (>= 1 and <= 1_000_000), "Must be between 1 and 1000000.")
            .Check("rate_limit_per_hour", input.RateLimitPerHour is null or (>= 1 and <= 10_000_000), "Must be between 1 and 10000000.")
            .Check("tags", input.Tags is null or { Length: <= 50 }, "Holds at most 50 tags.")
            .Check("secret", input.Secret is null or { Length: >= 8 and <= 256 }, "Has 8 to 256 characters.")
            .Check("secret", creating || input.Secret is null, "Is changed by rotating it.")
            .Problem;
    }

    internal static NpgsqlParameter Object(JsonElement? value) => Json.Param(value ?? Json.Of(new { }));

    /// <summary>Tokens are secrets: random throughout, unlike the ids of rows.</summary>
    internal static Guid NewToken() => new(System.Security.Cryptography.RandomNumberGenerator.GetBytes(16));

    private static string? Text(JsonElement? element, string name) =>
        element is { ValueKind: JsonValueKind.Object } config && config.TryGetProperty(name, out var value) ? value.ToString() : null;
}
