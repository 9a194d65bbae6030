using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Tasks;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Knowledge.Patterns;

internal static class ActionPatternsApi
{
    internal static void Map(IEndpointRouteBuilder v1)
    {
        var patterns = v1.MapGroup("/action-patterns").WithTags("Learned patterns");
        patterns.MapGet("", ListAsync).RequireScope("knowledge:read").Describe("listActionPatterns", "Steps that worked, shared ones and one's own, newest first.").Produces<Page<ActionPattern>>();
        patterns.MapGet("/best", BestAsync).RequireScope("knowledge:read").Describe("findBestActionPattern", "The pattern to follow for a task, or for a type of tasks.").Produces<ActionPattern>();
        patterns.MapGet("/{id:guid}", FindAsync).RequireScope("knowledge:read").Describe("readActionPattern", "One pattern.").Produces<ActionPattern>();
        patterns.MapPost("", async (HttpContext http, ActionPatterns store, ActionPatternBody body, CancellationToken ct) =>
            (await store.CreateAsync(http.Actor(), body, ct)).ToCreated(p => $"/api/v1/action-patterns/{p.Id}", p => p.UpdatedAt))
            .RequireScope("knowledge:write").Describe("createActionPattern", "Steps for a type of tasks, one's own or shared.").Produces<ActionPattern>(201);
        patterns.MapPatch("/{id:guid}", async (Guid id, HttpContext http, IfMatch ifMatch, ActionPatterns store, ActionPatternChange body, CancellationToken ct) =>
            (await store.ChangeAsync(http.Actor(), id, body, ifMatch, ct)).ToHttp(p => p.UpdatedAt))
            .RequireScope("knowledge:write").Describe("changeActionPattern", "Rename a pattern, or change its metadata.").Produces<ActionPattern>();
        patterns.MapDelete("/{id:guid}", async (Guid id, HttpContext http, IfMatch ifMatch, ActionPatterns store, CancellationToken ct) =>
            (await store.DeleteAsync(http.Actor(), id, ifMatch, ct)).ToNoContent())
            .RequireScope("knowledge:write").Describe("deleteActionPattern", "Forget a pattern.").Produces(204);
        patterns.MapPost("/{id:guid}/outcomes", async (Guid id, HttpContext http, ActionPatterns store, PatternOutcome body, CancellationToken ct) =>
            (await store.ReportAsync(http.Actor(), id, body, ct)).ToHttp(p => p.UpdatedAt))
            .RequireScope("knowledge:write").Describe("reportActionPatternOutcome", "Say how a task went that was done by the pattern.").Produces<ActionPattern>();
    }

    private static Task<IResult> ListAsync(HttpContext http, Database database, ActionPatterns store, CancellationToken ct, string? task_type = null, int? limit = null, string? cursor = null) =>
        http.PageAsync(database, limit, cursor, (tx, page) => store.ListAsync(tx, task_type, page, ct));

    private static Task<IResult> FindAsync(Guid id, HttpContext http, Database database, ActionPatterns store, CancellationToken ct) =>
        http.OneAsync(database, tx => store.FindAsync(tx, id, ct), "action_pattern", p => p.UpdatedAt);

    private static async Task<IResult> BestAsync(
        HttpContext http, Database database, ActionPatterns store, TaskBoard board, CancellationToken ct, string? task_type = null, string? page_url = null, Guid? task_id = null)
    {
        if (new Validation().Check("task_type", (task_type is null) != (task_id is null), "Name a task_type or a task_id.").Problem is { } problem)
        {
            return problem.ToHttp();
        }

        await using var tx = database.Begin(http.Actor());
        var task = task_id is { } id ? await board.FindAsync(tx, id, ct) : null;
        if (task_id is not null && task is null)
        {
            return Problem.NotFound("task").ToHttp();
        }

        var best = await store.BestAsync(tx, task?.Kind ?? task_type!, page_url ?? task.PageUrl(), http.Actor().UserId, ct);
        return best.OrNotFound("action_pattern").ToHttp(p => p.UpdatedAt);
    }
}
