using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Tenancy.Instances;

internal static class InstancesApi
{
    internal static void Map(IEndpointRouteBuilder v1)
    {
        var own = v1.MapGroup("/agents/{agentId:guid}/instances").WithTags("Agent instances");
        own.MapGet("", ListAsync).RequireScope("agents:read").Describe("listAgentInstances", "What runs and ran of an agent, newest first.").Produces<Page<AgentInstance>>();
        own.MapPost("", async (HttpContext http, ManageInstances manage, Guid agentId, AgentInstanceInput body, CancellationToken ct) =>
            (await manage.DeployAsync(http.Actor(), agentId, body, ct)).ToCreated(i => $"/api/v1/agent-instances/{i.Id}", i => i.UpdatedAt))
            .RequireScope("agents:write").Describe("deployAgentInstance", "Run an agent in one of its roles a second time, with prompts or models of its own: contacts that come are divided by weight.").Produces<AgentInstance>(201);

        var instances = v1.MapGroup("/agent-instances/{id:guid}").WithTags("Agent instances");
        instances.MapGet("", (HttpContext http, Database database, InstanceDirectory directory, Guid id, CancellationToken ct) =>
            http.OneAsync(database, tx => directory.FindAsync(tx, id, ct), "agent_instance", i => i.UpdatedAt))
            .RequireScope("agents:read").Describe("readAgentInstance", "One instance.").Produces<AgentInstance>();
        instances.MapPatch("", async (HttpContext http, IfMatch ifMatch, ManageInstances manage, Guid id, AgentInstanceInput body, CancellationToken ct) =>
            (await manage.ChangeAsync(http.Actor(), id, body, ifMatch, ct)).ToHttp(i => i.UpdatedAt))
            .RequireScope("agents:write").Describe("changeAgentInstance", "Change an active instance. A `template_set_id` without `prompt_version` stands for the set's latest version.").Produces<AgentInstance>();
        instances.MapPost("/terminate", async (HttpContext http, IfMatch ifMatch, ManageInstances manage, Guid id, CancellationToken ct) =>
            (await manage.TerminateAsync(http.Actor(), id, ifMatch, ct)).ToHttp(i => i.UpdatedAt))
            .RequireScope("agents:write").Describe("terminateAgentInstance", "End an instance; its contacts go to the others as they write again.").Produces<AgentInstance>();
    }

    private static Task<IResult> ListAsync(
        HttpContext http, Database database, InstanceDirectory directory, Guid agentId, CancellationToken ct, int? limit = null, string? cursor = null) =>
        http.PageAsync(database, limit, cursor, (tx, page) => directory.ListAsync(tx, agentId, page, ct));
}
