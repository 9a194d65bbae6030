using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Actions.Registry;

internal static class ToolsApi
{
    internal static void Map(IEndpointRouteBuilder routes)
    {
        var tools = routes.MapGroup("/agents/{agentId:guid}/tools").WithTags("Tools");
        tools.MapGet("", ListAsync).RequireScope("actions:read").Describe("listTools", "Which actions of its registry an agent may use.").Produces<Page<ToolActivation>>();
        tools.MapGet("/{toolId}", (HttpContext http, Database database, ManageTools manage, Guid agentId, string toolId, CancellationToken ct) =>
            http.OneAsync(database, tx => manage.FindAsync(tx, agentId, toolId, ct), "tool_activation", t => t.UpdatedAt))
            .RequireScope("actions:read").Describe("getTool", "One activation.").Produces<ToolActivation>();
        tools.MapPut("/{toolId}", async (HttpContext http, IfMatch ifMatch, ManageTools manage, Guid agentId, string toolId, ToolActivationInput body, CancellationToken ct) =>
            (await manage.PutAsync(http.Actor(), agentId, toolId, body, ifMatch, ct)).ToHttp(t => t.UpdatedAt))
            .RequireScope("actions:write").Describe("putTool", "Let an agent use an action, or not, and by which policies.").Produces<ToolActivation>();
        tools.MapDelete("/{toolId}", async (HttpContext http, IfMatch ifMatch, ManageTools manage, Guid agentId, string toolId, CancellationToken ct) =>
            (await manage.DeleteAsync(http.Actor(), agentId, toolId, ifMatch, ct)).ToNoContent())
            .RequireScope("actions:write").Describe("deleteTool", "Take an action away from an agent; the registry keeps it.").Produces(StatusCodes.Status204NoContent);
    }

    private static Task<IResult> ListAsync(
        HttpContext http, Database database, ManageTools manage, Guid agentId, CancellationToken ct, int? limit = null, string? cursor = null) =>
        http.PageAsync(database, limit, cursor, (tx, page) => manage.ListAsync(tx, agentId, page, ct));
}
