using AgentPlatform.Api;
using AgentPlatform.Console.Shell;
using AgentPlatform.Identity;
using AgentPlatform.Identity.Login;
using AgentPlatform.Kernel;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Console.Sessions;

/// <summary>An e-mail address and its password, or an API key pasted once into a form, open a session; signing out ends it.</summary>
internal static class SignIn
{
    private const string Home = "/console";

    internal static void MapSessions(this IEndpointRouteBuilder endpoints)
    {
        endpoints.MapGet("/console/sign-in", Show).WithMetadata(new OpenToAll { TakesSession = true });
        endpoints.MapPost("/console/sign-in", EnterAsync).WithMetadata(new OpenToAll());
        endpoints.MapPost("/console/sign-out", LeaveAsync).WithMetadata(new OpenToAll { TakesSession = true });
    }

    /// <summary>Only a path of ours: anything else would let a link send a fresh session to somewhere else.</summary>
    internal static string Local(string? path) =>
        path is { Length: > 1 and < 2000 } && path[0] == '/' && path[1] is not ('/' or '\\') && !path.Any(char.IsControl) ? path : Home;

    private static IResult Show(HttpContext http, string? @return) =>
        http.Features.Get<OperatorSession>() is not null ? Pages.See(Local(@return)) : Page(Local(@return), error: null);

    private static async Task<IResult> EnterAsync(
        HttpContext http, Authenticator authenticator, LogIn logIn, ClientOrigins origins, SessionCookie cookie, CancellationToken ct)
    {
        var form = await http.Request.ReadFormAsync(ct);
        var target = Local(form["return"]);
        return form.ContainsKey("email")
            ? await EnterWithPasswordAsync(http, form, target, logIn, origins, cookie, ct)
            : await EnterWithKeyAsync(http, form, target, authenticator, origins, cookie, ct);
    }

    private static async Task<IResult> EnterWithPasswordAsync(
        HttpContext http, IFormCollection form, string target, LogIn logIn, ClientOrigins origins, SessionCookie cookie, CancellationToken ct)
    {
        var request = new LoginRequest(form["email"].ToString(), form["password"].ToString(), form["tenant"].ToString());
        var answer = await logIn.SignInAsync(request, origins.Of(http), ct);
        if (!answer.IsOk)
        {
            http.Response.StatusCode = answer.Problem.Status;
            return new RazorComponentResult<SignInPage>(new { Return = target, LoginError = Words(answer.Problem) });
        }

        if (answer.Value.Session is not { } session)
        {
            return new RazorComponentResult<SignInPage>(new { Return = target, Email = request.Email, answer.Value.Tenants });
        }

        cookie.Issue(http, session);
        return Pages.See(target);
    }

    private static string Words(Problem problem) => problem.Code switch
    {
        "invalid_credentials" => "The e-mail address or the password is wrong.",
        "login_blocked" => "Too many attempts have failed. Try again in some minutes, or set a new password.",
        _ => "Enter an e-mail address and its password.",
    };

    private static async Task<IResult> EnterWithKeyAsync(
        HttpContext http, IFormCollection form, string target, Authenticator authenticator, ClientOrigins origins, SessionCookie cookie, CancellationToken ct)
    {
        var caller = await authenticator.SignInAsync(form["key"].ToString().Trim(), "POST /console/sign-in", origins.Of(http), ct);
        if (!caller.IsOk)
        {
            http.Response.StatusCode = StatusCodes.Status401Unauthorized;
            return Page(target, "That key is unknown, expired or revoked. Check that you pasted the whole of it.");
        }

        cookie.Issue(http, caller.Value);
        return Pages.See(target);
    }

    private static async Task<IResult> LeaveAsync(HttpContext http, SessionCookie cookie, LoginSessions logins, CancellationToken ct)
    {
        if (http.Features.Get<OperatorSession>() is { } session && session.Actor.Origin?.SessionId is { } id)
        {
            await logins.EndAsync(session.Actor, id, "signed_out", ct);
        }

        cookie.Clear(http);
        return Pages.See("/console/sign-in");
    }

    private static RazorComponentResult<SignInPage> Page(string target, string? error) => new(new { Return = target, Error = error });
}
