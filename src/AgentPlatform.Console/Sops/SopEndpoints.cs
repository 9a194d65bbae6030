using AgentPlatform.Console.Sessions;
using AgentPlatform.Console.Shell;
using AgentPlatform.Console.Workflows;
using AgentPlatform.Kernel;
using AgentPlatform.Workflows.Sops;
using AgentPlatform.Workflows.Sops.Drafting;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Console.Sops;

/// <summary>Standard operating procedures: which there are, one with its steps and how it went, and a form that begins an execution.</summary>
internal static class SopEndpoints
{
    internal const string Read = "workflows:read";
    internal const string Write = "workflows:write";
    internal const string Approve = "approvals:write";
    private const int PerPage = 50;

    internal static void MapSops(this IEndpointRouteBuilder endpoints)
    {
        endpoints.MapGet("/console/sops", ListAsync).WithMetadata(new NeedsScope(Read));
        endpoints.MapGet("/console/sops/{id:guid}", ShowAsync).WithMetadata(new NeedsScope(Read));
        endpoints.MapPost("/console/sops/{id:guid}/publish", PublishAsync).WithMetadata(new NeedsScope(Write));
        endpoints.MapPost("/console/sops/{id:guid}/archive", ArchiveAsync).WithMetadata(new NeedsScope(Write));
        endpoints.MapGet("/console/sops/{id:guid}/start", FormAsync).WithMetadata(new NeedsScope(Write));
        endpoints.MapPost("/console/sops/{id:guid}/start", StartAsync).WithMetadata(new NeedsScope(Write));
        endpoints.MapSopExecutions();
    }

    /// <summary>Why a form was refused, in words.</summary>
    internal static string? Words(Problem? refusal) =>
        refusal is null ? null : refusal.Errors is { Count: > 0 } errors ? string.Join(' ', errors.SelectMany(e => e.Value)) : refusal.Detail ?? refusal.Title;

    private static async Task<IResult> ListAsync(HttpContext http, SopDesk desk, string? q, string? status, string? category, string? cursor, CancellationToken ct)
    {
        var page = PageRequest.Parse(PerPage, cursor);
        if (!page.IsOk)
        {
            return Pages.NotFound;
        }

        var filter = new SopFilter(Given(status), Guid.TryParse(category, out var id) ? id : null) { Text = Given(q) };
        return new RazorComponentResult<SopsPage>(new { List = await desk.ListAsync(OperatorSession.Of(http).Actor, filter, page.Value, ct), Filter = filter });
    }

    private static Task<IResult> ShowAsync(HttpContext http, SopDesk desk, Guid id, int? version, CancellationToken ct) => PageAsync(http, desk, id, version, refusal: null, ct);

    private static Task<IResult> PublishAsync(HttpContext http, SopDesk desk, Guid id, CancellationToken ct) => MoveAsync(http, desk, id, desk.PublishAsync, ct);

    private static Task<IResult> ArchiveAsync(HttpContext http, SopDesk desk, Guid id, CancellationToken ct) => MoveAsync(http, desk, id, desk.ArchiveAsync, ct);

    private static async Task<IResult> MoveAsync(
        HttpContext http, SopDesk desk, Guid id, Func<Postgres.Actor, Guid, CancellationToken, Task<Result<Sop>>> move, CancellationToken ct)
    {
        var moved = await move(OperatorSession.Of(http).Actor, id, ct);
        return moved.IsOk ? Pages.See($"/console/sops/{id}") : await PageAsync(http, desk, id, version: null, moved.Problem, ct);
    }

    private static async Task<IResult> PageAsync(HttpContext http, SopDesk desk, Guid id, int? version, Problem? refusal, CancellationToken ct)
    {
        var session = OperatorSession.Of(http);
        return await desk.ReadAsync(session.Actor, id, version, ct) is not { } document
            ? Pages.NotFound
            : new RazorComponentResult<SopPage>(new { Document = document, MayWrite = session.May(Write), Error = Words(refusal) }) { StatusCode = refusal?.Status };
    }

    private static Task<IResult> FormAsync(HttpContext http, SopDesk desk, ReadOverview overview, Guid id, CancellationToken ct) =>
        FormPageAsync(http, desk, overview, id, given: [], refusal: null, ct);

    private static async Task<IResult> StartAsync(HttpContext http, SopDesk desk, ReadOverview overview, Guid id, CancellationToken ct)
    {
        var form = await http.Request.ReadFormAsync(ct);
        var given = form.ToDictionary(f => f.Key, f => f.Value.ToString(), StringComparer.Ordinal);
        var conversation = Guid.TryParse(given.GetValueOrDefault("conversation"), out var chosen) ? chosen : (Guid?)null;
        var started = await desk.StartAsync(
            OperatorSession.Of(http).Actor, id, $"console:{given.GetValueOrDefault("form_key")}", Given(given.GetValueOrDefault("executor")), conversation, StartRunEndpoints.InputOf(given), ct);
        return started.IsOk ? Pages.See($"/console/sops/executions/{started.Value.Id}") : await FormPageAsync(http, desk, overview, id, given, started.Problem, ct);
    }

    private static async Task<IResult> FormPageAsync(
        HttpContext http, SopDesk desk, ReadOverview overview, Guid id, Dictionary<string, string> given, Problem? refusal, CancellationToken ct)
    {
        var actor = OperatorSession.Of(http).Actor;
        if (await desk.ReadAsync(actor, id, version: null, ct) is not { Sop.PublishedVersion: { } inForce } latest)
        {
            return Pages.NotFound;
        }

        var document = latest.Version == inForce ? latest : (await desk.ReadAsync(actor, id, inForce, ct))!;
        var read = await overview.ReadAsync(actor, cursor: null, ct);
        return new RazorComponentResult<StartSopPage>(new
        {
            document.Sop,
            Inputs = SopFields.OfContext(document.Sop, document.Steps),
            read.Value.Conversations,
            Given = (IReadOnlyDictionary<string, string>)given,
            Error = Words(refusal),
        })
        { StatusCode = refusal?.Status };
    }

    private static string? Given(string? text) => text?.Trim() is { Length: > 0 } given ? given : null;
}
