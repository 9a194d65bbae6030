using AgentPlatform.Agents.Scenarios;
using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Agents.Plans;

internal static class PlansApi
{
    internal static void Map(IEndpointRouteBuilder v1)
    {
        var own = v1.MapGroup("/scenarios/{scenarioId:guid}/migration-plans").WithTags("Migration plans");
        own.MapGet("", ListAsync).RequireScope("agents:read").Describe("listMigrationPlans", "A scenario's migration plans, newest first.").Produces<Page<MigrationPlan>>();
        own.MapPost("", async (HttpContext http, ManagePlans manage, Guid scenarioId, PlanInput body, CancellationToken ct) =>
            (await manage.DraftAsync(http.Actor(), scenarioId, body, ct)).ToCreated(p => $"/api/v1/migration-plans/{p.Id}", p => p.UpdatedAt))
            .RequireScope("agents:write").Describe("draftMigrationPlan", "Plan how talks go over from one version of a scenario to another.").Produces<MigrationPlan>(201);

        var plans = v1.MapGroup("/migration-plans/{id:guid}").WithTags("Migration plans");
        plans.MapGet("", (HttpContext http, Database database, PlanStore store, Guid id, CancellationToken ct) =>
            http.OneAsync(database, tx => store.FindAsync(tx, id, ct), "migration_plan", p => p.UpdatedAt))
            .RequireScope("agents:read").Describe("readMigrationPlan", "One migration plan.").Produces<MigrationPlan>();
        plans.MapPost("/approve", async (HttpContext http, IfMatch ifMatch, ManagePlans manage, Guid id, CancellationToken ct) =>
            (await manage.ApproveAsync(http.Actor(), id, ifMatch, ct)).ToHttp(p => p.UpdatedAt))
            .RequireScope("agents:write").Describe("approveMigrationPlan", "Let a drafted plan be deployed.").Produces<MigrationPlan>();
        plans.MapPost("/reject", async (HttpContext http, IfMatch ifMatch, ManagePlans manage, Guid id, CancellationToken ct) =>
            (await manage.RejectAsync(http.Actor(), id, ifMatch, ct)).ToHttp(p => p.UpdatedAt))
            .RequireScope("agents:write").Describe("rejectMigrationPlan", "Let a plan that is not deployed never be.").Produces<MigrationPlan>();
        plans.MapPost("/deploy", async (HttpContext http, IfMatch ifMatch, ManagePlans manage, Guid id, CancellationToken ct) =>
            (await manage.DeployAsync(http.Actor(), id, ifMatch, ct)).ToHttp(p => p.UpdatedAt))
            .RequireScope("agents:write").Describe("deployMigrationPlan", "Mark the talks that an approved plan concerns; each goes over at its next turn.").Produces<MigrationPlan>();
    }

    private static async Task<IResult> ListAsync(
        HttpContext http, Database database, ScenarioStore scenarios, PlanStore plans, Guid scenarioId, CancellationToken ct, int? limit = null, string? cursor = null)
    {
        var page = PageRequest.Parse(limit, cursor);
        if (!page.IsOk)
        {
            return page.Problem.ToHttp();
        }

        await using var tx = database.Begin(http.Actor());
        return await scenarios.FindAsync(tx, scenarioId, ct) is null
            ? Problem.NotFound("scenario").ToHttp()
            : ((Result<Page<MigrationPlan>>)await plans.ListAsync(tx, scenarioId, page.Value, ct)).ToHttp();
    }
}
