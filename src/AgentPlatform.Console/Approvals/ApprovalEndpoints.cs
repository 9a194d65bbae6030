using AgentPlatform.Actions.Approvals;
using AgentPlatform.Console.Sessions;
using AgentPlatform.Console.Shell;
using AgentPlatform.Console.Sops;
using AgentPlatform.Kernel;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Console.Approvals;

/// <summary>What waits for a member's yes or no, and where the link to one question leads: who follows it needs no account, the token is the key.</summary>
internal static class ApprovalEndpoints
{
    private const string Home = "/console/approvals";
    private const string Links = "/console/approval-links";
    private const string Read = "approvals:read";
    private const string Write = "approvals:write";
    private const int PerPage = 50;

    internal static void MapApprovals(this IEndpointRouteBuilder endpoints)
    {
        endpoints.MapGet(Home, ListAsync).WithMetadata(new NeedsScope(Read));
        endpoints.MapGet($"{Home}/{{id:guid}}", (HttpContext http, ApprovalDesk desk, Guid id, CancellationToken ct) => PageAsync(http, desk, id, refusal: null, ct))
            .WithMetadata(new NeedsScope(Read));
        endpoints.MapPost($"{Home}/{{id:guid}}/{{decision:regex(^(approve|reject)$)}}", AnswerAsync).WithMetadata(new NeedsScope(Write));
        endpoints.MapPost($"{Home}/{{id:guid}}/delegate", DelegateAsync).WithMetadata(new NeedsScope(Write));
        endpoints.MapGet($"{Links}/{{token}}", ShowLinkAsync).WithMetadata(new OpenToAll());
        endpoints.MapPost($"{Links}/{{token}}/{{decision:regex(^(approve|reject)$)}}", AnswerLinkAsync).WithMetadata(new OpenToAll());
    }

    private static async Task<IResult> ListAsync(HttpContext http, ApprovalDesk desk, string? status, string? cursor, CancellationToken ct)
    {
        var page = PageRequest.Parse(PerPage, cursor);
        var shown = status ?? "pending";
        return page.IsOk && (shown == "all" || ActionApproval.Statuses.Contains(shown))
            ? new RazorComponentResult<ApprovalsPage>(new
            {
                List = await desk.ListAsync(OperatorSession.Of(http).Actor, shown == "all" ? null : shown, page.Value, ct),
                Status = shown,
            })
            : Pages.NotFound;
    }

    private static async Task<IResult> AnswerAsync(HttpContext http, ApprovalDesk desk, Guid id, string decision, CancellationToken ct)
    {
        var (actor, form) = (OperatorSession.Of(http).Actor, await http.Request.ReadFormAsync(ct));
        return await desk.ReadAsync(actor, id, ct) is not { } sheet
            ? Pages.NotFound
            : await SeeAsync(http, desk, id, await desk.AnswerAsync(actor, id, decision, ApprovalFields.Edits(sheet.Approval, form), form["reason"], ct), ct);
    }

    private static async Task<IResult> DelegateAsync(HttpContext http, ApprovalDesk desk, Guid id, CancellationToken ct)
    {
        var form = await http.Request.ReadFormAsync(ct);
        Result<ActionApproval> passed = Guid.TryParse(form["to"], out var to)
            ? await desk.DelegateAsync(OperatorSession.Of(http).Actor, id, to, ct)
            : Problem.Invalid("to", "Choose who shall answer.");
        return await SeeAsync(http, desk, id, passed, ct);
    }

    private static async Task<IResult> SeeAsync(HttpContext http, ApprovalDesk desk, Guid id, Result<ActionApproval> done, CancellationToken ct) =>
        done.IsOk ? Pages.See($"{Home}/{id}") : await PageAsync(http, desk, id, done.Problem, ct);

    private static async Task<IResult> PageAsync(HttpContext http, ApprovalDesk desk, Guid id, Problem? refusal, CancellationToken ct)
    {
        var session = OperatorSession.Of(http);
        return await desk.ReadAsync(session.Actor, id, ct) is not { } sheet
            ? Pages.NotFound
            : new RazorComponentResult<ApprovalPage>(new
            {
                Sheet = sheet,
                User = session.Actor.UserId,
                WhyNot = session.May(Write) ? sheet.WhyNot : "Your role, or the key you signed in with, answers no approvals.",
                Error = SopEndpoints.Words(refusal),
            })
            { StatusCode = refusal?.Status };
    }

    private static async Task<IResult> ShowLinkAsync(HttpContext http, ApprovalDesk desk, string token, CancellationToken ct) =>
        LinkPage(http, token, await desk.ShowLinkAsync(token, ct), refusal: null);

    private static async Task<IResult> AnswerLinkAsync(HttpContext http, ApprovalDesk desk, string token, string decision, CancellationToken ct)
    {
        var (form, shown) = (await http.Request.ReadFormAsync(ct), await desk.ShowLinkAsync(token, ct));
        var answered = shown.IsOk ? await desk.AnswerLinkAsync(token, decision, ApprovalFields.Edits(shown.Value, form), form["reason"], ct) : shown.Problem;
        return answered.IsOk ? LinkPage(http, token, answered, refusal: null) : LinkPage(http, token, shown, answered.Problem);
    }

    private static IResult LinkPage(HttpContext http, string token, Result<ActionApproval> shown, Problem? refusal)
    {
        http.Response.Headers.CacheControl = "no-store";
        return shown.IsOk
            ? new RazorComponentResult<ApprovalLinkPage>(new { Approval = shown.Value, Token = token, Error = SopEndpoints.Words(refusal) }) { StatusCode = refusal?.Status }
            : Pages.Problem(shown.Problem.Status, "This link answers nothing", shown.Problem.Detail ?? shown.Problem.Title);
    }
}
