using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Brain.Shadows;

internal static class ShadowsApi
{
    internal static void Map(IEndpointRouteBuilder v1)
    {
        var own = v1.MapGroup("/agents/{agentId:guid}/shadows").WithTags("Shadows");
        own.MapGet("", ListAsync).RequireScope("agents:read").Describe("listShadows", "An agent's shadows, newest first.").Produces<Page<Shadow>>();
        own.MapPost("", async (HttpContext http, ManageShadows manage, Guid agentId, ShadowInput body, CancellationToken ct) =>
            (await manage.StartAsync(http.Actor(), agentId, body, ct)).ToCreated(s => $"/api/v1/shadows/{s.Id}", s => s.UpdatedAt))
            .RequireScope("agents:write").Describe("startShadow", "Try other rules, thresholds or models beside the live ones: turns are decided again, and nothing of it happens.").Produces<Shadow>(201);

        var shadows = v1.MapGroup("/shadows/{id:guid}").WithTags("Shadows");
        shadows.MapGet("", (HttpContext http, Database database, ShadowStore store, Guid id, CancellationToken ct) =>
            http.OneAsync(database, tx => store.ReportAsync(tx, id, ct), "shadow", report => report.Shadow.UpdatedAt))
            .RequireScope("agents:read").Describe("readShadow", "A shadow with what came of it: turns that were the same or differ, by kind, with cost and latency.").Produces<ShadowReport>();
        shadows.MapGet("/turns", TurnsAsync)
            .RequireScope("conversations:read").Describe("listShadowTurns", "The turns that a shadow took, newest first; with `different`, only those that differ or do not.").Produces<Page<ShadowTurn>>();
        shadows.MapPost("/stop", async (HttpContext http, IfMatch ifMatch, ManageShadows manage, Guid id, CancellationToken ct) =>
            (await manage.StopAsync(http.Actor(), id, ifMatch, ct)).ToHttp(s => s.UpdatedAt))
            .RequireScope("agents:write").Describe("stopShadow", "Take no more turns; what was found stays.").Produces<Shadow>();
        shadows.MapDelete("", async (HttpContext http, IfMatch ifMatch, ManageShadows manage, Guid id, CancellationToken ct) =>
            (await manage.DeleteAsync(http.Actor(), id, ifMatch, ct)).ToNoContent())
            .RequireScope("agents:write").Describe("deleteShadow", "Delete a shadow with all it found.").Produces(StatusCodes.Status204NoContent);
    }

    private static Task<IResult> ListAsync(HttpContext http, Database database, ShadowStore store, Guid agentId, CancellationToken ct, int? limit = null, string? cursor = null) =>
        http.PageAsync(database, limit, cursor, (tx, page) => store.ListAsync(tx, agentId, page, ct));

    private static async Task<IResult> TurnsAsync(
        HttpContext http, Database database, ShadowStore store, Guid id, CancellationToken ct, bool? different = null, int? limit = null, string? cursor = null)
    {
        await using var tx = database.Begin(http.Actor());
        return await store.FindAsync(tx, id, ct) is null
            ? Problem.NotFound("shadow").ToHttp()
            : await http.PageAsync(database, limit, cursor, (own, page) => store.TurnsAsync(own, id, different, page, ct));
    }
}
