using System.Net;
using AgentPlatform.Api;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Tests.Api;

/// <summary>Whom a request is held to come from.</summary>
public sealed class ClientOriginTests
{
    private static readonly ClientOrigins Origins = new(Options.Create(new ApiOptions { TrustedProxies = ["10.0.0.0/8", "2001:db8::1"], LocationHeaders = { ["country"] = "CF-IPCountry" } }));

    [Theory]
    [InlineData("192.0.2.1", "203.0.113.7", "192.0.2.1")]
    [InlineData("10.0.0.1", "", "10.0.0.1")]
    [InlineData("10.0.0.1", "203.0.113.7", "203.0.113.7")]
    [InlineData("::ffff:10.0.0.1", "203.0.113.7:51234", "203.0.113.7")]
    [InlineData("10.0.0.1", "198.51.100.9, 203.0.113.7, 10.0.0.2", "203.0.113.7")]
    [InlineData("10.0.0.1", "203.0.113.7, nonsense", "10.0.0.1")]
    [InlineData("2001:db8::1", "[2001:db8::7]:443", "2001:db8::7")]
    [InlineData("fe80::1%2", "", "fe80::1")]
    public void The_client_is_the_last_that_no_proxy_of_ours_forwards_for(string peer, string forwarded, string client) =>
        Assert.Equal(client, Origins.Of(IPAddress.Parse(peer), new HeaderDictionary { ["X-Forwarded-For"] = forwarded }).IpAddress);

    [Fact]
    public void Where_it_is_is_believed_of_a_trusted_proxy_only()
    {
        var headers = new HeaderDictionary { ["CF-IPCountry"] = "DE" };

        Assert.Equal("DE", Origins.Of(IPAddress.Parse("10.0.0.1"), headers).Location!["country"]);
        Assert.Null(Origins.Of(IPAddress.Parse("192.0.2.1"), headers).Location);
        Assert.Null(Origins.Of(IPAddress.Parse("10.0.0.1"), new HeaderDictionary()).Location);
    }
}
