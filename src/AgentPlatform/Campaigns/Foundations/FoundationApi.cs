using AgentPlatform.Api;
using AgentPlatform.Postgres;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Campaigns.Foundations;

internal static class FoundationApi
{
    internal static void Map(IEndpointRouteBuilder v1)
    {
        var foundation = v1.MapGroup("/foundation").WithTags("Foundation");
        foundation.MapGet("", (HttpContext http, Database database, FoundationStore store, CancellationToken ct) =>
            http.OneAsync(database, tx => store.FindAsync(tx, ct), "foundation", f => f.UpdatedAt))
            .RequireScope("campaigns:read").Describe("readFoundation", "What the company is and how it speaks.").Produces<Foundation>();
        foundation.MapPut("", async (HttpContext http, IfMatch ifMatch, Database database, FoundationStore store, FoundationInput body, CancellationToken ct) =>
        {
            await using var tx = database.Begin(http.Actor());
            return (await store.PutAsync(tx, body, ifMatch, ct)).ToHttp(f => f.UpdatedAt);
        }).RequireScope("campaigns:write").Describe("writeFoundation", "Write the foundation, or another in its place; agents are told of it from their next turn on.").Produces<Foundation>();
        foundation.MapDelete("", async (HttpContext http, IfMatch ifMatch, Database database, FoundationStore store, CancellationToken ct) =>
        {
            await using var tx = database.Begin(http.Actor());
            return (await store.DeleteAsync(tx, ifMatch, ct)).ToNoContent();
        }).RequireScope("campaigns:write").Describe("deleteFoundation", "Delete the foundation.").Produces(StatusCodes.Status204NoContent);
    }
}
