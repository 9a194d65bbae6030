using AgentPlatform.Api;
using AgentPlatform.Kernel;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Tenancy;

internal static class TenancyApi
{
    internal static void MapTenants(IEndpointRouteBuilder v1)
    {
        var group = v1.MapGroup("/tenants").WithTags("Tenants");
        group.MapGet("", async (HttpContext http, ManageTenants tenants, int? limit, string? cursor, CancellationToken ct) =>
                await PageRequest.Parse(limit, cursor).ThenAsync(page => tenants.ListAsync(http.Actor(), page, ct)).ToHttpAsync())
            .RequireScope("tenants:read").Describe("listTenants", "List the tenants you work in.").Produces<Page<Tenant>>();
        group.MapPost("", async (HttpContext http, ManageTenants tenants, CreateTenant body, CancellationToken ct) =>
                (await tenants.CreateAsync(http.Caller(), body, ct)).ToCreated(created => $"/api/v1/tenants/{created.TenantId}"))
            .RequireScope("tenants:write").LimitRate(10).Sensitive("tenant.create", "tenant").Describe("createTenant", "Create a tenant, with an agent and an API key for it.")
            .Produces<ProvisionedTenant>(StatusCodes.Status201Created);
        group.MapGet("/{id:guid}", async (HttpContext http, ManageTenants tenants, Guid id, CancellationToken ct) =>
                (await tenants.FindAsync(http.Actor(), id, ct)).ToHttp(tenant => tenant.UpdatedAt))
            .RequireScope("tenants:read").Describe("getTenant", "Read a tenant.").Produces<Tenant>();
        group.MapPatch("/{id:guid}", async (HttpContext http, IfMatch ifMatch, ManageTenants tenants, Guid id, ChangeTenant body, CancellationToken ct) =>
                (await tenants.ChangeAsync(http.Actor(), id, body, ifMatch, ct)).ToHttp(tenant => tenant.UpdatedAt))
            .RequireScope("tenants:write").Sensitive("tenant.change", "tenant").Describe("changeTenant", "Change the tenant the key belongs to.").Produces<Tenant>();
        group.MapDelete("/{id:guid}", async (HttpContext http, IfMatch ifMatch, ManageTenants tenants, Guid id, CancellationToken ct) =>
                (await tenants.DeleteAsync(http.Actor(), id, ifMatch, ct)).ToNoContent())
            .RequireScope("tenants:write").Sensitive("tenant.delete", "tenant").Describe("deleteTenant", "Delete the tenant the key belongs to, with everything in it.")
            .Produces(StatusCodes.Status204NoContent);
    }

    internal static void MapMembers(IEndpointRouteBuilder v1)
    {
        var group = v1.MapGroup("/members").WithTags("Members");
        group.MapGet("", async (HttpContext http, ManageMembers members, int? limit, string? cursor, CancellationToken ct) =>
                await PageRequest.Parse(limit, cursor).ThenAsync(page => members.ListAsync(http.Actor(), page, ct)).ToHttpAsync())
            .RequireScope("members:read").Describe("listMembers", "List the tenant's members.").Produces<Page<Member>>();
        group.MapPost("", async (HttpContext http, ManageMembers members, AddMember body, CancellationToken ct) =>
                (await members.AddAsync(http.Actor(), body, ct)).ToCreated(added => $"/api/v1/members/{added.Id}", added => added.UpdatedAt))
            .RequireScope("members:write").Sensitive("member.add", "member").Describe("addMember", "Add a member by e-mail address.").Produces<Member>(StatusCodes.Status201Created);
        group.MapGet("/{id:guid}", async (HttpContext http, ManageMembers members, Guid id, CancellationToken ct) =>
                (await members.FindAsync(http.Actor(), id, ct)).ToHttp(member => member.UpdatedAt))
            .RequireScope("members:read").Describe("getMember", "Read a member.").Produces<Member>();
        group.MapPatch("/{id:guid}", async (HttpContext http, IfMatch ifMatch, ManageMembers members, Guid id, ChangeMember body, CancellationToken ct) =>
                (await members.ChangeAsync(http.Actor(), id, body, ifMatch, ct)).ToHttp(member => member.UpdatedAt))
            .RequireScope("members:write").Sensitive("member.change_role", "member").Describe("changeMember", "Change a member's role.").Produces<Member>();
        group.MapPost("/{id:guid}/suspend", async (HttpContext http, IfMatch ifMatch, ManageMembers members, Guid id, SuspendMember body, CancellationToken ct) =>
                (await members.SuspendAsync(http.Actor(), id, body, ifMatch, ct)).ToHttp(member => member.UpdatedAt))
            .RequireScope("members:write").Sensitive("member.suspend", "member").Describe("suspendMember", "Suspend a member: keys, sessions and sign-ins are refused.").Produces<Member>();
        group.MapPost("/{id:guid}/reinstate", async (HttpContext http, IfMatch ifMatch, ManageMembers members, Guid id, CancellationToken ct) =>
                (await members.ReinstateAsync(http.Actor(), id, ifMatch, ct)).ToHttp(member => member.UpdatedAt))
            .RequireScope("members:write").Sensitive("member.reinstate", "member").Describe("reinstateMember", "Lift a member's suspension.").Produces<Member>();
        group.MapDelete("/{id:guid}", async (HttpContext http, IfMatch ifMatch, ManageMembers members, Guid id, CancellationToken ct) =>
                (await members.RemoveAsync(http.Caller(), id, ifMatch, ct)).ToNoContent())
            .RequireScope("members:write").AllowViewers().Sensitive("member.remove", "member").Describe("removeMember", "Remove a member, or leave.").Produces(StatusCodes.Status204NoContent);
    }

    internal static void MapAgents(IEndpointRouteBuilder v1)
    {
        var group = v1.MapGroup("/agents").WithTags("Agents");
        group.MapGet("", async (HttpContext http, ManageAgents agents, int? limit, string? cursor, CancellationToken ct) =>
                await PageRequest.Parse(limit, cursor).ThenAsync(page => agents.ListAsync(http.Actor(), page, ct)).ToHttpAsync())
            .RequireScope("agents:read").Describe("listAgents", "List the tenant's agents.").Produces<Page<Agent>>();
        group.MapPost("", async (HttpContext http, ManageAgents agents, AgentInput body, CancellationToken ct) =>
                (await agents.CreateAsync(http.Actor(), body, ct)).ToCreated(agent => $"/api/v1/agents/{agent.Id}", agent => agent.UpdatedAt))
            .RequireScope("agents:write").Describe("createAgent", "Create an agent.").Produces<Agent>(StatusCodes.Status201Created);
        group.MapGet("/{id:guid}", async (HttpContext http, ManageAgents agents, Guid id, CancellationToken ct) =>
                (await agents.FindAsync(http.Actor(), id, ct)).ToHttp(agent => agent.UpdatedAt))
            .RequireScope("agents:read").Describe("getAgent", "Read an agent and its configuration.").Produces<Agent>();
        group.MapPatch("/{id:guid}", async (HttpContext http, IfMatch ifMatch, ManageAgents agents, Guid id, AgentInput body, CancellationToken ct) =>
                (await agents.ChangeAsync(http.Actor(), id, body, ifMatch, ct)).ToHttp(agent => agent.UpdatedAt))
            .RequireScope("agents:write").Describe("changeAgent", "Change an agent.").Produces<Agent>();
        group.MapPut("/{id:guid}/config", async (HttpContext http, IfMatch ifMatch, ManageAgents agents, Guid id, AgentConfig body, CancellationToken ct) =>
                (await agents.ConfigureAsync(http.Actor(), id, body, ifMatch, ct)).ToHttp(agent => agent.UpdatedAt))
            .RequireScope("agents:write").Describe("configureAgent", "Set an agent's configuration.").Produces<Agent>();
        group.MapDelete("/{id:guid}", async (HttpContext http, IfMatch ifMatch, ManageAgents agents, Guid id, bool? purge, CancellationToken ct) =>
                purge == true
                    ? (await agents.PurgeAsync(http.Actor(), id, ct)).ToNoContent()
                    : (await agents.DeleteAsync(http.Actor(), id, ifMatch, ct)).ToNoContent())
            .RequireScope("agents:write").Describe("deleteAgent", "Delete an agent; with purge=true for good, with all that belongs to it.")
            .Produces(StatusCodes.Status204NoContent);
    }
}
