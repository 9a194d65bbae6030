using System.Text.Json;
using AgentPlatform.Api;
using AgentPlatform.Conversations;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Agents.Variables;

/// <summary>A value, which may be null; how it meets the old one is told by the variable's declaration.</summary>
internal sealed record VariableValue(JsonElement Value)
{
    internal Problem? Problem => new Validation().Check("value", Value.ValueKind != JsonValueKind.Undefined, "Is required.").Problem;

    internal Dictionary<string, JsonElement> Of(string name) => new(StringComparer.Ordinal) { [name] = Value };
}

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
        variables.MapPatch("", async (HttpContext http, IfMatch ifMatch, ManageVariables manage, Guid id, VariableInput body, CancellationToken ct) =>
            (await manage.ChangeAsync(http.Actor(), id, body, ifMatch, ct)).ToHttp(v => v.UpdatedAt))
            .RequireScope("agents:write").Describe("changeVariable", "Change a variable.").Produces<Variable>();
        variables.MapDelete("", async (HttpContext http, IfMatch ifMatch, ManageVariables manage, Guid id, CancellationToken ct) =>
            (await manage.DeleteAsync(http.Actor(), id, ifMatch, ct)).ToNoContent())
            .RequireScope("agents:write").Describe("deleteVariable", "Delete a variable; its name is free again.").Produces(StatusCodes.Status204NoContent);

        MapSet(v1);
    }

    private static void MapSet(IEndpointRouteBuilder v1)
    {
        v1.MapPost("/sessions/{id:guid}/variables", async (HttpContext http, ManageVariables manage, Guid id, Dictionary<string, JsonElement> body, CancellationToken ct) =>
            (await manage.SetAsync(http.Actor(), id, body, ct)).Map(session => session.Variables).ToHttp())
            .WithTags("Variables").RequireScope("conversations:write").Describe("setSessionVariables", "Set variables of a talk, each by its update policy.").Produces<Dictionary<string, JsonElement>>();
        v1.MapPut("/sessions/{id:guid}/variables/{name}", async (HttpContext http, ManageVariables manage, Guid id, string name, VariableValue body, CancellationToken ct) =>
            (body.Problem is { } problem ? problem : await manage.SetAsync(http.Actor(), id, body.Of(name), ct)).ToHttp())
            .WithTags("Variables").RequireScope("conversations:write").Describe("setSessionVariable", "Set a variable of a talk by its update policy.").Produces<ConversationSession>();
    }

    private static Task<IResult> ListAsync(
        HttpContext http, Database database, VariableStore store, Guid agentId, CancellationToken ct, int? limit = null, string? cursor = null) =>
        http.PageAsync(database, limit, cursor, (tx, page) => store.ListAsync(tx, agentId, page, ct));
}
