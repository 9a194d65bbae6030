using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Identity.Login;

internal static class LoginApi
{
    internal static void Map(IEndpointRouteBuilder v1)
    {
        var group = v1.MapGroup("/auth").WithTags("Sign-in");
        MapEntrances(group);
        group.MapPost("/logout", LogOutAsync)
            .RequireScope("account:write").AllowViewers().Sensitive("sign_out", "session").Describe("logOut", "End the session whose access token you send.")
            .Produces(StatusCodes.Status204NoContent);
        group.MapPost("/password", async (HttpContext http, ChangePassword change, PasswordChange body, CancellationToken ct) =>
                (await change.ChangeAsync(http.Caller(), body, ct)).ToNoContent())
            .RequireScope("account:write").AllowViewers().LimitRate(5).Sensitive("password.change", "user")
            .Describe("changePassword", "Change your password; your other sessions end.").Produces(StatusCodes.Status204NoContent);
        group.MapGet("/sessions", (HttpContext http, Database database, CancellationToken ct, int? limit = null, string? cursor = null) =>
                http.PageAsync(database, limit, cursor, (tx, page) => LoginSessions.ListAsync(tx, page, ct)))
            .RequireScope("account:read").Describe("listLoginSessions", "List your sessions, in all your tenants, newest first.").Produces<Page<LoginSession>>();
        group.MapDelete("/sessions/{id:guid}", async (HttpContext http, LoginSessions sessions, Guid id, CancellationToken ct) =>
                (await sessions.EndAsync(http.Actor(), id, "revoked", ct)).ToNoContent())
            .RequireScope("account:write").AllowViewers().Sensitive("session.revoke", "session").Describe("revokeLoginSession", "End one of your sessions at once.")
            .Produces(StatusCodes.Status204NoContent);
        group.MapGet("/login-attempts", AttemptsAsync)
            .RequireScope("audit:read").Describe("listLoginAttempts", "List attempts to sign in as members of the tenant, newest first; for owners and admins.")
            .Produces<Page<LoginAttempt>>();
    }

    /// <summary>Where somebody comes in who has nothing to show yet but what is sent.</summary>
    private static void MapEntrances(RouteGroupBuilder group)
    {
        var open = group.MapGroup("").WithMetadata(new PublicEndpoint());
        open.MapPost("/login", async (HttpContext http, LogIn logIn, ClientOrigins origins, LoginRequest body, CancellationToken ct) =>
                Secret(http, (await logIn.SignInAsync(body, origins.Of(http), ct)).ToHttp()))
            .Describe("logIn", "Sign in with an e-mail address and its password.").Produces<LoginAnswer>();
        open.MapPost("/refresh", async (HttpContext http, RefreshSession sessions, ClientOrigins origins, RefreshRequest body, CancellationToken ct) =>
                Secret(http, (await sessions.RefreshAsync(body, origins.Of(http), ct)).ToHttp()))
            .Describe("refreshLogin", "Exchange a refresh token for new tokens; it serves once.").Produces<IssuedSession>();
        open.MapPost("/password-resets", async (ResetPassword resets, ResetRequest body, CancellationToken ct) =>
                await resets.RequestAsync(body, ct) is { } problem ? problem.ToHttp() : TypedResults.Accepted((string?)null))
            .Describe("requestPasswordReset", "Have a link to set the password mailed, if there is such an account.").Produces(StatusCodes.Status202Accepted);
        open.MapPost("/password-resets/complete", async (HttpContext http, ResetPassword resets, ClientOrigins origins, NewPassword body, CancellationToken ct) =>
                (await resets.CompleteAsync(body, origins.Of(http), ct)).ToNoContent())
            .Describe("completePasswordReset", "Set the password with the token of a link; all sessions end.").Produces(StatusCodes.Status204NoContent);
    }

    private static async Task<IResult> LogOutAsync(HttpContext http, LoginSessions sessions, CancellationToken ct) =>
        http.Caller().SessionId is { } id
            ? (await sessions.EndAsync(http.Actor(), id, "signed_out", ct)).ToNoContent()
            : Problem.Conflict("no_session", "An API key is no session: revoke the key instead.").ToHttp();

    private static async Task<IResult> AttemptsAsync(
        HttpContext http, Database database, CancellationToken ct, int? limit = null, string? cursor = null, string? email = null, bool? success = null) =>
        Roles.AtLeast(http.Actor().Role, "admin")
            ? await http.PageAsync(database, limit, cursor, (tx, page) => LoginAttempts.ListAsync(tx, new AttemptFilter(email, success), page, ct))
            : Problem.Forbidden("managers_only", "Only owners and admins see who tried to sign in.").ToHttp();

    /// <summary>Tokens are for who asked, and for no cache on the way.</summary>
    private static IResult Secret(HttpContext http, IResult result)
    {
        http.Response.Headers.CacheControl = "no-store";
        return result;
    }
}
