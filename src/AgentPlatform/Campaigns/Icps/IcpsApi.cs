using AgentPlatform.Api;
using AgentPlatform.Contacts.Segments;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Campaigns.Icps;

internal static class IcpsApi
{
    internal static void Map(IEndpointRouteBuilder v1)
    {
        var icps = v1.MapGroup("/icp-profiles").WithTags("ICP profiles");
        icps.MapGet("", (HttpContext http, Database database, CancellationToken ct, int? limit = null, string? cursor = null) =>
            http.PageAsync(database, limit, cursor, (tx, page) => ManageIcps.ListAsync(tx, page, ct)))
            .RequireScope("campaigns:read").Describe("listIcpProfiles", "Ideal customer profiles, newest first.").Produces<Page<IcpProfile>>();
        icps.MapPost("", async (HttpContext http, ManageIcps manage, IcpInput body, CancellationToken ct) =>
            (await manage.CreateAsync(http.Actor(), body, ct)).ToCreated(icp => $"/api/v1/icp-profiles/{icp.Id}", icp => icp.UpdatedAt))
            .RequireScope("campaigns:write").Describe("createIcpProfile", "Describe an ideal customer, with a rule that finds them among the contacts.").Produces<IcpProfile>(201);
        icps.MapGet("/{id:guid}", (HttpContext http, Database database, Guid id, CancellationToken ct) =>
            http.OneAsync(database, tx => ManageIcps.FindAsync(tx, id, ct), "icp_profile", icp => icp.UpdatedAt))
            .RequireScope("campaigns:read").Describe("readIcpProfile", "One ideal customer profile.").Produces<IcpProfile>();
        icps.MapPut("/{id:guid}", async (HttpContext http, IfMatch ifMatch, ManageIcps manage, Guid id, IcpInput body, CancellationToken ct) =>
            (await manage.ReplaceAsync(http.Actor(), id, body, ifMatch, ct)).ToHttp(icp => icp.UpdatedAt))
            .RequireScope("campaigns:write").Describe("replaceIcpProfile", "Replace a profile.").Produces<IcpProfile>();
        icps.MapDelete("/{id:guid}", async (HttpContext http, IfMatch ifMatch, ManageIcps manage, Guid id, CancellationToken ct) =>
            (await manage.DeleteAsync(http.Actor(), id, ifMatch, ct)).ToNoContent())
            .RequireScope("campaigns:write").Describe("deleteIcpProfile", "Delete a profile that no campaign is for.").Produces(StatusCodes.Status204NoContent);

        icps.MapGet("/{id:guid}/audience", async (HttpContext http, ManageIcps manage, Guid id, CancellationToken ct) => (await manage.AudienceAsync(http.Actor(), id, ct)).ToHttp())
            .RequireScope("campaigns:read").Describe("readIcpAudience", "How many contacts a profile is for, and on which channels they can be written to.").Produces<IcpAudience>();
        icps.MapGet("/{id:guid}/contacts", ContactsAsync)
            .RequireScope("contacts:read").Describe("listIcpContacts", "The contacts that a profile is for, newest first.").Produces<Page<SegmentContact>>();
    }

    private static async Task<IResult> ContactsAsync(
        Guid id, HttpContext http, Database database, ContactSegments segments, CancellationToken ct, int? limit = null, string? cursor = null)
    {
        var page = PageRequest.Parse(limit, cursor);
        if (!page.IsOk)
        {
            return page.Problem.ToHttp();
        }

        await using var tx = database.Begin(http.Actor());
        return await ManageIcps.FindAsync(tx, id, ct) is { } icp
            ? ((Result<Page<SegmentContact>>)await segments.ListAsync(tx, icp.Rule, page.Value, ct)).ToHttp()
            : Problem.NotFound("icp_profile").ToHttp();
    }
}
