using System.Security.Cryptography;
using System.Text.Json;
using AgentPlatform.Api;
using AgentPlatform.Kernel;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Console.Sessions;

/// <summary>
/// The cookie of a signed-in operator: which key of which user and tenant, and until when, sealed by data protection. It holds no
/// rights: those are read from the key at each request, so a revoked key ends its sessions at once.
/// </summary>
internal sealed class SessionCookie(IDataProtectionProvider protection, IOptions<ConsoleOptions> options, TimeProvider clock)
{
    internal const string Name = "agentplatform_session";

    private readonly IDataProtector _protector = protection.CreateProtector("AgentPlatform.Console.Session.v1");

    internal void Issue(HttpContext http, Caller caller)
    {
        var until = clock.GetUtcNow().AddHours(options.Value.SessionHours);
        var ticket = new SessionTicket(caller.Actor.TenantId, caller.Actor.UserId, caller.KeyId, until);
        http.Response.Cookies.Append(Name, _protector.Protect(Json.Text(ticket)), Attributes(http, until));
    }

    /// <summary>Null when there is none, it has expired, or it was not sealed by this installation.</summary>
    internal SessionTicket? Read(HttpContext http)
    {
        if (http.Request.Cookies[Name] is not { Length: > 0 } sealedTicket)
        {
            return null;
        }

        try
        {
            var ticket = JsonSerializer.Deserialize<SessionTicket>(_protector.Unprotect(sealedTicket), Json.Options);
            return ticket is not null && ticket.Until > clock.GetUtcNow() ? ticket : null;
        }
        catch (CryptographicException)
        {
            return null;
        }
    }

    internal void Clear(HttpContext http) => http.Response.Cookies.Delete(Name, Attributes(http, until: null));

    private static CookieOptions Attributes(HttpContext http, DateTimeOffset? until) => new()
    {
        Path = "/",
        HttpOnly = true,
        SameSite = SameSiteMode.Strict,
        Secure = http.Request.IsHttps,
        Expires = until,
        IsEssential = true,
    };
}

internal sealed record SessionTicket(Guid TenantId, Guid UserId, Guid KeyId, DateTimeOffset Until);
