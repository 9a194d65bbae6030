using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;

namespace AgentPlatform.Console.Sessions;

/// <summary>
/// Behind a proxy that ends TLS the request arrives as http: the public address then says that cookies must be Secure.
/// </summary>
internal sealed class PublicScheme(RequestDelegate next, IConfiguration configuration)
{
    private readonly bool _https = configuration["PublicBaseUrl"] is { } url && url.StartsWith("https://", StringComparison.OrdinalIgnoreCase);

    public Task InvokeAsync(HttpContext http)
    {
        if (_https)
        {
            http.Request.Scheme = "https";
        }

        return next(http);
    }
}
