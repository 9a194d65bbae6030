using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Agents.Rules;

internal static class RulesApi
{
    internal static void Map(IEndpointRouteBuilder v1)
    {
        var own = v1.MapGroup("/agents/{agentId:guid}/rules").WithTags("Rules");
        own.MapGet("", ListAsync).RequireScope("agents:read").Describe("listRules", "An agent's rules, newest first.").Produces<Page<Rule>>();
        own.MapPost("", async (HttpContext http, ManageRules manage, Guid agentId, RuleInput body, CancellationToken ct) =>
            (await manage.CreateAsync(http.Actor(), agentId, body, ct)).ToCreated(r => $"/api/v1/rules/{r.Id}", r => r.UpdatedAt))
            .RequireScope("agents:write").Describe("createRule", "Give an agent a rule: when a condition holds for what was said, it does something.").Produces<Rule>(201);

        var rules = v1.MapGroup("/rules/{id:guid}").WithTags("Rules");
        rules.MapGet("", (HttpContext http, Database database, RuleStore store, Guid id, CancellationToken ct) =>
            http.OneAsync(database, tx => store.FindAsync(tx, id, ct), "rule", r => r.UpdatedAt))
            .RequireScope("agents:read").Describe("readRule", "One rule, with its relations to others.").Produces<Rule>();
        rules.MapPut("", async (HttpContext http, IfMatch ifMatch, ManageRules manage, Guid id, RuleInput body, CancellationToken ct) =>
            (await manage.ChangeAsync(http.Actor(), id, body, ifMatch, ct)).ToHttp(r => r.UpdatedAt))
            .RequireScope("agents:write").Describe("changeRule", "Replace a rule; the next turn knows it.").Produces<Rule>();
        rules.MapDelete("", async (HttpContext http, IfMatch ifMatch, ManageRules manage, Guid id, CancellationToken ct) =>
            (await manage.DeleteAsync(http.Actor(), id, ifMatch, ct)).ToNoContent())
            .RequireScope("agents:write").Describe("deleteRule", "Delete a rule that no other requires.").Produces(StatusCodes.Status204NoContent);
    }

    private static Task<IResult> ListAsync(
        HttpContext http, Database database, RuleStore store, Guid agentId, CancellationToken ct, int? limit = null, string? cursor = null) =>
        http.PageAsync(database, limit, cursor, (tx, page) => store.ListAsync(tx, agentId, page, ct));
}
