using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Workflows.Sops.Drafting;

internal static class SopsApi
{
    internal static void Map(IEndpointRouteBuilder v1)
    {
        MapCategories(v1.MapGroup("/sop-categories").WithTags("SOPs"));
        var sops = v1.MapGroup("/sops").WithTags("SOPs");
        sops.MapGet("", ListAsync).RequireScope("workflows:read").Describe("listSops", "Standard operating procedures, newest first; q stands in title, description or objective.").Produces<Page<Sop>>();
        sops.MapGet("/{id:guid}", FindAsync).RequireScope("workflows:read").Describe("readSop", "One SOP; its steps are read by version.").Produces<Sop>();
        sops.MapGet("/{id:guid}/steps", StepsAsync).RequireScope("workflows:read").Describe("listSopSteps", "The steps of a version, in order; of the latest unless told.").Produces<Page<SopStep>>();
        sops.MapPost("", async (HttpContext http, ManageSops manage, SopBody body, CancellationToken ct) =>
            (await manage.CreateAsync(http.Actor(), body, ct)).ToCreated(sop => $"/api/v1/sops/{sop.Id}", sop => sop.UpdatedAt))
            .RequireScope("workflows:write").Describe("createSop", "Draft an SOP with its steps; what is wrong is named by its place.").Produces<Sop>(201);
        sops.MapPatch("/{id:guid}", async (Guid id, HttpContext http, IfMatch ifMatch, ManageSops manage, SopBody body, CancellationToken ct) =>
            (await manage.ChangeAsync(http.Actor(), id, body, ifMatch, ct)).ToHttp(sop => sop.UpdatedAt))
            .RequireScope("workflows:write").Describe("changeSop", "Change an SOP; the first change after a publication begins a new version.").Produces<Sop>();
        sops.MapPost("/{id:guid}/publish", async (Guid id, HttpContext http, IfMatch ifMatch, ManageSops manage, CancellationToken ct) =>
            (await manage.PublishAsync(http.Actor(), id, ifMatch, ct)).ToHttp(sop => sop.UpdatedAt))
            .RequireScope("workflows:write").Describe("publishSop", "Put the latest version in force; executions under way keep theirs.").Produces<Sop>();
        sops.MapPost("/{id:guid}/archive", async (Guid id, HttpContext http, IfMatch ifMatch, ManageSops manage, CancellationToken ct) =>
            (await manage.ArchiveAsync(http.Actor(), id, ifMatch, ct)).ToHttp(sop => sop.UpdatedAt))
            .RequireScope("workflows:write").Describe("archiveSop", "Begin no more executions of an SOP.").Produces<Sop>();
        sops.MapPost("/{id:guid}/execute", ExecuteAsync).RequireScope("workflows:write").Describe("executeSop", "Begin an execution of the version in force.").Produces<SopExecution>(201);
    }

    private static void MapCategories(RouteGroupBuilder categories)
    {
        categories.MapGet("", ListCategoriesAsync).RequireScope("workflows:read").Describe("listSopCategories", "One's own categories in their order.").Produces<Page<SopCategory>>();
        categories.MapGet("/{id:guid}", FindCategoryAsync).RequireScope("workflows:read").Describe("readSopCategory", "One category of one's own.").Produces<SopCategory>();
        categories.MapPost("", async (HttpContext http, SopCategories own, CategoryBody body, CancellationToken ct) =>
            (await own.CreateAsync(http.Actor(), body, ct)).ToCreated(c => $"/api/v1/sop-categories/{c.Id}", c => c.UpdatedAt))
            .RequireScope("workflows:write").Describe("createSopCategory", "A category of one's own.").Produces<SopCategory>(201);
        categories.MapPatch("/{id:guid}", async (Guid id, HttpContext http, IfMatch ifMatch, SopCategories own, CategoryBody body, CancellationToken ct) =>
            (await own.ChangeAsync(http.Actor(), id, body, ifMatch, ct)).ToHttp(c => c.UpdatedAt))
            .RequireScope("workflows:write").Describe("changeSopCategory", "Rename, move or switch off a category; the SOPs in it stay.").Produces<SopCategory>();
    }

    private static Task<IResult> ListAsync(
        HttpContext http, Database database, SopShelf shelf, CancellationToken ct, string? status = null, Guid? category_id = null, string? tag = null, string? applicable_to = null,
        string? priority = null, string? q = null, int? limit = null, string? cursor = null) => http.PageAsync(
        database, limit, cursor, (tx, page) => shelf.ListAsync(tx, new SopFilter(status, category_id, tag, applicable_to, priority) { Text = q }, page, ct),
        new Validation().OneOf("status", status, required: false, Sop.Statuses).OneOf("priority", priority, required: false, Sop.Priorities).Problem);

    private static Task<IResult> FindAsync(Guid id, HttpContext http, Database database, SopShelf shelf, CancellationToken ct) =>
        http.OneAsync(database, tx => shelf.FindAsync(tx, id, ct), "sop", sop => sop.UpdatedAt);

    private static async Task<IResult> StepsAsync(Guid id, HttpContext http, Database database, SopShelf shelf, CancellationToken ct, int? version = null)
    {
        await using var tx = database.Begin(http.Actor());
        return await shelf.FindAsync(tx, id, ct) is { } sop
            ? ((Result<Page<SopStep>>)new Page<SopStep>(await shelf.StepsAsync(tx, id, version ?? sop.Version, ct), null)).ToHttp()
            : Problem.NotFound("sop").ToHttp();
    }

    private static async Task<IResult> ExecuteAsync(Guid id, HttpContext http, Database database, StartSop starts, ExecuteBody body, TimeProvider clock, CancellationToken ct)
    {
        if (body.Problem is { } problem)
        {
            return problem.ToHttp();
        }

        await using var tx = database.Begin(http.Actor());
        var started = await starts.RunAsync(tx, new SopStart(id, $"api:{id:n}:{http.IdempotencyKey() ?? clock.NewId().ToString("n")}")
        {
            ExecutorType = body.ExecutorType,
            ConversationId = body.ConversationId,
            Context = body.Context,
        }, ct);
        if (started.IsOk)
        {
            await tx.CommitAsync(ct);
        }

        return started.ToCreated(execution => $"/api/v1/sop-executions/{execution.Id}", execution => execution.UpdatedAt);
    }

    private static async Task<IResult> ListCategoriesAsync(HttpContext http, Database database, SopCategories own, CancellationToken ct, bool include_inactive = false)
    {
        await using var tx = database.Begin(http.Actor());
        return ((Result<Page<SopCategory>>)new Page<SopCategory>(await own.ListAsync(tx, include_inactive, ct), null)).ToHttp();
    }

    private static Task<IResult> FindCategoryAsync(Guid id, HttpContext http, Database database, SopCategories own, CancellationToken ct) =>
        http.OneAsync(database, tx => own.FindAsync(tx, id, ct), "sop_category", c => c.UpdatedAt);
}
