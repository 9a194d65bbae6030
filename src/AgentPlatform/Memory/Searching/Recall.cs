using AgentPlatform.Memory.Chunks;
using AgentPlatform.Postgres;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Memory.Searching;

/// <summary>
/// Finds what is remembered near a text: exactly, among what the tenant, agent and contact leave. An index over the embeddings of all tenants would find other
/// tenants' nearest, and row level security would throw those away.
/// </summary>
public sealed class Recall(ITextEmbedder embedder, ChunkStore chunks, TimeProvider clock, IOptions<MemoryOptions> options)
{
    /// <summary>
    /// The few best for a turn, out of what is not of its own session, which it knows anyway, nor of another conversation that has become private. May be gathered.
    /// </summary>
    public Task<IReadOnlyList<MemoryHit>> ForTurnAsync(
        Transaction tx, Guid agentId, Guid contactId, Guid conversationId, Guid sessionId, string text, DateTimeOffset at, CancellationToken ct) =>
        NearestAsync(tx, new MemoryQuery(text, agentId, contactId, AsOf: at), options.Value.RecallCount, options.Value.RecallFrom, new InTurn(conversationId, sessionId), ct);

    /// <summary>They have been told, so they are fresh again.</summary>
    public void Touch(Transaction tx, IEnumerable<MemoryHit> told) => chunks.Touch(tx, [.. told.Where(hit => hit.Kind == "chunk").Select(hit => hit.Id)]);

    internal Task<IReadOnlyList<MemoryHit>> NearestAsync(Transaction tx, MemoryQuery query, int limit, double from, InTurn? turn, CancellationToken ct) =>
        tx.QueryAsync<MemoryHit>(
            Sql.Nearest,
            [
                query.Q is { } said ? embedder.Embed(said, Dimensions.Episodes) : new float[Dimensions.Episodes],
                query.Embedding ?? embedder.Embed(query.Q!, Dimensions.Chunks), query.EmbeddingModel ?? embedder.Model, !query.IsOfChunks, !query.IsOfEpisodes,
                query.AgentId, query.ContactId, query.SessionId, query.GroupId, query.EpisodeType, query.MemoryType,
                query.AsOf?.ToUniversalTime() ?? clock.GetUtcNow(), query.KnownAt?.ToUniversalTime(), turn?.SessionId, from, limit, turn?.ConversationId,
            ], ct);

    /// <summary>Entities by their names.</summary>
    internal Task<IReadOnlyList<MemoryHit>> EntitiesAsync(Transaction tx, MemoryQuery query, int limit, CancellationToken ct) =>
        tx.QueryAsync<MemoryHit>(Sql.Entities, [embedder.Embed(query.Q!, Dimensions.Chunks), embedder.Model, query.AgentId, query.ContactId, limit], ct);

    /// <summary>For whom it is recalled: the platform sees what is private, and must not tell it elsewhere.</summary>
    internal sealed record InTurn(Guid ConversationId, Guid SessionId);

    private static class Sql
    {
        internal const string Nearest =
            """
            SELECT m.*, m.similarity * m.weight AS score
            FROM (
                SELECT 'episode' AS kind, e.id, e.episode_type::text AS type, e.content, e.agent_id, e.customer_profile_id AS contact_id, e.group_id, NULL::text AS source,
                       e.valid_from, e.valid_to, 1 - (e.embedding <=> $1::real[]::vector) AS similarity, 0.5 + e.importance / 2 AS weight
                FROM memory.episodes e
                WHERE $4 AND e.tenant_id = kernel.current_tenant_id() AND e.embedding IS NOT NULL AND e.embedding_model = $3
                  AND ($6::uuid IS NULL OR e.agent_id IS NULL OR e.agent_id = $6) AND ($7::uuid IS NULL OR e.customer_profile_id = $7)
                  AND ($8::uuid IS NULL OR e.session_id = $8) AND ($9::uuid IS NULL OR e.group_id = $9) AND ($10::text IS NULL OR e.episode_type = $10)
                  AND e.valid_from <= $12 AND (e.valid_to IS NULL OR e.valid_to > $12) AND ($13::timestamptz IS NULL OR e.recorded_at <= $13)
                  AND ($14::uuid IS NULL OR e.session_id IS DISTINCT FROM $14)
                  AND ($17::uuid IS NULL OR e.conversation_id IS NULL OR e.conversation_id = $17 OR conversations.is_shared(e.tenant_id, e.conversation_id))
                UNION ALL
                SELECT 'chunk', c.id, c.memory_type, c.content, c.agent_id, c.contact_id, NULL, c.source,
                       c.created_at, NULL, 1 - (c.embedding <=> $2::real[]::vector), c.decay_weight::float8
                FROM memory.memory_chunks c
                WHERE $5 AND c.tenant_id = kernel.current_tenant_id() AND c.embedding_model = $3
                  AND ($6::uuid IS NULL OR c.agent_id IS NULL OR c.agent_id = $6) AND ($7::uuid IS NULL OR c.contact_id IS NULL OR c.contact_id = $7)
                  AND ($11::text IS NULL OR c.memory_type = $11) AND c.created_at <= $12
                  AND ($17::uuid IS NULL OR c.conversation_id IS NULL OR c.conversation_id = $17 OR conversations.is_shared(c.tenant_id, c.conversation_id))
            ) AS m
            WHERE m.similarity * m.weight >= $15
            ORDER BY score DESC, m.id DESC LIMIT $16
            """;

        // The contact itself is where its neighbours are looked for, whatever was asked.
        internal const string Entities =
            """
            SELECT 'entity' AS kind, e.id, e.entity_type::text AS type, e.name AS content, e.agent_id, e.customer_profile_id AS contact_id, NULL::uuid AS group_id,
                   NULL::text AS source, e.created_at AS valid_from, NULL::timestamptz AS valid_to, 1 - (e.embedding <=> $1::real[]::vector) AS similarity,
                   1.0::float8 AS weight, 1 - (e.embedding <=> $1::real[]::vector) AS score
            FROM memory.entities e
            WHERE e.tenant_id = kernel.current_tenant_id() AND e.embedding_model = $2 AND ($3::uuid IS NULL OR e.agent_id IS NULL OR e.agent_id = $3)
              AND ($4::uuid IS NULL OR e.customer_profile_id IS NULL OR e.customer_profile_id = $4)
            ORDER BY score DESC, e.id DESC LIMIT $5
            """;
    }
}
