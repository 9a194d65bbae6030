using System.Globalization;
using AgentPlatform.Console.Sessions;
using AgentPlatform.Console.Shell;
using AgentPlatform.Console.Workflows;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Workflows.Sops;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Console.Sops;

/// <summary>One execution of an SOP as it happens, with forms for what a person does of it.</summary>
internal static class SopExecutionEndpoints
{
    internal static void MapSopExecutions(this IEndpointRouteBuilder endpoints)
    {
        var one = endpoints.MapGroup("/console/sops/executions/{id:guid}");
        one.MapGet("", ShowAsync).WithMetadata(new NeedsScope(SopEndpoints.Read));
        one.MapGet("/events", FollowAsync).WithMetadata(new NeedsScope(SopEndpoints.Read));
        Map(one, "/steps/{step:int}/result", SopEndpoints.Write, (desk, form, actor, id, ct) => desk.RecordAsync(
            actor, id, form.Step, StartRunEndpoints.InputOf(form.Given), form.Chose("failed") ? form.Text("error") ?? "" : null, ct));
        Map(one, "/approve", SopEndpoints.Approve, (desk, _, actor, id, ct) => desk.ApproveAsync(actor, id, ct));
        Map(one, "/reject", SopEndpoints.Approve, (desk, form, actor, id, ct) => desk.RejectAsync(actor, id, form.Text("reason"), ct));
        Map(one, "/cancel", SopEndpoints.Write, (desk, form, actor, id, ct) => desk.CancelAsync(actor, id, form.Text("reason"), ct));
        Map(one, "/rating", SopEndpoints.Write, (desk, form, actor, id, ct) => desk.RateAsync(actor, id, form.Number("rating"), form.Text("feedback"), form.Text("issue"), ct));
    }

    /// <summary>Names what the page shows.</summary>
    internal static string Revision(SopRun run) => $"{run.Execution.UpdatedAt.UtcTicks:x}";

    private static void Map(
        RouteGroupBuilder one, string path, string scope, Func<SopDesk, Filled, Actor, Guid, CancellationToken, Task<Result<SopExecution>>> move) =>
        one.MapPost(path, async (HttpContext http, SopDesk desk, Guid id, int? step, CancellationToken ct) =>
        {
            var form = await http.Request.ReadFormAsync(ct);
            var filled = new Filled(step ?? 0, form.ToDictionary(f => f.Key, f => f.Value.ToString(), StringComparer.Ordinal));
            var moved = await move(desk, filled, OperatorSession.Of(http).Actor, id, ct);
            return moved.IsOk ? Pages.See($"/console/sops/executions/{id}") : await PageAsync(http, desk, id, filled.Given, moved.Problem, ct);
        }).WithMetadata(new NeedsScope(scope));

    private static Task<IResult> ShowAsync(HttpContext http, SopDesk desk, Guid id, CancellationToken ct) =>
        PageAsync(http, desk, id, new Dictionary<string, string>(StringComparer.Ordinal), refusal: null, ct);

    private static async Task<IResult> FollowAsync(HttpContext http, SopDesk desk, FollowChanges changes, Guid id, string? after, CancellationToken ct)
    {
        var actor = OperatorSession.Of(http).Actor;
        var seen = http.Request.Headers["Last-Event-ID"].ToString() is { Length: > 0 } last ? last : after ?? "";
        return await desk.ExecutionAsync(actor, id, ct) is null
            ? Pages.NotFound
            : TypedResults.ServerSentEvents(changes.FollowAsync(
                actor, id, async token => await desk.ExecutionAsync(actor, id, token) is { } run ? Revision(run) : seen, seen, ct));
    }

    private static async Task<IResult> PageAsync(HttpContext http, SopDesk desk, Guid id, IReadOnlyDictionary<string, string> given, Problem? refusal, CancellationToken ct)
    {
        var session = OperatorSession.Of(http);
        return await desk.ExecutionAsync(session.Actor, id, ct) is not { } run ? Pages.NotFound : new RazorComponentResult<SopExecutionPage>(new
        {
            Run = run,
            MayWrite = session.May(SopEndpoints.Write),
            MayApprove = session.May(SopEndpoints.Approve) && run.Execution.UserId != session.Actor.UserId,
            Given = given,
            Error = SopEndpoints.Words(refusal),
        })
        { StatusCode = refusal?.Status };
    }

    /// <summary>A form as it was sent.</summary>
    private sealed record Filled(int Step, IReadOnlyDictionary<string, string> Given)
    {
        internal string? Text(string name) => Given.GetValueOrDefault(name)?.Trim() is { Length: > 0 } text ? text : null;

        internal bool Chose(string status) => Text("status") == status;

        internal int? Number(string name) => int.TryParse(Text(name), CultureInfo.InvariantCulture, out var number) ? number : null;
    }
}
