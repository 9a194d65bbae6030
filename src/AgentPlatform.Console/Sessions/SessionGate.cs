using System.Security.Claims;
using AgentPlatform.Api;
using AgentPlatform.Console.Shell;
using AgentPlatform.Identity;
using AgentPlatform.Identity.Login;
using Microsoft.AspNetCore.Http;

namespace AgentPlatform.Console.Sessions;

/// <summary>Who is asking (else to the sign-in page), and whether their key allows this page (else 403).</summary>
internal sealed class SessionGate(RequestDelegate next, SessionCookie cookie, KeySessions keys, LoginSessions logins, ClientOrigins origins)
{
    public async Task InvokeAsync(HttpContext http)
    {
        var endpoint = http.GetEndpoint();
        if (endpoint?.Metadata.GetMetadata<StaticAsset>() is not null)
        {
            await next(http);
            return;
        }

        var open = endpoint?.Metadata.GetMetadata<OpenToAll>();
        if (open is null or { TakesSession: true })
        {
            await EnterAsync(http);
        }

        if (endpoint is null || open is not null)
        {
            await next(http);
        }
        else if (http.Features.Get<OperatorSession>() is not { } session)
        {
            SendToSignIn(http);
        }
        else if (endpoint.Metadata.GetMetadata<NeedsScope>() is { } needed && !session.May(needed.Scope))
        {
            await Pages.Problem(403, "Not allowed", $"The API key you signed in with, or your role, does not allow {needed.Scope}.").ExecuteAsync(http);
        }
        else
        {
            await next(http);
        }
    }

    private async Task EnterAsync(HttpContext http)
    {
        if (cookie.Read(http) is not { } ticket)
        {
            return;
        }

        var resumed = ticket.IsLogin
            ? await logins.ResumeAsync(ticket.TenantId, ticket.UserId, ticket.KeyId, http.RequestAborted)
            : await keys.ResumeAsync(ticket.TenantId, ticket.UserId, ticket.KeyId, http.RequestAborted);
        if (!resumed.IsOk)
        {
            cookie.Clear(http);
            return;
        }

        var origin = origins.Of(http);
        var actor = resumed.Value.Actor with { Origin = ticket.IsLogin ? origin with { SessionId = ticket.KeyId } : origin with { ApiKeyId = ticket.KeyId } };
        http.Features.Set(new OperatorSession(actor, ticket.KeyId, resumed.Value.Scopes));
        // Form tokens are bound to whom they were given.
        http.User = new ClaimsPrincipal(new ClaimsIdentity([new Claim(ClaimTypes.NameIdentifier, $"{ticket.TenantId}/{ticket.UserId}/{ticket.KeyId}")], "console"));
    }

    private static void SendToSignIn(HttpContext http)
    {
        // An event stream cannot follow a redirect to a page, and a form that was posted cannot be posted again by one.
        if (!HttpMethods.IsGet(http.Request.Method) || http.Request.Headers.Accept.Contains("text/event-stream"))
        {
            http.Response.StatusCode = StatusCodes.Status401Unauthorized;
            return;
        }

        http.Response.Redirect($"/console/sign-in?return={Uri.EscapeDataString(http.Request.Path + http.Request.QueryString)}");
    }
}
