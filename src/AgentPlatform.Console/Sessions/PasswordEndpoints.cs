using AgentPlatform.Api;
using AgentPlatform.Console.Shell;
using AgentPlatform.Identity.Login;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Console.Sessions;

/// <summary>Where a password is set: by the link of a mail, whose token is the permission, and where such a mail is asked for.</summary>
internal static class PasswordEndpoints
{
    internal static void MapPasswords(this IEndpointRouteBuilder endpoints)
    {
        endpoints.MapGet("/console/password", IResult (HttpContext http) => Page(http, token: null)).WithMetadata(new OpenToAll());
        endpoints.MapPost("/console/password", AskAsync).WithMetadata(new OpenToAll());
        endpoints.MapGet("/console/password/{token}", async (HttpContext http, ResetPassword resets, string token, CancellationToken ct) =>
            await resets.IsOpenAsync(token, ct) ? Page(http, token) : Over).WithMetadata(new OpenToAll());
        endpoints.MapPost("/console/password/{token}", SetAsync).WithMetadata(new OpenToAll());
    }

    private static IResult Over => Pages.Problem(410, "This link is over", "It was used, has expired, or another one was used. Ask for a new one at the sign-in.");

    private static async Task<IResult> AskAsync(HttpContext http, ResetPassword resets, CancellationToken ct)
    {
        var form = await http.Request.ReadFormAsync(ct);
        return await resets.RequestAsync(new ResetRequest(form["email"].ToString()), ct) is null
            ? Page(http, token: null, done: "If the address has an account, a link is on its way.")
            : Pages.See("/console/password");
    }

    private static async Task<IResult> SetAsync(HttpContext http, ResetPassword resets, ClientOrigins origins, string token, CancellationToken ct)
    {
        var form = await http.Request.ReadFormAsync(ct);
        var set = await resets.CompleteAsync(new NewPassword(token, form["password"].ToString()), origins.Of(http), ct);
        if (set.IsOk)
        {
            return Page(http, token: null, done: "Your password is set.");
        }

        if (set.Problem.Errors is not { } errors)
        {
            return Over;
        }

        http.Response.StatusCode = set.Problem.Status;
        return Page(http, token, error: string.Join(' ', errors.Values.SelectMany(messages => messages)));
    }

    private static RazorComponentResult<PasswordPage> Page(HttpContext http, string? token, string? error = null, string? done = null)
    {
        http.Response.Headers.CacheControl = "no-store";
        return new(new { Token = token, Error = error, Done = done });
    }
}
