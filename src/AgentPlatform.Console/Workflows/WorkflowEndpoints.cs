using System.Text.Json;
using AgentPlatform.Console.Sessions;
using AgentPlatform.Console.Shell;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Workflows;
using AgentPlatform.Workflows.Definitions;
using AgentPlatform.Workflows.Forks;
using AgentPlatform.Workflows.Running;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Console.Workflows;

/// <summary>Runs of workflows: which there are, one as a graph, and forms that steer it.</summary>
internal static class WorkflowEndpoints
{
    private const string Read = "workflows:read";
    private const string Write = "workflows:write";
    private const string Approve = "approvals:write";
    private const int PerPage = 20;

    private static Task<Result<WorkflowInstance>> NothingLikeIt => Task.FromResult<Result<WorkflowInstance>>(Problem.NotFound("form"));

    internal static void MapWorkflows(this IEndpointRouteBuilder endpoints)
    {
        endpoints.MapGet("/workflows", ListAsync).WithMetadata(new NeedsScope(Read));
        endpoints.MapGet("/workflows/{id:guid}", ShowAsync).WithMetadata(new NeedsScope(Read));
        endpoints.MapGet("/workflows/{id:guid}/events", FollowAsync).WithMetadata(new NeedsScope(Read));
        endpoints.MapPost("/workflows/{id:guid}/{act}", SteerAsync).WithMetadata(new NeedsScope(Write));
        endpoints.MapPost("/workflows/{id:guid}/steps/{step}/{answer}", AnswerAsync).WithMetadata(new NeedsScope(Approve));
        endpoints.MapStartRun();
    }

    private static async Task<IResult> ListAsync(HttpContext http, Database database, WorkflowEngine engine, string? cursor, CancellationToken ct)
    {
        var page = PageRequest.Parse(PerPage, cursor);
        if (!page.IsOk)
        {
            return Pages.NotFound;
        }

        var session = OperatorSession.Of(http);
        await using var tx = database.Begin(session.Actor);
        var runs = await engine.ListAsync(tx, new InstanceFilter(), page.Value, ct);
        var startable = session.May(Write) ? await engine.WorkflowsAsync(tx, new WorkflowFilter(IsActive: true), new PageRequest(PerPage, null), ct) : null;
        return new RazorComponentResult<RunsPage>(new { Runs = runs.Items, OlderCursor = runs.NextCursor, Startable = startable?.Items ?? [] });
    }

    private static async Task<IResult> FollowAsync(HttpContext http, Database database, WorkflowEngine engine, FollowChanges changes, Guid id, string? after, CancellationToken ct)
    {
        var actor = OperatorSession.Of(http).Actor;
        var seen = http.Request.Headers["Last-Event-ID"].ToString() is { Length: > 0 } last ? last : after ?? "";
        return await RevisionAsync(ct) is null ? Pages.NotFound
            : TypedResults.ServerSentEvents(changes.FollowAsync(actor, id, async token => await RevisionAsync(token) ?? seen, seen, ct));

        async Task<string?> RevisionAsync(CancellationToken token)
        {
            await using var tx = database.Begin(actor);
            return await engine.GraphAsync(tx, id, token) is { } graph ? Revision(graph) : null;
        }
    }

    /// <summary>Names what the page shows of a run.</summary>
    internal static string Revision(InstanceGraph graph) => string.Join('.', new[] { $"{graph.Instance.UpdatedAt.UtcTicks:x}" }
        .Concat(graph.Steps.Select(s => $"{s.Status[0]}{s.Elements.Count(e => e.CompletedAt is not null)}{string.Concat(s.Undone.Select(u => u.Status[0]))}{string.Concat(s.Attempts.Select(a => a.Execution.Status[0]))}")));

    private static Task<IResult> ShowAsync(HttpContext http, Database database, WorkflowEngine engine, Guid id, CancellationToken ct) =>
        PageAsync(http, database, engine, id, refusal: null, ct);

    private static async Task<IResult> SteerAsync(HttpContext http, Database database, WorkflowEngine engine, Guid id, string act, CancellationToken ct)
    {
        var form = await http.Request.ReadFormAsync(ct);
        return await MoveAsync(http, database, engine, id, tx => act switch
        {
            "pause" => engine.PauseAsync(tx, id, Text(form, "reason"), ct),
            "resume" => engine.ResumeAsync(tx, id, ct),
            "cancel" => engine.CancelAsync(tx, id, Text(form, "reason") ?? "Cancelled in the console.", ct),
            "signal" => SignalAsync(tx, engine, id, form, ct),
            "fork" => engine.ForkAsync(tx, id, new WorkflowFork(Text(form, "step")), form["form_key"].ToString(), ct),
            _ => NothingLikeIt,
        }, ct);
    }

    private static async Task<IResult> AnswerAsync(HttpContext http, Database database, WorkflowEngine engine, Guid id, string step, string answer, CancellationToken ct)
    {
        var form = await http.Request.ReadFormAsync(ct);
        return await MoveAsync(http, database, engine, id, tx => answer switch
        {
            "approve" => engine.ApproveStepAsync(tx, id, step, ct),
            "reject" => Text(form, "reason") is { } reason
                ? engine.RejectStepAsync(tx, id, step, reason, ct)
                : Task.FromResult<Result<WorkflowInstance>>(Problem.Invalid("reason", "Say why.")),
            _ => NothingLikeIt,
        }, ct);
    }

    /// <summary>Shows the run that came of it, or this one again with why nothing did.</summary>
    private static async Task<IResult> MoveAsync(
        HttpContext http, Database database, WorkflowEngine engine, Guid id, Func<Transaction, Task<Result<WorkflowInstance>>> move, CancellationToken ct)
    {
        await using var tx = database.Begin(OperatorSession.Of(http).Actor);
        if (await engine.FindAsync(tx, id, ct) is null)
        {
            return Pages.NotFound;
        }

        var moved = await move(tx);
        if (!moved.IsOk)
        {
            return moved.Problem.Status == StatusCodes.Status404NotFound ? Pages.NotFound : await PageAsync(http, database, engine, id, moved.Problem, ct);
        }

        await tx.CommitAsync(ct);
        return Pages.See($"/workflows/{moved.Value.Id}");
    }

    private static async Task<Result<WorkflowInstance>> SignalAsync(Transaction tx, WorkflowEngine engine, Guid id, IFormCollection form, CancellationToken ct)
    {
        if (Text(form, "event") is not { } name)
        {
            return Problem.Invalid("event", "Name the event.");
        }

        JsonElement? payload = null;
        if (Text(form, "payload") is { } text)
        {
            try
            {
                payload = JsonSerializer.Deserialize<JsonElement>(text, Json.Options);
            }
            catch (JsonException)
            {
                return Problem.Invalid("payload", "Must be JSON.");
            }
        }

        return await engine.SignalAsync(tx, id, name, payload, form["form_key"].ToString(), ct);
    }

    private static async Task<IResult> PageAsync(HttpContext http, Database database, WorkflowEngine engine, Guid id, Problem? refusal, CancellationToken ct)
    {
        var session = OperatorSession.Of(http);
        await using var tx = database.Begin(session.Actor);
        return await engine.GraphAsync(tx, id, ct) is not { } graph ? Pages.NotFound : new RazorComponentResult<RunPage>(new
        {
            Graph = graph,
            MayWrite = session.May(Write),
            MayApprove = session.May(Approve),
            Error = refusal is null ? null : refusal.Errors is { Count: > 0 } errors ? string.Join(' ', errors.SelectMany(e => e.Value)) : refusal.Detail ?? refusal.Title,
        })
        { StatusCode = refusal?.Status };
    }

    /// <summary>What holds a run up says more than that it is in progress.</summary>
    internal static string Shown(this WorkflowInstance run) => run is { Status: "in_progress", Control: not "running" } ? run.Control : run.Status;

    private static string? Text(IFormCollection form, string name) => form[name].ToString().Trim() is { Length: > 0 } text ? text : null;
}
