using AgentPlatform.Console.Sessions;
using AgentPlatform.Console.Shell;
using AgentPlatform.Console.Sops;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Work.Operate;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Console.Queues;

/// <summary>The tenant's queues on one page: how they stand, what is paused, what has died and is tried again.</summary>
internal static class WorkEndpoints
{
    private const string Home = "/console/work";
    private const string Read = "work:read";
    private const string Write = "work:write";

    internal static void MapWork(this IEndpointRouteBuilder endpoints)
    {
        endpoints.MapGet(Home, (HttpContext http, WorkDesk desk, CancellationToken ct) => PageAsync(http, desk, refusal: null, ct)).WithMetadata(new NeedsScope(Read));
        endpoints.MapPost($"{Home}/pauses", (HttpContext http, WorkDesk desk, CancellationToken ct) =>
            DoAsync(http, desk, (actor, form) => desk.PauseAsync(actor, new NewPause(Given(form, "kind"), Given(form, "serial_key"), Given(form, "reason")), ct), ct))
            .WithMetadata(new NeedsScope(Write));
        endpoints.MapPost($"{Home}/pauses/{{id:guid}}/end", (HttpContext http, WorkDesk desk, Guid id, CancellationToken ct) =>
            DoAsync(http, desk, (actor, _) => desk.ResumeAsync(actor, id, ct), ct)).WithMetadata(new NeedsScope(Write));
        endpoints.MapPost($"{Home}/redrives", (HttpContext http, WorkDesk desk, CancellationToken ct) =>
            DoAsync(http, desk, (actor, form) => desk.RedriveAsync(actor, new StartRedrive(Given(form, "kind"), Given(form, "error_signature")), ct), ct))
            .WithMetadata(new NeedsScope(Write));
        endpoints.MapPost($"{Home}/redrives/{{id:guid}}/stop", (HttpContext http, WorkDesk desk, Guid id, CancellationToken ct) =>
            DoAsync(http, desk, (actor, _) => desk.StopAsync(actor, id, ct), ct)).WithMetadata(new NeedsScope(Write));
    }

    private static async Task<IResult> DoAsync<T>(HttpContext http, WorkDesk desk, Func<Actor, IFormCollection, Task<Result<T>>> act, CancellationToken ct)
    {
        var done = await act(OperatorSession.Of(http).Actor, await http.Request.ReadFormAsync(ct));
        return done.IsOk ? Pages.See(Home) : await PageAsync(http, desk, done.Problem, ct);
    }

    private static async Task<IResult> PageAsync(HttpContext http, WorkDesk desk, Problem? refusal, CancellationToken ct)
    {
        var session = OperatorSession.Of(http);
        var board = await desk.ReadAsync(session.Actor, ct);
        return new RazorComponentResult<WorkPage>(new { Board = board, MayWrite = session.May(Write), Error = SopEndpoints.Words(refusal) }) { StatusCode = refusal?.Status };
    }

    private static string? Given(IFormCollection form, string field) => form[field].ToString().Trim() is { Length: > 0 } given ? given : null;
}
