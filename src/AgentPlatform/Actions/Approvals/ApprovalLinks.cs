using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using AgentPlatform.Api;
using AgentPlatform.Channels;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Actions.Approvals;

/// <summary>A link that was made: the page for people, and the same for programs. Its token is shown this once.</summary>
internal sealed record ApprovalLink(string Url, string ApiUrl, DateTimeOffset ExpiresAt);

/// <summary>A link as it is kept: whose it is and how long it lives, without its token.</summary>
internal sealed record StoredLink(Guid Id, Guid ApprovalId, Guid UserId, DateTimeOffset ExpiresAt, DateTimeOffset CreatedAt);

/// <summary><c>approve</c>, with edits if there are any, or <c>reject</c> with a reason.</summary>
internal sealed record LinkAnswer(string? Decision, JsonElement? Edits, string? Reason)
{
    internal Problem? Problem => new Validation().OneOf("decision", Decision, required: true, "approve", "reject")
        .MustBeObject("edits", Edits).Text("reason", Reason, 2000, required: Decision == "reject").Problem;
}

/// <summary>
/// Links by which a member answers one approval away from the console. A member makes them for themselves only: a link speaks with their
/// voice. It shows one approval and answers it; it lives no longer than the question.
/// </summary>
internal sealed class ApprovalLinks(Database database, DecideApproval approvals, TimeProvider clock)
{
    internal async Task<Result<(string Token, DateTimeOffset ExpiresAt)>> CreateAsync(Transaction tx, Guid approvalId, Guid userId, CancellationToken ct)
    {
        if (await approvals.FindAsync(tx, approvalId, ct) is not { } approval)
        {
            return Problem.NotFound("approval");
        }

        if (approval.Refuses(userId, clock.GetUtcNow()) is { } problem)
        {
            return problem;
        }

        var token = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(32));
        await tx.ExecuteAsync(Sql.Insert, [tx.TenantId, clock.NewId(), approvalId, userId, Hash(token), approval.ExpiresAt], ct);
        return (token, approval.ExpiresAt);
    }

    internal async Task<Result<Page<StoredLink>>> ListAsync(Transaction tx, Guid approvalId, PageRequest page, CancellationToken ct) =>
        await approvals.FindAsync(tx, approvalId, ct) is null
            ? Problem.NotFound("approval")
            : Page<StoredLink>.Cut(await tx.QueryAsync<StoredLink>(Sql.List, [tx.TenantId, approvalId, page.Before, page.Fetch], ct), page, link => link.Id);

    /// <summary>From the commit on the link is not known any more.</summary>
    internal static async Task<Result<Guid>> RevokeAsync(Transaction tx, Guid approvalId, Guid id, CancellationToken ct) =>
        await tx.ExecuteAsync(Sql.Revoke, [tx.TenantId, approvalId, id], ct) == 0 ? Problem.NotFound("approval_link") : id;

    /// <summary>What is asked, and nothing else: mail scanners and previews follow links too.</summary>
    internal Task<Result<ActionApproval>> ShowAsync(string token, CancellationToken ct) =>
        EnterAsync(token, async (tx, link) => (await approvals.FindAsync(tx, link.ApprovalId, ct)).OrNotFound("approval"), ct);

    internal Task<Result<ActionApproval>> AnswerAsync(string token, LinkAnswer answer, CancellationToken ct) =>
        EnterAsync(token, (tx, link) => answer.Decision == "approve"
            ? approvals.ApproveAsync(tx, link.ApprovalId, new Approver(link.UserId, "link"), answer.Edits, ct)
            : approvals.RejectAsync(tx, link.ApprovalId, new Approver(link.UserId, "link"), answer.Reason!, ct), ct);

    private async Task<Result<ActionApproval>> EnterAsync(string token, Func<Transaction, Row, Task<Result<ActionApproval>>> then, CancellationToken ct)
    {
        await using var tx = database.BeginGateway(Hash(token));
        if (await tx.FindAsync<Row>(Sql.Find, [], ct) is not { } link)
        {
            return Problem.NotFound("approval_link");
        }

        if (link.ExpiresAt <= clock.GetUtcNow())
        {
            return Problem.Gone("approval_expired", "The time to answer is over.");
        }

        tx.Enter(new Actor(link.TenantId, link.UserId, "member"));
        if (await approvals.RefusesAsync(tx, link.UserId, ct) is { } refused)
        {
            return refused;
        }

        var result = await then(tx, link);
        if (result.IsOk)
        {
            await tx.CommitAsync(ct);
        }

        return result;
    }

    private static string Hash(string token) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(token)));

    private sealed record Row(Guid TenantId, Guid ApprovalId, Guid UserId, DateTimeOffset ExpiresAt);

    private static class Sql
    {
        internal const string Insert =
            """
            INSERT INTO actions.approval_links (tenant_id, id, approval_id, user_id, token_hash, expires_at)
            VALUES ($1, $2, $3, $4, $5, $6)
            """;

        internal const string List =
            """
            SELECT id, approval_id, user_id, expires_at, created_at FROM actions.approval_links
            WHERE tenant_id = $1 AND approval_id = $2 AND ($3::uuid IS NULL OR id < $3) ORDER BY id DESC LIMIT $4
            """;

        internal const string Revoke = "DELETE FROM actions.approval_links WHERE tenant_id = $1 AND approval_id = $2 AND id = $3";

        internal const string Find =
            "SELECT tenant_id, approval_id, user_id, expires_at FROM actions.approval_links WHERE token_hash = kernel.current_bearer()";
    }
}

internal static class ApprovalLinksApi
{
    // The page is the console's; who follows a link is signed in by it alone.
    private const string PagePath = "/console/approval-links/";

    internal static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapPost("/approvals/{id:guid}/links", CreateAsync).WithTags("Approvals").RequireScope("approvals:write")
            .Describe("createApprovalLink", "Makes a link with which you answer this approval without a key.").Produces<ApprovalLink>(201);
        routes.MapGet("/approvals/{id:guid}/links", ListAsync).WithTags("Approvals").RequireScope("approvals:read")
            .Describe("listApprovalLinks", "The links that answer an approval, newest first, without their tokens.").Produces<Page<StoredLink>>();
        routes.MapDelete("/approvals/{approvalId:guid}/links/{id:guid}", RevokeAsync).WithTags("Approvals").RequireScope("approvals:write")
            .Sensitive("approval_link.revoke", "approval_link").Describe("revokeApprovalLink", "Take a link back at once.").Produces(StatusCodes.Status204NoContent);
        var links = routes.MapGroup("/approval-links/{token}").WithTags("Approvals").WithMetadata(new PublicEndpoint());
        links.MapGet("", ShowAsync).Describe("getApprovalByLink", "What is asked; decides nothing.").Produces<ActionApproval>();
        links.MapPost("", AnswerAsync).Describe("answerApprovalByLink", "Approves or rejects, once.").Produces<ActionApproval>();
    }

    private static async Task<IResult> CreateAsync(
        Guid id, HttpContext http, Database database, ApprovalLinks links, PublicAddress address, CancellationToken ct)
    {
        await using var tx = database.Begin(http.Actor());
        var made = await links.CreateAsync(tx, id, http.Actor().UserId, ct);
        if (made.IsOk)
        {
            await tx.CommitAsync(ct);
        }

        var root = address.UrlOf(http.Request).Split(ApiPipeline.Prefix)[0];
        return made.Map(link => new ApprovalLink($"{root}{PagePath}{link.Token}", $"{root}{ApiPipeline.Prefix}/approval-links/{link.Token}", link.ExpiresAt)).ToCreated(link => link.ApiUrl);
    }

    private static async Task<IResult> ListAsync(Guid id, HttpContext http, Database database, ApprovalLinks links, CancellationToken ct, int? limit = null, string? cursor = null)
    {
        await using var tx = database.Begin(http.Actor());
        return (PageRequest.Parse(limit, cursor) is { IsOk: true, Value: var page } ? await links.ListAsync(tx, id, page, ct) : PageRequest.Parse(limit, cursor).Problem!).ToHttp();
    }

    private static async Task<IResult> RevokeAsync(Guid approvalId, Guid id, HttpContext http, Database database, CancellationToken ct)
    {
        await using var tx = database.Begin(http.Actor());
        var revoked = await ApprovalLinks.RevokeAsync(tx, approvalId, id, ct);
        await tx.CommitAsync(ct);
        return revoked.ToNoContent();
    }

    private static Task<IResult> ShowAsync(string token, HttpContext http, ApprovalLinks links, CancellationToken ct)
    {
        http.Response.Headers.CacheControl = "no-store";
        return links.ShowAsync(token, ct).ToHttpAsync();
    }

    private static Task<IResult> AnswerAsync(string token, LinkAnswer request, ApprovalLinks links, CancellationToken ct) =>
        request.Problem is { } problem ? Task.FromResult(problem.ToHttp()) : links.AnswerAsync(token, request, ct).ToHttpAsync();
}
