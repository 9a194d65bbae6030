using System.Text.Json;
using AgentPlatform.Api;
using AgentPlatform.Kernel;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Contacts.Privacy;

/// <summary>Under <c>/api/v1</c>: what is kept about a contact is handed out whole, and erased whole.</summary>
internal static class PrivacyEndpoints
{
    private static readonly string[] Statuses = ["accepted", "erasing", "settling", "completed", "failed"];

    internal static void Map(IEndpointRouteBuilder v1)
    {
        var contacts = v1.MapGroup("/contacts").WithTags("Contacts");
        contacts.MapGet("/{id:guid}/export", async (HttpContext http, ExportContact export, Guid id, CancellationToken ct) =>
            (await export.FindAsync(http.Actor(), id, ct)).Match<IResult>(
                head => Results.Stream(body => export.WriteAsync(head, body, ct), "application/json"), problem => problem.ToHttp()))
            .RequireScope("contacts:read").Sensitive("contact.export", "contact")
            .Describe("exportContact", "Everything kept about a contact, by table; for owners and admins.").Produces<ContactExport>();

        contacts.MapDelete("/{id:guid}", async (HttpContext http, RequestErasure erasures, Guid id, CancellationToken ct) =>
            (await erasures.HandleAsync(http.Actor(), id, ct)).ToAccepted())
            .RequireScope("contacts:write").Sensitive("contact.erase", "contact")
            .Describe("eraseContact", "Erase everything kept about a contact; for owners and admins. Cannot be undone.").Produces<Erasure>(202);

        contacts.MapGet("/{id:guid}/erasure", async (HttpContext http, RequestErasure erasures, Guid id, CancellationToken ct) =>
            (await erasures.FindAsync(http.Actor(), id, ct)).ToHttp())
            .RequireScope("contacts:read").Describe("readContactErasure", "How far the erasure of a contact has come.").Produces<Erasure>();

        v1.MapGroup("/erasures").WithTags("Contacts").MapGet("", async (
            HttpContext http, RequestErasure erasures, string? status, int? limit, string? cursor, CancellationToken ct) =>
        {
            var page = PageRequest.Parse(limit, cursor);
            return !page.IsOk ? page.Problem.ToHttp()
                : status is not null && !Statuses.Contains(status) ? Problem.Invalid("status", $"Must be one of {string.Join(", ", Statuses)}.").ToHttp()
                : Results.Json(await erasures.ListAsync(http.Actor(), status, page.Value, ct), Json.Options);
        }).RequireScope("contacts:read").Describe("listErasures", "Erasures of contacts, newest first.").Produces<Page<Erasure>>();
    }

    /// <summary>The document as the description of the API shows it: rows are as they lie in their tables.</summary>
    internal sealed record ContactExport(DateTimeOffset ExportedAt, Contact Contact, Guid[] MergedContactIds, IReadOnlyDictionary<string, JsonElement[]> Kept);
}
