using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Knowledge.Patterns;

internal static class SuccessPatternsApi
{
    internal static void Map(IEndpointRouteBuilder v1)
    {
        var patterns = v1.MapGroup("/task-success-patterns").WithTags("Learned patterns");
        patterns.MapGet("", ListAsync).RequireScope("knowledge:read").Describe("listTaskSuccessPatterns", "One's own patterns, newest first.").Produces<Page<SuccessPattern>>();
        patterns.MapGet("/{id:guid}", FindAsync).RequireScope("knowledge:read").Describe("readTaskSuccessPattern", "One pattern of one's own.").Produces<SuccessPattern>();
        patterns.MapPost("/match", MatchAsync).RequireScope("knowledge:read").Describe("matchTaskSuccessPattern", "The pattern whose conditions and required state hold for a task.").Produces<SuccessPattern>();
        patterns.MapPost("", async (HttpContext http, SuccessPatterns store, SuccessPatternBody body, CancellationToken ct) =>
            (await store.CreateAsync(http.Actor(), body, ct)).ToCreated(p => $"/api/v1/task-success-patterns/{p.Id}", p => p.UpdatedAt))
            .RequireScope("knowledge:write").Describe("createTaskSuccessPattern", "Keep how a task succeeded.").Produces<SuccessPattern>(201);
        patterns.MapPatch("/{id:guid}", async (Guid id, HttpContext http, IfMatch ifMatch, SuccessPatterns store, SuccessPatternBody body, CancellationToken ct) =>
            (await store.ChangeAsync(http.Actor(), id, body, ifMatch, ct)).ToHttp(p => p.UpdatedAt))
            .RequireScope("knowledge:write").Describe("changeTaskSuccessPattern", "Change what a pattern says, and when it fits.").Produces<SuccessPattern>();
        patterns.MapDelete("/{id:guid}", async (Guid id, HttpContext http, IfMatch ifMatch, SuccessPatterns store, CancellationToken ct) =>
            (await store.DeleteAsync(http.Actor(), id, ifMatch, ct)).ToNoContent())
            .RequireScope("knowledge:write").Describe("deleteTaskSuccessPattern", "Forget a pattern.").Produces(204);
        patterns.MapPost("/{id:guid}/uses", async (Guid id, HttpContext http, SuccessPatterns store, UseBody body, CancellationToken ct) =>
            (await store.ReportAsync(http.Actor(), id, body, ct)).ToHttp(p => p.UpdatedAt))
            .RequireScope("knowledge:write").Describe("reportTaskSuccessPatternUse", "Say how a use went, and what was done otherwise.").Produces<SuccessPattern>();
    }

    private static Task<IResult> ListAsync(
        HttpContext http, Database database, SuccessPatterns store, CancellationToken ct, string? task_type = null, string? pattern_id = null, int? limit = null, string? cursor = null) =>
        http.PageAsync(database, limit, cursor, (tx, page) => store.ListAsync(tx, task_type, pattern_id, page, ct));

    private static Task<IResult> FindAsync(Guid id, HttpContext http, Database database, SuccessPatterns store, CancellationToken ct) =>
        http.OneAsync(database, tx => store.FindAsync(tx, id, ct), "task_success_pattern", p => p.UpdatedAt);

    private static async Task<IResult> MatchAsync(HttpContext http, Database database, SuccessPatterns store, MatchBody body, CancellationToken ct)
    {
        if (body.Problem is { } problem)
        {
            return problem.ToHttp();
        }

        await using var tx = database.Begin(http.Actor());
        var none = Json.Of(new { });
        return (await store.MatchAsync(tx, http.Actor().UserId, body.TaskType!, body.Context ?? none, body.State ?? none, ct)).OrNotFound("task_success_pattern").ToHttp(p => p.UpdatedAt);
    }
}
