using AgentPlatform.Api;
using AgentPlatform.Console.Shell;
using AgentPlatform.Identity;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Console.Sessions;

/// <summary>An API key, pasted once into a form, opens a session; signing out ends it.</summary>
internal static class SignIn
{
    private const string Home = "/console";

    internal static void MapSessions(this IEndpointRouteBuilder endpoints)
    {
        endpoints.MapGet("/console/sign-in", Show).WithMetadata(new OpenToAll());
        endpoints.MapPost("/console/sign-in", EnterAsync).WithMetadata(new OpenToAll());
        endpoints.MapPost("/console/sign-out", Leave).WithMetadata(new OpenToAll());
    }

    /// <summary>Only a path of ours: anything else would let a link send a fresh session to somewhere else.</summary>
    internal static string Local(string? path) =>
        path is { Length: > 1 and < 2000 } && path[0] == '/' && path[1] is not ('/' or '\\') && !path.Any(char.IsControl) ? path : Home;

    private static IResult Show(HttpContext http, string? @return) =>
        http.Features.Get<OperatorSession>() is not null ? Pages.See(Local(@return)) : Page(Local(@return), error: null);

    private static async Task<IResult> EnterAsync(HttpContext http, Authenticator authenticator, ClientOrigins origins, SessionCookie cookie, CancellationToken ct)
    {
        var form = await http.Request.ReadFormAsync(ct);
        var target = Local(form["return"]);
        var caller = await authenticator.SignInAsync(form["key"].ToString().Trim(), "POST /console/sign-in", origins.Of(http), ct);
        if (!caller.IsOk)
        {
            http.Response.StatusCode = StatusCodes.Status401Unauthorized;
            return Page(target, "That key is unknown, expired or revoked. Check that you pasted the whole of it.");
        }

        cookie.Issue(http, caller.Value);
        return Pages.See(target);
    }

    private static IResult Leave(HttpContext http, SessionCookie cookie)
    {
        cookie.Clear(http);
        return Pages.See("/console/sign-in");
    }

    private static RazorComponentResult<SignInPage> Page(string target, string? error) => new(new { Return = target, Error = error });
}
