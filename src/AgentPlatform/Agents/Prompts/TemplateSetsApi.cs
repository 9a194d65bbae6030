using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Agents.Prompts;

internal static class TemplateSetsApi
{
    internal static void Map(IEndpointRouteBuilder v1)
    {
        v1.MapGet("/prompt-parts", () => ((Result<Page<PromptPart>>)new Page<PromptPart>([.. PromptParts.All], null)).ToHttp())
            .WithTags("Template sets").RequireScope("agents:read").Describe("listPromptParts", "The parts of a prompt in their order, with their built-in wording and the variables they may use.").Produces<Page<PromptPart>>();

        var own = v1.MapGroup("/agents/{agentId:guid}/template-sets").WithTags("Template sets");
        own.MapGet("", ListAsync).RequireScope("agents:read").Describe("listTemplateSets", "An agent's sets of prompt templates, newest first.").Produces<Page<TemplateSet>>();
        own.MapPost("", async (HttpContext http, ManageTemplateSets manage, Guid agentId, TemplateSetInput body, CancellationToken ct) =>
            (await manage.CreateAsync(http.Actor(), agentId, body, ct)).ToCreated(s => $"/api/v1/template-sets/{s.Id}", s => s.UpdatedAt))
            .RequireScope("agents:write").Describe("createTemplateSet", "Word what the agent's language model is told. With `in_use` it takes the place of the set that was in use.").Produces<TemplateSet>(201);

        var sets = v1.MapGroup("/template-sets/{id:guid}").WithTags("Template sets");
        sets.MapGet("", (HttpContext http, Database database, TemplateSetStore store, Guid id, CancellationToken ct) =>
            http.OneAsync(database, tx => store.FindAsync(tx, id, ct), "template_set", s => s.UpdatedAt))
            .RequireScope("agents:read").Describe("readTemplateSet", "One template set, with the parts of its latest version.").Produces<TemplateSet>();
        sets.MapPut("", async (HttpContext http, IfMatch ifMatch, ManageTemplateSets manage, Guid id, TemplateSetInput body, CancellationToken ct) =>
            (await manage.ChangeAsync(http.Actor(), id, body, ifMatch, ct)).ToHttp(s => s.UpdatedAt))
            .RequireScope("agents:write").Describe("changeTemplateSet", "Replace a template set; other parts than before make a new version, which the next turn uses.").Produces<TemplateSet>();
        sets.MapDelete("", async (HttpContext http, IfMatch ifMatch, ManageTemplateSets manage, Guid id, CancellationToken ct) =>
            (await manage.DeleteAsync(http.Actor(), id, ifMatch, ct)).ToNoContent())
            .RequireScope("agents:write").Describe("deleteTemplateSet", "Delete a template set that no active instance uses; its versions can still be read.").Produces(StatusCodes.Status204NoContent);
        sets.MapGet("/versions", VersionsAsync).RequireScope("agents:read").Describe("listTemplateSetVersions", "The versions of a template set, 200 at most, latest first.").Produces<Page<TemplateSetVersion>>();
        sets.MapGet("/versions/{version:int}", (HttpContext http, Database database, TemplateSetStore store, Guid id, int version, CancellationToken ct) =>
            http.OneAsync(database, tx => store.VersionAsync(tx, id, version, ct), "template_set_version"))
            .RequireScope("agents:read").Describe("readTemplateSetVersion", "A version of a template set, as calls of models were made by it.").Produces<TemplateSetVersion>();
    }

    private static Task<IResult> ListAsync(
        HttpContext http, Database database, TemplateSetStore store, Guid agentId, CancellationToken ct, int? limit = null, string? cursor = null) =>
        http.PageAsync(database, limit, cursor, (tx, page) => store.ListAsync(tx, agentId, page, ct));

    private static async Task<IResult> VersionsAsync(HttpContext http, Database database, TemplateSetStore store, Guid id, CancellationToken ct)
    {
        await using var tx = database.Begin(http.Actor());
        var versions = await store.VersionsAsync(tx, id, ct);
        return (versions.Count == 0 ? Problem.NotFound("template_set") : (Result<Page<TemplateSetVersion>>)new Page<TemplateSetVersion>(versions, null)).ToHttp();
    }
}
