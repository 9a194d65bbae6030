using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Memory.Chunks;

/// <summary>What is kept at hand. Every method joins the caller's transaction.</summary>
public sealed class ChunkStore(ITextEmbedder embedder, TimeProvider clock)
{
    internal static async Task<Page<MemoryChunk>> ListAsync(Transaction tx, string? type, Guid? agentId, Guid? contactId, PageRequest page, CancellationToken ct) =>
        Page<MemoryChunk>.Cut(await tx.QueryAsync<MemoryChunk>(Sql.List, [type, agentId, contactId, page.Before, page.Fetch], ct), page, c => c.Id);

    internal static Task<MemoryChunk?> FindAsync(Transaction tx, Guid id, CancellationToken ct) => tx.FindAsync<MemoryChunk>(Sql.Find, [id], ct);

    /// <summary>The chunk as it is then; under a source that is known, what it says is new and it weighs as much as a new one.</summary>
    internal Task<MemoryChunk> PutAsync(Transaction tx, NewChunk chunk, CancellationToken ct) => tx.SingleAsync<MemoryChunk>(Sql.Put, Values(chunk), ct);

    internal void Put(Transaction tx, NewChunk chunk) => tx.PostCall(Sql.Put, Values(chunk));

    /// <summary>They have been retrieved: each counts that, and is fresh again.</summary>
    internal void Touch(Transaction tx, IReadOnlyCollection<Guid> ids)
    {
        if (ids.Count > 0)
        {
            tx.Post(Sql.Touch, ids.Order().ToArray(), clock.GetUtcNow());
        }
    }

    internal static async Task<bool> DeleteAsync(Transaction tx, Guid id, CancellationToken ct) => await tx.ExecuteAsync(Sql.Delete, [id], ct) == 1;

    /// <summary>Everything about a contact.</summary>
    internal static Task<int> ForgetAsync(Transaction tx, Guid contactId, CancellationToken ct) => tx.ExecuteAsync(Sql.Forget, [contactId], ct);

    internal static void Move(Transaction tx, Guid from, Guid into) => tx.Post(Sql.Move, from, into);

    private object?[] Values(NewChunk chunk) =>
    [
        clock.NewId(), chunk.AgentId, chunk.ContactId, chunk.ConversationId, chunk.Content, chunk.Embedding ?? embedder.Embed(chunk.Content, Dimensions.Chunks),
        chunk.EmbeddingModel ?? embedder.Model, chunk.MemoryType, chunk.Source, Json.Param(chunk.Metadata ?? Json.Of(new { })), clock.GetUtcNow(),
    ];

    private static class Sql
    {
        internal const string List =
            """
            SELECT id, agent_id, contact_id, conversation_id, content, memory_type, source, embedding_model, metadata, decay_weight, access_count, last_accessed, created_at
            FROM memory.memory_chunks
            WHERE tenant_id = kernel.current_tenant_id() AND ($1::text IS NULL OR memory_type = $1) AND ($2::uuid IS NULL OR agent_id = $2)
              AND ($3::uuid IS NULL OR contact_id = $3) AND ($4::uuid IS NULL OR id < $4)
            ORDER BY id DESC LIMIT $5
            """;

        internal const string Find =
            """
            SELECT id, agent_id, contact_id, conversation_id, content, memory_type, source, embedding_model, metadata, decay_weight, access_count, last_accessed, created_at
            FROM memory.memory_chunks WHERE tenant_id = kernel.current_tenant_id() AND id = $1
            """;

        internal const string Put =
            """
            INSERT INTO memory.memory_chunks AS c (
                tenant_id, id, agent_id, contact_id, conversation_id, content, embedding, embedding_model, memory_type, source, metadata, last_accessed, created_at)
            VALUES (kernel.current_tenant_id(), $1, $2, $3, $4, $5, $6::real[]::vector, $7, $8, $9, $10, $11, $11)
            ON CONFLICT (tenant_id, source) WHERE source IS NOT NULL DO UPDATE
            SET agent_id = excluded.agent_id, contact_id = excluded.contact_id, conversation_id = excluded.conversation_id, content = excluded.content,
                embedding = excluded.embedding, embedding_model = excluded.embedding_model, memory_type = excluded.memory_type, metadata = excluded.metadata,
                decay_weight = 1, last_accessed = excluded.last_accessed, created_at = excluded.created_at
            RETURNING id, agent_id, contact_id, conversation_id, content, memory_type, source, embedding_model, metadata, decay_weight, access_count, last_accessed, created_at
            """;

        // In one order for all: two retrievals of the same chunks do not wait for each other in a circle.
        internal const string Touch =
            """
            WITH found AS (
                SELECT id FROM memory.memory_chunks WHERE tenant_id = kernel.current_tenant_id() AND id = ANY ($1) ORDER BY id FOR NO KEY UPDATE
            )
            UPDATE memory.memory_chunks AS c SET access_count = access_count + 1, last_accessed = greatest(last_accessed, $2), decay_weight = 1
            FROM found AS f WHERE c.tenant_id = kernel.current_tenant_id() AND c.id = f.id
            """;

        internal const string Delete = "DELETE FROM memory.memory_chunks WHERE tenant_id = kernel.current_tenant_id() AND id = $1";

        internal const string Forget = "DELETE FROM memory.memory_chunks WHERE tenant_id = kernel.current_tenant_id() AND contact_id = $1";

        internal const string Move = "UPDATE memory.memory_chunks SET contact_id = $2 WHERE tenant_id = kernel.current_tenant_id() AND contact_id = $1";
    }
}
