using System.Text.Json;
using AgentPlatform.Console.Sessions;
using AgentPlatform.Console.Shell;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Workflows;
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
    private const int PerPage = 20;

    internal static void MapWorkflows(this IEndpointRouteBuilder endpoints)
    {
        endpoints.MapGet("/workflows", ListAsync).WithMetadata(new NeedsScope(Read));
        endpoints.MapGet("/workflows/{id:guid}", ShowAsync).WithMetadata(new NeedsScope(Read));
        endpoints.MapPost("/workflows/{id:guid}/{act}", SteerAsync).WithMetadata(new NeedsScope(Write));
    }

    private static async Task<IResult> ListAsync(HttpContext http, Database database, WorkflowEngine engine, string? cursor, CancellationToken ct)
    {
        var page = PageRequest.Parse(PerPage, cursor);
        if (!page.IsOk)
        {
            return Pages.NotFound;
        }

        await using var tx = database.Begin(OperatorSession.Of(http).Actor);
        var runs = await engine.ListAsync(tx, new InstanceFilter(), page.Value, ct);
        return new RazorComponentResult<RunsPage>(new { Runs = runs.Items, OlderCursor = runs.NextCursor });
    }

    private static Task<IResult> ShowAsync(HttpContext http, Database database, WorkflowEngine engine, Guid id, CancellationToken ct) =>
        PageAsync(http, database, engine, id, refusal: null, ct);

    private static async Task<IResult> SteerAsync(HttpContext http, Database database, WorkflowEngine engine, Guid id, string act, CancellationToken ct)
    {
        var form = await http.Request.ReadFormAsync(ct);
        await using var tx = database.Begin(OperatorSession.Of(http).Actor);
        if (await engine.FindAsync(tx, id, ct) is null)
        {
            return Pages.NotFound;
        }

        Task<Result<WorkflowInstance>>? acting = act switch
        {
            "pause" => engine.PauseAsync(tx, id, Text(form, "reason"), ct),
            "resume" => engine.ResumeAsync(tx, id, ct),
            "cancel" => engine.CancelAsync(tx, id, Text(form, "reason") ?? "Cancelled in the console.", ct),
            "signal" => SignalAsync(tx, engine, id, form, ct),
            "fork" => engine.ForkAsync(tx, id, new WorkflowFork(Text(form, "step")), form["form_key"].ToString(), ct),
            _ => null,
        };
        if (acting is null)
        {
            return Pages.NotFound;
        }

        var steered = await acting;
        if (!steered.IsOk)
        {
            return await PageAsync(http, database, engine, id, steered.Problem, ct);
        }

        await tx.CommitAsync(ct);
        return Pages.See($"/workflows/{steered.Value.Id}");
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
            Error = refusal is null ? null : refusal.Errors is { Count: > 0 } errors ? string.Join(' ', errors.SelectMany(e => e.Value)) : refusal.Detail ?? refusal.Title,
        })
        { StatusCode = refusal?.Status };
    }

    private static string? Text(IFormCollection form, string name) => form[name].ToString().Trim() is { Length: > 0 } text ? text : null;
}
