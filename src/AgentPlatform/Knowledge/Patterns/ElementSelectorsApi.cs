using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Knowledge.Patterns;

internal static class ElementSelectorsApi
{
    internal static void Map(IEndpointRouteBuilder v1)
    {
        var elements = v1.MapGroup("/element-selectors").WithTags("Learned patterns");
        elements.MapGet("", ListAsync).RequireScope("knowledge:read").Describe("listElementSelectors", "Elements of pages, shared ones and one's own, newest first.").Produces<Page<ElementSelector>>();
        elements.MapGet("/lookup", LookUpAsync).RequireScope("knowledge:read").Describe("lookUpElementSelector", "The selectors of an element in the order in which to try them.").Produces<ElementSelector>();
        elements.MapGet("/{id:guid}", FindAsync).RequireScope("knowledge:read").Describe("readElementSelector", "One element.").Produces<ElementSelector>();
        elements.MapPost("", async (HttpContext http, ElementSelectors store, ElementSelectorBody body, CancellationToken ct) =>
            (await store.CreateAsync(http.Actor(), body, ct)).ToCreated(e => $"/api/v1/element-selectors/{e.Id}", e => e.UpdatedAt))
            .RequireScope("knowledge:write").Describe("createElementSelector", "Register an element, for oneself or shared.").Produces<ElementSelector>(201);
        elements.MapPatch("/{id:guid}", async (Guid id, HttpContext http, IfMatch ifMatch, ElementSelectors store, ElementSelectorBody body, CancellationToken ct) =>
            (await store.ChangeAsync(http.Actor(), id, body, ifMatch, ct)).ToHttp(e => e.UpdatedAt))
            .RequireScope("knowledge:write").Describe("changeElementSelector", "Change an element's selectors.").Produces<ElementSelector>();
        elements.MapDelete("/{id:guid}", async (Guid id, HttpContext http, IfMatch ifMatch, ElementSelectors store, CancellationToken ct) =>
            (await store.DeleteAsync(http.Actor(), id, ifMatch, ct)).ToNoContent())
            .RequireScope("knowledge:write").Describe("deleteElementSelector", "Forget an element.").Produces(204);
        elements.MapPost("/{id:guid}/attempts", async (Guid id, HttpContext http, ElementSelectors store, AttemptBody body, CancellationToken ct) =>
            (await store.AttemptAsync(http.Actor(), id, body, ct)).ToHttp(e => e.UpdatedAt))
            .RequireScope("knowledge:write").Describe("reportElementSelectorAttempt", "Say whether a selector found the element.").Produces<ElementSelector>();
    }

    private static Task<IResult> ListAsync(
        HttpContext http, Database database, ElementSelectors store, CancellationToken ct, string? page_path = null, string? element_name = null, int? limit = null, string? cursor = null) =>
        http.PageAsync(database, limit, cursor, (tx, page) => store.ListAsync(tx, new ElementFilter(page_path, element_name), page, ct));

    private static Task<IResult> FindAsync(Guid id, HttpContext http, Database database, ElementSelectors store, CancellationToken ct) =>
        http.OneAsync(database, tx => store.FindAsync(tx, id, ct), "element_selector", e => e.UpdatedAt);

    private static async Task<IResult> LookUpAsync(HttpContext http, Database database, ElementSelectors store, CancellationToken ct, string? page_path = null, string? element_name = null)
    {
        if (new Validation().Text("page_path", page_path, 500, required: true).Text("element_name", element_name, 255, required: true).Problem is { } problem)
        {
            return problem.ToHttp();
        }

        return await http.OneAsync(database, tx => store.LookUpAsync(tx, page_path!, element_name!, ct), "element_selector", e => e.UpdatedAt);
    }
}
