using AgentPlatform.Api;
using AgentPlatform.Kernel;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Credits;

internal static class CreditsApi
{
    internal static void Map(IEndpointRouteBuilder v1)
    {
        var group = v1.MapGroup("/credits").WithTags("Credits");
        group.MapGet("/events", async (HttpContext http, ManageCredits credits, Guid? contact_id, int? limit, string? cursor, CancellationToken ct) =>
                await PageRequest.Parse(limit, cursor).ThenAsync(page => credits.ListAsync(http.Actor(), contact_id, page, ct)).ToHttpAsync())
            .RequireScope("credits:read").Describe("listCreditEvents", "List the entries of the credit ledger.").Produces<Page<CreditEvent>>();
        group.MapPost("/events", async (HttpContext http, ManageCredits credits, WriteCredits body, CancellationToken ct) =>
                (await credits.WriteAsync(http.Actor(), body, ct)).ToCreated(_ => "/api/v1/credits/events"))
            .RequireScope("credits:write").Describe("writeCredits", "Award, spend or adjust credits, once per cause.").Produces<CreditEvent>(StatusCodes.Status201Created);
        group.MapPost("/events/{id:guid}/process", async (HttpContext http, ManageCredits credits, Guid id, CancellationToken ct) =>
                (await credits.ProcessAsync(http.Actor(), id, ct)).ToHttp())
            .RequireScope("credits:write").Describe("processCredits", "Make a pending entry count.").Produces<CreditEvent>();
        group.MapGet("/balances/{contactId:guid}", async (HttpContext http, ManageCredits credits, Guid contactId, CancellationToken ct) =>
                (await credits.BalanceAsync(http.Actor(), contactId, ct)).ToHttp())
            .RequireScope("credits:read").Describe("getCreditBalance", "Read a contact's balance.").Produces<CreditBalance>();
    }
}
