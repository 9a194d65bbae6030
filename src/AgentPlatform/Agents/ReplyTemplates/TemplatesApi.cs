using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Agents.ReplyTemplates;

internal static class TemplatesApi
{
    internal static void Map(IEndpointRouteBuilder v1)
    {
        var own = v1.MapGroup("/agents/{agentId:guid}/templates").WithTags("Templates");
        own.MapGet("", ListAsync).RequireScope("agents:read").Describe("listTemplates", "An agent's templates, newest first.").Produces<Page<ReplyTemplate>>();
        own.MapPost("", async (HttpContext http, ManageTemplates manage, Guid agentId, ReplyTemplateInput body, CancellationToken ct) =>
            (await manage.CreateAsync(http.Actor(), agentId, body, ct)).ToCreated(t => $"/api/v1/templates/{t.Id}", t => t.UpdatedAt))
            .RequireScope("agents:write").Describe("createTemplate", "Give an agent set words: to offer, to say in place of the reply, or to fall back to.").Produces<ReplyTemplate>(201);

        var templates = v1.MapGroup("/templates/{id:guid}").WithTags("Templates");
        templates.MapGet("", (HttpContext http, Database database, TemplateStore store, Guid id, CancellationToken ct) =>
            http.OneAsync(database, tx => store.FindAsync(tx, id, ct), "template", t => t.UpdatedAt))
            .RequireScope("agents:read").Describe("readTemplate", "One template.").Produces<ReplyTemplate>();
        templates.MapPut("", async (HttpContext http, IfMatch ifMatch, ManageTemplates manage, Guid id, ReplyTemplateInput body, CancellationToken ct) =>
            (await manage.ChangeAsync(http.Actor(), id, body, ifMatch, ct)).ToHttp(t => t.UpdatedAt))
            .RequireScope("agents:write").Describe("changeTemplate", "Replace a template; the next turn knows it.").Produces<ReplyTemplate>();
        templates.MapDelete("", async (HttpContext http, IfMatch ifMatch, ManageTemplates manage, Guid id, CancellationToken ct) =>
            (await manage.DeleteAsync(http.Actor(), id, ifMatch, ct)).ToNoContent())
            .RequireScope("agents:write").Describe("deleteTemplate", "Delete a template.").Produces(StatusCodes.Status204NoContent);
    }

    private static Task<IResult> ListAsync(
        HttpContext http, Database database, TemplateStore store, Guid agentId, CancellationToken ct, int? limit = null, string? cursor = null) =>
        http.PageAsync(database, limit, cursor, (tx, page) => store.ListAsync(tx, agentId, page, ct));
}
