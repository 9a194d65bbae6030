using System.Text.Json;
using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Actions.Approvals;

internal sealed record Approve(JsonElement? Edits);

internal sealed record Reject(string? Reason);

internal sealed record Delegate(Guid To);

internal static class ApprovalsApi
{
    internal static void Map(IEndpointRouteBuilder routes)
    {
        var approvals = routes.MapGroup("/approvals").WithTags("Approvals");
        approvals.MapGet("", ListAsync).RequireScope("approvals:read").Describe("listApprovals", "Questions whether an action may run, newest first.").Produces<Page<ActionApproval>>();
        approvals.MapGet("/{id:guid}", FindAsync).RequireScope("approvals:read").Describe("getApproval", "One approval with its answers.").Produces<ActionApproval>();
        approvals.MapPost("/{id:guid}/approve", ApproveAsync).RequireScope("approvals:write").Describe("approveAction", "Says yes, with edits of the editable fields.").Produces<ActionApproval>();
        approvals.MapPost("/{id:guid}/reject", RejectAsync).RequireScope("approvals:write").Describe("rejectAction", "Says no, and why.").Produces<ActionApproval>();
        approvals.MapPost("/{id:guid}/delegate", DelegateAsync).RequireScope("approvals:write").Describe("delegateApproval", "Passes the question on to another member.").Produces<ActionApproval>();
    }

    private static async Task<IResult> ListAsync(
        HttpContext http, Database database, DecideApproval approvals, CancellationToken ct, int? limit = null, string? cursor = null, string? status = null)
    {
        var page = PageRequest.Parse(limit, cursor);
        if ((new Validation().OneOf("status", status, required: false, ActionApproval.Statuses).Problem ?? page.Problem) is { } problem)
        {
            return problem.ToHttp();
        }

        await using var tx = database.Begin(http.Actor());
        return ((Result<Page<ActionApproval>>)await approvals.ListAsync(tx, status, page.Value, ct)).ToHttp();
    }

    private static Task<IResult> FindAsync(Guid id, HttpContext http, Database database, DecideApproval approvals, CancellationToken ct) =>
        http.OneAsync(database, tx => approvals.FindAsync(tx, id, ct), "approval");

    private static Task<IResult> ApproveAsync(Guid id, Approve request, HttpContext http, Database database, DecideApproval approvals, CancellationToken ct) =>
        AnswerAsync(new Validation().MustBeObject("edits", request.Edits), http, database, (tx, who) => approvals.ApproveAsync(tx, id, who, request.Edits, ct), ct);

    private static Task<IResult> RejectAsync(Guid id, Reject request, HttpContext http, Database database, DecideApproval approvals, CancellationToken ct) =>
        AnswerAsync(new Validation().Text("reason", request.Reason, 2000, required: true), http, database, (tx, who) => approvals.RejectAsync(tx, id, who, request.Reason!, ct), ct);

    private static Task<IResult> DelegateAsync(Guid id, Delegate request, HttpContext http, Database database, DecideApproval approvals, CancellationToken ct) =>
        AnswerAsync(new Validation(), http, database, (tx, who) => approvals.DelegateAsync(tx, id, who.UserId, request.To, ct), ct);

    /// <summary>A refusal commits nothing.</summary>
    private static async Task<IResult> AnswerAsync(
        Validation validation, HttpContext http, Database database, Func<Transaction, Approver, Task<Result<ActionApproval>>> answer, CancellationToken ct)
    {
        if (validation.Problem is { } problem)
        {
            return problem.ToHttp();
        }

        await using var tx = database.Begin(http.Actor());
        var answered = await answer(tx, new Approver(http.Actor().UserId, "api"));
        if (answered.IsOk)
        {
            await tx.CommitAsync(ct);
        }

        return answered.ToHttp();
    }
}
