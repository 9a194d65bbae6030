using System.Security.Cryptography;
using System.Text.Json;
using AgentPlatform.Api;
using AgentPlatform.Identity.Login;
using AgentPlatform.Kernel;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Console.Sessions;

/// <summary>
/// The cookie of a signed-in operator: which key or login session of which user and tenant, and until when, sealed by data protection. It holds no
/// rights: those are read at each request, so a revoked key, or a session that was ended elsewhere, is over here at once.
/// </summary>
internal sealed class SessionCookie(IDataProtectionProvider protection, IOptions<ConsoleOptions> options, TimeProvider clock)
{
    internal const string Name = "agentplatform_session";

    private readonly IDataProtector _protector = protection.CreateProtector("AgentPlatform.Console.Session.v1");

    internal void Issue(HttpContext http, Caller caller) =>
        Issue(http, new SessionTicket(caller.Actor.TenantId, caller.Actor.UserId, caller.KeyId, Until));

    internal void Issue(HttpContext http, IssuedSession session) =>
        Issue(http, new SessionTicket(session.TenantId, session.UserId, session.SessionId, Until < session.ExpiresAt ? Until : session.ExpiresAt) { IsLogin = true });

    private DateTimeOffset Until => clock.GetUtcNow().AddHours(options.Value.SessionHours);

    private void Issue(HttpContext http, SessionTicket ticket)
    {
        http.Response.Cookies.Append(Name, _protector.Protect(Json.Text(ticket)), Attributes(http, ticket.Until));
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

/// <summary>KeyId: the key's that opened the session; the session's own, when a password did.</summary>
internal sealed record SessionTicket(Guid TenantId, Guid UserId, Guid KeyId, DateTimeOffset Until)
{
    public bool IsLogin { get; init; }
}
