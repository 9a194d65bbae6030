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

/// <summary>A link that was made; its token is shown this once.</summary>
internal sealed record ApprovalLink(string Url, DateTimeOffset ExpiresAt);

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

        internal const string Find =
            "SELECT tenant_id, approval_id, user_id, expires_at FROM actions.approval_links WHERE token_hash = kernel.current_bearer()";
    }
}

internal static class ApprovalLinksApi
{
    internal static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapPost("/approvals/{id:guid}/links", CreateAsync).WithTags("Approvals").RequireScope("approvals:write")
            .Describe("createApprovalLink", "Makes a link with which you answer this approval without a key.").Produces<ApprovalLink>(201);
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
        return made.Map(link => new ApprovalLink($"{root}{ApiPipeline.Prefix}/approval-links/{link.Token}", link.ExpiresAt)).ToCreated(link => link.Url);
    }

    private static Task<IResult> ShowAsync(string token, HttpContext http, ApprovalLinks links, CancellationToken ct)
    {
        http.Response.Headers.CacheControl = "no-store";
        return links.ShowAsync(token, ct).ToHttpAsync();
    }

    private static Task<IResult> AnswerAsync(string token, LinkAnswer request, ApprovalLinks links, CancellationToken ct) =>
        request.Problem is { } problem ? Task.FromResult(problem.ToHttp()) : links.AnswerAsync(token, request, ct).ToHttpAsync();
}
