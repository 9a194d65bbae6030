using AgentPlatform.Api;
using AgentPlatform.Conversations;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Schemas;

internal static class SchemasApi
{
    internal static void Map(IEndpointRouteBuilder v1)
    {
        MapDefinitions(v1.MapGroup("/schemas").WithTags("Schemas"));
        MapStates(v1);
    }

    private static void MapDefinitions(RouteGroupBuilder schemas)
    {
        schemas.MapGet("", (HttpContext http, Database database, SchemaStore store, CancellationToken ct, bool? is_active = null, int? limit = null, string? cursor = null) =>
            http.PageAsync(database, limit, cursor, (tx, page) => store.ListAsync(tx, is_active, page, ct)))
            .RequireScope("schemas:read").Describe("listSchemas", "What the tenant's systems are asked about contacts, newest first.").Produces<Page<SchemaDefinition>>();
        schemas.MapPost("", async (HttpContext http, ManageSchemas manage, SchemaInput body, CancellationToken ct) =>
            (await manage.CreateAsync(http.Actor(), body, ct)).ToCreated(s => $"/api/v1/schemas/{s.SchemaId}", s => s.UpdatedAt))
            .RequireScope("schemas:write").Sensitive("schema.create", "schema").Describe("createSchema", "Define a schema: an endpoint, its token, and the keys to read.").Produces<SchemaDefinition>(201);
        schemas.MapGet("/{schemaId}", (HttpContext http, Database database, SchemaStore store, string schemaId, CancellationToken ct) =>
            http.OneAsync(database, tx => store.FindAsync(tx, schemaId, ct), "schema", s => s.UpdatedAt))
            .RequireScope("schemas:read").Describe("readSchema", "One schema.").Produces<SchemaDefinition>();
        schemas.MapPut("/{schemaId}", async (HttpContext http, IfMatch ifMatch, ManageSchemas manage, string schemaId, SchemaInput body, CancellationToken ct) =>
            (await manage.ReplaceAsync(http.Actor(), body with { SchemaId = schemaId }, ifMatch, ct)).ToHttp(s => s.UpdatedAt))
            .RequireScope("schemas:write").Sensitive("schema.replace", "schema").Describe("replaceSchema", "Replace a schema; another way to ask or to read makes a new version.").Produces<SchemaDefinition>();
        schemas.MapDelete("/{schemaId}", async (HttpContext http, IfMatch ifMatch, ManageSchemas manage, string schemaId, CancellationToken ct) =>
            (await manage.DeleteAsync(http.Actor(), schemaId, ifMatch, ct)).ToNoContent())
            .RequireScope("schemas:write").Describe("deleteSchema", "Delete a schema and what was cached of it.").Produces(StatusCodes.Status204NoContent);
    }

    private static void MapStates(IEndpointRouteBuilder v1)
    {
        v1.MapGet("/contacts/{id:guid}/schemas", (HttpContext http, Database database, SchemaStore store, Guid id, CancellationToken ct, int? limit = null, string? cursor = null) =>
            http.PageAsync(database, limit, cursor, (tx, page) => store.StatesAsync(tx, null, id, page, ct)))
            .WithTags("Schemas").RequireScope("schemas:read").Describe("listContactSchemas", "What is cached of a contact, newest first; nothing is fetched.").Produces<Page<ContactSchemaState>>();

        var own = v1.MapGroup("/sessions/{id:guid}/schemas").WithTags("Schemas");
        own.MapGet("", (HttpContext http, Database database, SchemaStore store, Guid id, CancellationToken ct, int? limit = null, string? cursor = null) =>
            http.PageAsync(database, limit, cursor, (tx, page) => store.StatesAsync(tx, id, null, page, ct)))
            .RequireScope("schemas:read").Describe("listSessionSchemas", "What is cached for a session, newest first; nothing is fetched.").Produces<Page<ContactSchemaState>>();
        own.MapGet("/{schemaId}", (HttpContext http, Database database, SessionStore sessions, FetchSchema fetch, Guid id, string schemaId, CancellationToken ct) =>
            ReadAsync(http, database, sessions, fetch, (id, schemaId), force: false, ct))
            .RequireScope("schemas:read").Describe("readSessionSchema", "What is known for a session: from the cache within its time to live, else fetched now.").Produces<ContactSchemaState>();
        own.MapPost("/{schemaId}/refresh", (HttpContext http, Database database, SessionStore sessions, FetchSchema fetch, Guid id, string schemaId, CancellationToken ct) =>
            ReadAsync(http, database, sessions, fetch, (id, schemaId), force: true, ct))
            .RequireScope("schemas:write").Describe("refreshSessionSchema", "Fetch now, whatever is cached; requests that wait for it are taken up.").Produces<ContactSchemaState>();
    }

    /// <summary>Who may see the session may ask; the platform fetches and writes.</summary>
    private static async Task<IResult> ReadAsync(
        HttpContext http, Database database, SessionStore sessions, FetchSchema fetch, (Guid SessionId, string SchemaId) which, bool force, CancellationToken ct)
    {
        var actor = http.Actor();
        await using (var tx = database.Begin(actor))
        {
            if (await sessions.PeekAsync(tx, which.SessionId, ct) is null)
            {
                return Problem.NotFound("session").ToHttp();
            }
        }

        return (await fetch.ReadAsync(Actor.System(actor.TenantId), which.SessionId, which.SchemaId, force, ct)).ToHttp();
    }
}
