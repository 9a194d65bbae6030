using System.Net;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Channels;

/// <summary>
/// The address the outside knows us by: the setting <c>PublicBaseUrl</c>, else what a trusted proxy forwards, else the request's own host.
/// Providers sign over this address, so guessing it from an untrusted header would let a caller choose what was signed.
/// </summary>
public sealed class PublicAddress(IConfiguration configuration, IOptions<ChannelsOptions> options)
{
    private readonly IReadOnlyList<IPNetwork> _proxies = [.. options.Value.TrustedProxies.Select(Network)];

    /// <summary>The configured base without a trailing slash, or null.</summary>
    public string? BaseUrl => configuration["PublicBaseUrl"] is { Length: > 0 } url ? url.TrimEnd('/') : null;

    /// <summary>The URL of this request as its sender wrote it.</summary>
    public string UrlOf(HttpRequest request) => $"{Base(request)}{request.PathBase}{request.Path}{request.QueryString}";

    private string Base(HttpRequest request)
    {
        if (BaseUrl is { } configured)
        {
            return configured;
        }

        var trusted = request.HttpContext.Connection.RemoteIpAddress is { } remote
            && _proxies.Any(p => p.Contains(remote.IsIPv4MappedToIPv6 ? remote.MapToIPv4() : remote));
        var scheme = trusted && First(request.Headers["X-Forwarded-Proto"]) is "https" or "http" ? First(request.Headers["X-Forwarded-Proto"]) : request.Scheme;
        var host = trusted && First(request.Headers["X-Forwarded-Host"]) is { } forwarded ? forwarded : request.Host.Value;
        return $"{scheme}://{host}";
    }

    // A chain of proxies appends: the first value is what the client used.
    private static string? First(string? values) => values?.Split(',')[0].Trim() is { Length: > 0 } first ? first : null;

    private static IPNetwork Network(string text) =>
        text.Contains('/', StringComparison.Ordinal) ? IPNetwork.Parse(text) : new IPNetwork(IPAddress.Parse(text), IPAddress.Parse(text).GetAddressBytes().Length * 8);
}
