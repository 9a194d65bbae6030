using System.Net;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Api;

/// <summary>
/// Where requests come from: the peer, or whom the trusted proxies before us say they forward for. What an untrusted peer forwards is not
/// believed: anybody could blame anybody.
/// </summary>
public sealed class ClientOrigins(IOptions<ApiOptions> options)
{
    private const int MaxUserAgent = 512;
    private const int MaxLocation = 100;

    private readonly IReadOnlyList<IPNetwork> _proxies = [.. options.Value.TrustedProxies.Select(Network)];

    public Origin Of(HttpContext http) => Of(http.Connection.RemoteIpAddress, http.Request.Headers);

    public Origin Of(IPAddress? peer, IHeaderDictionary headers)
    {
        var userAgent = headers.UserAgent.ToString();
        return new Origin(Client(peer, headers)?.ToString(), userAgent.Length == 0 ? null : userAgent.Clip(MaxUserAgent))
        {
            Location = IsTrusted(peer) ? Location(headers) : null,
        };
    }

    public bool IsTrusted(IPAddress? peer) => peer is not null && _proxies.Any(p => p.Contains(Plain(peer)));

    /// <summary>Each proxy adds whom it was called by at the end: the last that is none of ours is the client.</summary>
    private IPAddress? Client(IPAddress? peer, IHeaderDictionary headers)
    {
        var client = peer is null ? null : Plain(peer);
        var hops = headers["X-Forwarded-For"].ToString().Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        for (var i = hops.Length - 1; i >= 0 && IsTrusted(client) && IPEndPoint.TryParse(hops[i], out var hop); i--)
        {
            client = Plain(hop.Address);
        }

        return client;
    }

    private Dictionary<string, string>? Location(IHeaderDictionary headers)
    {
        var told = options.Value.LocationHeaders
            .Select(known => (known.Key, Value: headers[known.Value].ToString()))
            .Where(known => known.Value.Length > 0)
            .ToDictionary(known => known.Key, known => known.Value.Clip(MaxLocation), StringComparer.Ordinal);
        return told.Count == 0 ? null : told;
    }

    // An address of IPv6 may carry the name of our own interface, which says nothing to others.
    private static IPAddress Plain(IPAddress address) => address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : new IPAddress(address.GetAddressBytes());

    private static IPNetwork Network(string text) =>
        text.Contains('/', StringComparison.Ordinal) ? IPNetwork.Parse(text) : new IPNetwork(IPAddress.Parse(text), IPAddress.Parse(text).GetAddressBytes().Length * 8);
}
