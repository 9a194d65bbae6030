using AgentPlatform.Api;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;

namespace AgentPlatform.Channels;

/// <summary>
/// The address the outside knows us by: the setting <c>PublicBaseUrl</c>, else what a trusted proxy forwards, else the request's own host.
/// Providers sign over this address, so guessing it from an untrusted header would let a caller choose what was signed.
/// </summary>
public sealed class PublicAddress(IConfiguration configuration, ClientOrigins origins)
{
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

        var trusted = origins.IsTrusted(request.HttpContext.Connection.RemoteIpAddress);
        var scheme = trusted && First(request.Headers["X-Forwarded-Proto"]) is "https" or "http" ? First(request.Headers["X-Forwarded-Proto"]) : request.Scheme;
        var host = trusted && First(request.Headers["X-Forwarded-Host"]) is { } forwarded ? forwarded : request.Host.Value;
        return $"{scheme}://{host}";
    }

    // A chain of proxies appends: the first value is what the client used.
    private static string? First(string? values) => values?.Split(',')[0].Trim() is { Length: > 0 } first ? first : null;
}
