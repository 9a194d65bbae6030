using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Agents.Scenarios;

internal static class ScenariosApi
{
    internal static void Map(IEndpointRouteBuilder v1)
    {
        var own = v1.MapGroup("/agents/{agentId:guid}/scenarios").WithTags("Scenarios");
        own.MapGet("", ListAsync).RequireScope("agents:read").Describe("listScenarios", "An agent's scenarios, newest first.").Produces<Page<Scenario>>();
        own.MapPost("", async (HttpContext http, ManageScenarios manage, Guid agentId, ScenarioInput body, CancellationToken ct) =>
            (await manage.CreateAsync(http.Actor(), agentId, body, ct)).ToCreated(s => $"/api/v1/scenarios/{s.Id}", s => s.UpdatedAt))
            .RequireScope("agents:write").Describe("createScenario", "Give an agent a scenario: a talk it leads step by step.").Produces<Scenario>(201);

        var scenarios = v1.MapGroup("/scenarios/{id:guid}").WithTags("Scenarios");
        scenarios.MapGet("", (HttpContext http, Database database, ScenarioStore store, Guid id, CancellationToken ct) =>
            http.OneAsync(database, tx => store.FindAsync(tx, id, ct), "scenario", s => s.UpdatedAt))
            .RequireScope("agents:read").Describe("readScenario", "The live version of a scenario.").Produces<Scenario>();
        scenarios.MapPut("", async (HttpContext http, IfMatch ifMatch, ManageScenarios manage, Guid id, ScenarioInput body, CancellationToken ct) =>
            (await manage.ChangeAsync(http.Actor(), id, body, ifMatch, ct)).ToHttp(s => s.UpdatedAt))
            .RequireScope("agents:write").Describe("changeScenario", "Make a new version of a scenario; the one before is archived.").Produces<Scenario>();
        scenarios.MapDelete("", async (HttpContext http, IfMatch ifMatch, ManageScenarios manage, Guid id, CancellationToken ct) =>
            (await manage.DeleteAsync(http.Actor(), id, ifMatch, ct)).ToNoContent())
            .RequireScope("agents:write").Describe("deleteScenario", "Delete a scenario; talks that are in it go on.").Produces(StatusCodes.Status204NoContent);
        scenarios.MapGet("/versions", async (HttpContext http, Database database, ScenarioStore store, Guid id, CancellationToken ct) =>
        {
            await using var tx = database.Begin(http.Actor());
            return await store.FindAsync(tx, id, ct) is null ? Problem.NotFound("scenario").ToHttp() : ((Result<Page<ArchivedScenario>>)new Page<ArchivedScenario>(await store.ArchivesAsync(tx, id, ct), null)).ToHttp();
        }).RequireScope("agents:read").Describe("listScenarioVersions", "The archived versions of a scenario, latest first.").Produces<Page<ArchivedScenario>>();
        scenarios.MapGet("/versions/{version:int}", (HttpContext http, Database database, ScenarioStore store, Guid id, int version, CancellationToken ct) =>
            http.OneAsync(database, tx => store.ArchiveAsync(tx, id, version, ct), "scenario_version"))
            .RequireScope("agents:read").Describe("readScenarioVersion", "An archived version, as it was.").Produces<ArchivedScenario>();
    }

    private static Task<IResult> ListAsync(
        HttpContext http, Database database, ScenarioStore store, Guid agentId, CancellationToken ct, int? limit = null, string? cursor = null) =>
        http.PageAsync(database, limit, cursor, (tx, page) => store.ListAsync(tx, agentId, page, ct));
}
