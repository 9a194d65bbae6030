using AgentPlatform.Api;
using AgentPlatform.Contacts;
using AgentPlatform.Kernel;
using AgentPlatform.Memory.Chunks;
using AgentPlatform.Memory.Episodes;
using AgentPlatform.Memory.Graph;
using AgentPlatform.Memory.Searching;
using AgentPlatform.Postgres;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Memory;

internal static class MemoryApi
{
    internal const string Read = "memory:read";
    internal const string Write = "memory:write";

    internal static void Map(IEndpointRouteBuilder v1)
    {
        var memory = v1.MapGroup("/memory").WithTags("Memory");
        MapSearch(memory);
        MapEpisodes(memory);
        MapChunks(memory);
        MapEntities(memory);
        MapRelationships(memory);
    }

    private static void MapSearch(RouteGroupBuilder memory)
    {
        memory.MapGet("/search", SearchAsync)
            .RequireScope(Read).Describe("searchMemory", "What is remembered near a text, with the entities it names and those around them, best first.").Produces<Page<MemoryHit>>();
        memory.MapPost("/search", async (HttpContext http, SearchMemory search, MemoryQuery body, CancellationToken ct) =>
            (await search.HandleAsync(http.Actor(), body, ct)).ToHttp())
            .RequireScope(Read).Describe("searchMemoryByEmbedding", "The same, with the question in the body; it may be an embedding.").Produces<Page<MemoryHit>>();
        memory.MapDelete("/contacts/{id:guid}", async (HttpContext http, ManageEpisodes manage, Guid id, CancellationToken ct) =>
            (await manage.ForgetAsync(http.Actor(), id, ct)).ToHttp())
            .RequireScope(Write).Sensitive("memory.forget", "contact").Describe("forgetContact", "Delete all that is remembered of a contact; the profile stays.").Produces<Forgotten>();
        memory.MapGet("/contacts/{id:guid}/forgetting", (HttpContext http, Database database, ContactDirectory contacts, Guid id, CancellationToken ct) =>
            http.OneAsync(database, async tx => await Forgettings.FindAsync(tx, await contacts.LivingAsync(tx, id, ct) ?? id, ct), "forgetting"))
            .RequireScope(Read).Describe("readForgetting", "When a contact was forgotten last: nothing said until then is remembered.").Produces<Forgetting>();
    }

    private static void MapEpisodes(RouteGroupBuilder memory)
    {
        memory.MapGet("/episodes", EpisodesAsync)
            .RequireScope(Read).Describe("listEpisodes", "What happened and what held, newest first.").Produces<Page<Episode>>();
        memory.MapPost("/episodes", async (HttpContext http, ManageEpisodes manage, EpisodeInput body, CancellationToken ct) =>
            (await manage.AddAsync(http.Actor(), body, ct)).ToCreated(e => $"/api/v1/memory/episodes/{e.Id}"))
            .RequireScope(Write).Describe("createEpisode", "Tell of something that happened or held; its embedding is made afterwards.").Produces<Episode>(201);
        memory.MapGet("/episodes/{id:guid}", (HttpContext http, Database database, Guid id, CancellationToken ct) =>
            http.OneAsync(database, tx => EpisodeStore.FindAsync(tx, id, ct), "episode"))
            .RequireScope(Read).Describe("readEpisode", "One episode.").Produces<Episode>();
        memory.MapDelete("/episodes/{id:guid}", async (HttpContext http, ManageEpisodes manage, Guid id, CancellationToken ct) =>
            (await manage.DeleteAsync(http.Actor(), id, ct)).ToNoContent())
            .RequireScope(Write).Describe("deleteEpisode", "Forget an episode.").Produces(204);
    }

    private static void MapChunks(RouteGroupBuilder memory)
    {
        memory.MapGet("/chunks", (HttpContext http, Database database, ContactDirectory contacts, CancellationToken ct, string? memory_type = null, Guid? agent_id = null, Guid? contact_id = null,
            int? limit = null, string? cursor = null) => http.PageAsync(
                database, limit, cursor, async (tx, page) => await ChunkStore.ListAsync(tx, memory_type, agent_id, await contacts.LivingAsync(tx, contact_id, ct), page, ct),
                new Validation().OneOf("memory_type", memory_type, required: false, MemoryChunk.Types).Problem))
            .RequireScope(Read).Describe("listMemoryChunks", "What is kept at hand, newest first, with how much each weighs; to list is not to retrieve.").Produces<Page<MemoryChunk>>();
        memory.MapPost("/chunks", async (HttpContext http, ManageChunks manage, MemoryChunkInput body, CancellationToken ct) =>
            (await manage.PutAsync(http.Actor(), body, ct)).ToCreated(c => $"/api/v1/memory/chunks/{c.Id}"))
            .RequireScope(Write).Describe("putMemoryChunk", "Keep something at hand; under a source that is known it takes the place of what is there.").Produces<MemoryChunk>(201);
        memory.MapGet("/chunks/{id:guid}", (HttpContext http, Database database, Guid id, CancellationToken ct) =>
            http.OneAsync(database, tx => ChunkStore.FindAsync(tx, id, ct), "memory_chunk"))
            .RequireScope(Read).Describe("readMemoryChunk", "One chunk.").Produces<MemoryChunk>();
        memory.MapDelete("/chunks/{id:guid}", async (HttpContext http, ManageChunks manage, Guid id, CancellationToken ct) =>
            (await manage.DeleteAsync(http.Actor(), id, ct)).ToNoContent())
            .RequireScope(Write).Describe("deleteMemoryChunk", "Forget a chunk.").Produces(204);
    }

    private static void MapEntities(RouteGroupBuilder memory)
    {
        memory.MapGet("/entities", (HttpContext http, Database database, ContactDirectory contacts, CancellationToken ct, string? entity_type = null, string? name = null, Guid? contact_id = null,
            int? limit = null, string? cursor = null) => http.PageAsync(
                database, limit, cursor, async (tx, page) => await EntityStore.ListAsync(tx, entity_type, name, await contacts.LivingAsync(tx, contact_id, ct), page, ct),
                new Validation().OneOf("entity_type", entity_type, required: false, GraphEntity.Types).Problem))
            .RequireScope(Read).Describe("listEntities", "Who and what is talked about, newest first; a name finds the canonical one.").Produces<Page<GraphEntity>>();
        memory.MapPut("/entities", async (HttpContext http, ManageGraph manage, EntityInput body, CancellationToken ct) => (await manage.PutAsync(http.Actor(), body, ct)).ToHttp())
            .RequireScope(Write).Describe("putEntity", "Tell of an entity: one that is known by its type and canonical name is updated.").Produces<GraphEntity>();
        memory.MapGet("/entities/{id:guid}", (HttpContext http, Database database, Guid id, CancellationToken ct) =>
            http.OneAsync(database, tx => EntityStore.FindAsync(tx, id, ct), "entity"))
            .RequireScope(Read).Describe("readEntity", "One entity.").Produces<GraphEntity>();
        memory.MapDelete("/entities/{id:guid}", async (HttpContext http, ManageGraph manage, Guid id, CancellationToken ct) =>
            (await manage.DeleteAsync(http.Actor(), id, ct)).ToNoContent())
            .RequireScope(Write).Describe("deleteEntity", "Forget an entity, with its relationships on both sides.").Produces(204);
        memory.MapGet("/entities/{id:guid}/neighbours", async (HttpContext http, ManageGraph manage, Guid id, CancellationToken ct, DateTimeOffset? as_of = null,
            string? relationship_type = null, int? distance = null) => (await manage.NeighboursAsync(http.Actor(), id, as_of, relationship_type, distance, ct)).ToHttp())
            .RequireScope(Read).Describe("listNeighbours", "The entities around one, up to three steps away, as they stood to each other at a moment; nearest first.").Produces<Page<Neighbour>>();
    }

    private static void MapRelationships(RouteGroupBuilder memory)
    {
        memory.MapGet("/relationships", (HttpContext http, Database database, CancellationToken ct, Guid? entity_id = null, string? relationship_type = null,
            DateTimeOffset? as_of = null, int? limit = null, string? cursor = null) => http.PageAsync(
                database, limit, cursor, (tx, page) => RelationshipStore.ListAsync(tx, entity_id, relationship_type, as_of, page, ct)))
            .RequireScope(Read).Describe("listRelationships", "How entities stand and stood to each other, newest first.").Produces<Page<Relationship>>();
        memory.MapPut("/relationships", async (HttpContext http, ManageGraph manage, RelationshipInput body, CancellationToken ct) =>
            (await manage.AssertAsync(http.Actor(), body, ct)).ToHttp())
            .RequireScope(Write).Describe("putRelationship", "Tell what holds from a moment on: what said otherwise ends then.").Produces<Relationship>();
        memory.MapGet("/relationships/{id:guid}", (HttpContext http, Database database, Guid id, CancellationToken ct) =>
            http.OneAsync(database, tx => RelationshipStore.FindAsync(tx, id, ct), "relationship"))
            .RequireScope(Read).Describe("readRelationship", "One relationship.").Produces<Relationship>();
        memory.MapPost("/relationships/{id:guid}/evidence", async (HttpContext http, ManageGraph manage, Guid id, Evidence body, CancellationToken ct) =>
            (await manage.WeighAsync(http.Actor(), id, body, ct)).ToHttp())
            .RequireScope(Write).Describe("addEvidence", "Tell what speaks for a relationship, or against it.").Produces<Relationship>();
        memory.MapPost("/relationships/{id:guid}/end", async (HttpContext http, ManageGraph manage, Guid id, RelationshipEnd body, CancellationToken ct) =>
            (await manage.EndAsync(http.Actor(), id, body, ct)).ToHttp())
            .RequireScope(Write).Describe("endRelationship", "Tell when a relationship ended.").Produces<Relationship>();
    }

    private static async Task<IResult> SearchAsync(
        HttpContext http, SearchMemory search, CancellationToken ct, string? q = null, Guid? agent_id = null, Guid? contact_id = null, Guid? session_id = null,
        Guid? group_id = null, string? episode_type = null, string? memory_type = null, DateTimeOffset? as_of = null, DateTimeOffset? known_at = null, int? limit = null) =>
        (await search.HandleAsync(
            http.Actor(), new MemoryQuery(q, agent_id, contact_id, session_id, group_id, episode_type, memory_type, as_of, known_at, limit), ct)).ToHttp();

    private static Task<IResult> EpisodesAsync(
        HttpContext http, Database database, ContactDirectory contacts, CancellationToken ct, Guid? agent_id = null, Guid? contact_id = null, Guid? session_id = null, Guid? group_id = null,
        string? episode_type = null, DateTimeOffset? as_of = null, DateTimeOffset? known_at = null, bool? embedded = null, int? limit = null, string? cursor = null) =>
        http.PageAsync(
            database, limit, cursor,
            async (tx, page) => await EpisodeStore.ListAsync(
                tx, new EpisodeFilter(agent_id, await contacts.LivingAsync(tx, contact_id, ct), session_id, group_id, episode_type, as_of, known_at, embedded), page, ct),
            new Validation().OneOf("episode_type", episode_type, required: false, Episode.Types).Problem);
}
