using System.Text.Json;
using AgentPlatform.Api;
using AgentPlatform.Contacts.Privacy;
using AgentPlatform.Kernel;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Contacts;

internal static class ContactEndpoints
{
    internal static IEndpointRouteBuilder MapContacts(IEndpointRouteBuilder v1)
    {
        var contacts = v1.MapGroup("/contacts").WithTags("Contacts");
        MapContact(contacts);
        MapFields(contacts);
        MapBelongings(contacts);
        MapPriorities(contacts);
        PrivacyEndpoints.Map(v1);
        return v1;
    }

    private static void MapContact(RouteGroupBuilder contacts)
    {
        contacts.MapGet("", async (
            HttpContext http, ReadContacts read, string? q, string? phone_number, string? email, string? external_id, bool? verified, string? poc_agent_type,
            int? limit, string? cursor, CancellationToken ct) =>
        {
            var page = PageRequest.Parse(limit, cursor);
            var filter = new ContactFilter(q, phone_number, email, external_id, verified, poc_agent_type);
            return page.IsOk ? Results.Json(await read.ListAsync(http.Actor(), filter, page.Value, ct), Json.Options) : page.Problem.ToHttp();
        }).RequireScope("contacts:read").Describe("listContacts", "Contacts, newest first; q searches names, company, e-mail and number.")
            .Produces<Page<Contact>>();

        contacts.MapPost("", async (HttpContext http, EditContact edit, JsonElement body, CancellationToken ct) =>
            (await edit.CreateAsync(http.Actor(), body, ct)).ToCreated(c => $"/api/v1/contacts/{c.Id}", c => c.ChangedAt))
            .RequireScope("contacts:write").Describe("createContact", "Create a contact.").Produces<Contact>(201);

        contacts.MapGet("/{id:guid}", async (HttpContext http, ReadContacts read, Guid id, CancellationToken ct) =>
            (await read.FindAsync(http.Actor(), id, ct)).ToHttp(c => c.ChangedAt))
            .RequireScope("contacts:read").Describe("readContact", "One contact; a merged one answers with its survivor.").Produces<Contact>();

        contacts.MapPatch("/{id:guid}", async (HttpContext http, IfMatch ifMatch, EditContact edit, Guid id, JsonElement body, CancellationToken ct) =>
            (await edit.PatchAsync(http.Actor(), id, body, ifMatch, ct)).ToHttp(c => c.ChangedAt))
            .RequireScope("contacts:write").Describe("patchContact", "Change members of a contact; null clears.").Produces<Contact>();

        contacts.MapPost("/{id:guid}/merge", async (HttpContext http, MergeContacts merge, Guid id, MergeBody body, CancellationToken ct) =>
            (await merge.HandleAsync(http.Actor(), id, body.IntoId, ct)).ToHttp(c => c.ChangedAt))
            .RequireScope("contacts:write").Describe("mergeContact", "Merge this contact into another one.").Produces<Contact>();

        contacts.MapPost("/{id:guid}/verify", async (HttpContext http, Belongings belongings, Guid id, CancellationToken ct) =>
            (await belongings.VerifyAsync(http.Actor(), id, ct)).ToHttp(c => c.ChangedAt))
            .RequireScope("contacts:write").Describe("verifyContact", "Mark as verified: the bouncer hands over.").Produces<Contact>();
    }

    private static void MapFields(RouteGroupBuilder contacts)
    {
        contacts.MapGet("/{id:guid}/fields", async (HttpContext http, ReadContacts read, ProfileFields fields, Guid id, CancellationToken ct) =>
            (await read.OfAsync(http.Actor(), id, fields.CurrentAsync, ct)).ToHttp())
            .RequireScope("contacts:read").Describe("listContactFields", "Current values, with source and confidence.").Produces<Page<ProfileField>>();

        contacts.MapGet("/{id:guid}/fields/{name}/history", async (
            HttpContext http, ReadContacts read, ProfileFields fields, Guid id, string name, CancellationToken ct) =>
            (await read.OfAsync(http.Actor(), id, (tx, contact, token) => fields.HistoryAsync(tx, contact, name, token), ct)).ToHttp())
            .RequireScope("contacts:read").Describe("readContactFieldHistory", "All values a field had, newest first.").Produces<Page<ProfileField>>();

        contacts.MapPut("/{id:guid}/fields/{name}", async (
            HttpContext http, Belongings belongings, Guid id, string name, FieldBody body, CancellationToken ct) =>
            (await belongings.SetFieldAsync(http.Actor(), id, name, body, ct)).ToHttp())
            .RequireScope("contacts:write").Describe("setContactField", "Write a field; a weaker source does not replace a stronger one.")
            .Produces<FieldAnswer>();
    }

    private static void MapBelongings(RouteGroupBuilder contacts)
    {
        contacts.MapGet("/{id:guid}/identities", async (HttpContext http, ReadContacts read, Guid id, CancellationToken ct) =>
            (await read.OfAsync(http.Actor(), id, ReadContacts.IdentitiesAsync, ct)).ToHttp())
            .RequireScope("contacts:read").Describe("listContactIdentities", "Addresses by channel.").Produces<Page<ChannelIdentity>>();

        contacts.MapPost("/{id:guid}/identities", async (HttpContext http, Belongings belongings, Guid id, NewIdentity body, CancellationToken ct) =>
            (await belongings.AddIdentityAsync(http.Actor(), id, body, ct)).ToCreated(_ => $"/api/v1/contacts/{id}/identities"))
            .RequireScope("contacts:write").Describe("addContactIdentity", "Add an address.").Produces<ChannelIdentity>(201);

        contacts.MapGet("/{id:guid}/email-verifications", async (HttpContext http, ReadContacts read, EmailProofs proofs, Guid id, CancellationToken ct) =>
            (await read.OfAsync(http.Actor(), id, proofs.ListAsync, ct)).ToHttp())
            .RequireScope("contacts:read").Describe("listEmailVerifications", "Proofs of e-mail addresses that were asked for, newest first.").Produces<Page<EmailVerification>>();

        contacts.MapGet("/{id:guid}/assets", async (HttpContext http, ReadContacts read, Guid id, string? asset_type, CancellationToken ct) =>
            (await read.OfAsync(http.Actor(), id, (tx, contact, token) => ReadContacts.AssetsAsync(tx, contact, asset_type, token), ct)).ToHttp())
            .RequireScope("contacts:read").Describe("listContactAssets", "Files and other things of a contact.").Produces<Page<ContactAsset>>();

        contacts.MapPost("/{id:guid}/assets", async (HttpContext http, Belongings belongings, Guid id, NewAsset body, CancellationToken ct) =>
            (await belongings.AddAssetAsync(http.Actor(), id, body, ct)).ToCreated(_ => $"/api/v1/contacts/{id}/assets"))
            .RequireScope("contacts:write").Describe("addContactAsset", "Attach an asset.").Produces<ContactAsset>(201);

        contacts.MapDelete("/{id:guid}/assets/{assetId:guid}", async (HttpContext http, Belongings belongings, Guid id, Guid assetId, CancellationToken ct) =>
            (await belongings.RemoveAssetAsync(http.Actor(), id, assetId, ct)).ToNoContent())
            .RequireScope("contacts:write").Describe("removeContactAsset", "Remove an asset.").Produces(204);

        contacts.MapGet("/{id:guid}/consents", async (HttpContext http, ReadContacts read, Consents consents, Guid id, CancellationToken ct) =>
            (await read.OfAsync(http.Actor(), id, consents.HistoryAsync, ct)).ToHttp())
            .RequireScope("contacts:read").Describe("listContactConsents", "Opt-outs and opt-ins, newest first.").Produces<Page<ConsentChange>>();

        contacts.MapPost("/{id:guid}/consents", async (HttpContext http, Belongings belongings, Guid id, ConsentBody body, CancellationToken ct) =>
            (await belongings.SetConsentAsync(http.Actor(), id, body, ct)).ToHttp())
            .RequireScope("contacts:write").Describe("setContactConsent", "Record an opt-out or opt-in.").Produces<Page<ConsentChange>>();
    }

    private static void MapPriorities(RouteGroupBuilder contacts)
    {
        contacts.MapGet("/{id:guid}/priorities", async (HttpContext http, ReadContacts read, Priorities priorities, Guid id, CancellationToken ct) =>
            (await read.OfAsync(http.Actor(), id, priorities.ListAsync, ct)).ToHttp())
            .RequireScope("contacts:read").Describe("listContactPriorities", "What to raise with the contact, by rank.").Produces<Page<ContactPriority>>();

        contacts.MapPost("/{id:guid}/priorities", async (HttpContext http, Belongings belongings, Guid id, PriorityWrite body, CancellationToken ct) =>
            (await belongings.WritePriorityAsync(http.Actor(), id, body, ct)).ToHttp())
            .RequireScope("contacts:write").Describe("writeContactPriority", "Add or re-rank an item.").Produces<ContactPriority>();

        contacts.MapPost("/{id:guid}/priorities/{priorityId:guid}/presented", async (
            HttpContext http, Belongings belongings, Guid id, Guid priorityId, CancellationToken ct) =>
            (await belongings.PresentPriorityAsync(http.Actor(), id, priorityId, ct)).ToHttp())
            .RequireScope("contacts:write").Describe("presentContactPriority", "The contact was told: not offered again.").Produces<Page<ContactPriority>>();
    }

    internal sealed record MergeBody(Guid IntoId);
}
