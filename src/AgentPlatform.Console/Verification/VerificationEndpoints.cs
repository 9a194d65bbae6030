using AgentPlatform.Brain.Verification;
using AgentPlatform.Console.Shell;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Console.Verification;

/// <summary>Where the link of a verification mail leads: contacts are nobody's operators, so these pages are open, and the token is the key.</summary>
internal static class VerificationEndpoints
{
    internal static void MapVerification(this IEndpointRouteBuilder endpoints)
    {
        endpoints.MapGet("/verify/{token}", async (HttpContext http, VerifyEmail verify, string token, CancellationToken ct) =>
            await verify.ShowAsync(token, ct) is { } proof ? Page(http, proof.Email, token) : Over).WithMetadata(new OpenToAll());
        endpoints.MapPost("/verify/{token}", async (HttpContext http, VerifyEmail verify, string token, CancellationToken ct) =>
            await verify.ConfirmAsync(token, ct) ? Page(http, email: null, token) : Over).WithMetadata(new OpenToAll());
    }

    private static IResult Over => Pages.Problem(410, "This link is over", "It was used, or is older than half an hour. Ask for another mail in the conversation.");

    private static RazorComponentResult<VerificationPage> Page(HttpContext http, string? email, string token)
    {
        http.Response.Headers.CacheControl = "no-store";
        return new(new { Email = email, Token = token });
    }
}
