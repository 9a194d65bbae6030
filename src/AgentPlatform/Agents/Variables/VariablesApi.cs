using System.Text.Json;
using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Agents.Variables;

internal static class VariablesApi
{
    internal static void Map(IEndpointRouteBuilder v1)
    {
        var own = v1.MapGroup("/agents/{agentId:guid}/variables").WithTags("Variables");
        own.MapGet("", ListAsync).RequireScope("agents:read").Describe("listVariables", "The variables of an agent's talks, newest first.").Produces<Page<Variable>>();
        own.MapPost("", async (HttpContext http, ManageVariables manage, Guid agentId, VariableInput body, CancellationToken ct) =>
            (await manage.DeclareAsync(http.Actor(), agentId, body, ct)).ToCreated(v => $"/api/v1/variables/{v.Id}", v => v.UpdatedAt))
            .RequireScope("agents:write").Describe("declareVariable", "Declare a variable: its default, the tool that tells its value, and how new values meet old ones.").Produces<Variable>(201);

        var variables = v1.MapGroup("/variables/{id:guid}").WithTags("Variables");
        variables.MapGet("", (HttpContext http, Database database, VariableStore store, Guid id, CancellationToken ct) =>
            http.OneAsync(database, tx => store.FindAsync(tx, id, ct), "variable", v => v.UpdatedAt))
            .RequireScope("agents:read").Describe("readVariable", "One variable.").Produces<Variable>();
        variables.MapPatch("", async (HttpContext http, ManageVariables manage, Guid id, VariableInput body, CancellationToken ct) =>
            (await manage.ChangeAsync(http.Actor(), id, body, http.IfMatch(), ct)).ToHttp(v => v.UpdatedAt))
            .RequireScope("agents:write").Describe("changeVariable", "Change a variable.").Produces<Variable>();
        variables.MapDelete("", async (HttpContext http, ManageVariables manage, Guid id, CancellationToken ct) =>
            (await manage.DeleteAsync(http.Actor(), id, http.IfMatch(), ct)).ToNoContent())
            .RequireScope("agents:write").Describe("deleteVariable", "Delete a variable; its name is free again.").Produces(StatusCodes.Status204NoContent);

        v1.MapPost("/sessions/{id:guid}/variables", async (HttpContext http, ManageVariables manage, Guid id, Dictionary<string, JsonElement> body, CancellationToken ct) =>
            (await manage.SetAsync(http.Actor(), id, body, ct)).ToHttp())
            .WithTags("Variables").RequireScope("conversations:write").Describe("setSessionVariables", "Set variables of a talk, each by its update policy.").Produces<Dictionary<string, JsonElement>>();
    }

    private static Task<IResult> ListAsync(
        HttpContext http, Database database, VariableStore store, Guid agentId, CancellationToken ct, int? limit = null, string? cursor = null) =>
        http.PageAsync(database, limit, cursor, (tx, page) => store.ListAsync(tx, agentId, page, ct));
}
