using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Memory.Graph;

/// <summary>Who and what is talked about. Every method joins the caller's transaction.</summary>
public sealed class EntityStore(ITextEmbedder embedder, TimeProvider clock)
{
    internal static async Task<Page<GraphEntity>> ListAsync(Transaction tx, string? type, string? name, Guid? contactId, PageRequest page, CancellationToken ct) =>
        Page<GraphEntity>.Cut(await tx.QueryAsync<GraphEntity>(Sql.List, [type, name is null ? null : GraphEntity.Canonical(name), contactId, page.Before, page.Fetch], ct), page, e => e.Id);

    internal static Task<GraphEntity?> FindAsync(Transaction tx, Guid id, CancellationToken ct) => tx.FindAsync<GraphEntity>(Sql.Find, [id], ct);

    internal static Task<GraphEntity?> OfContactAsync(Transaction tx, Guid contactId, CancellationToken ct) => tx.FindAsync<GraphEntity>(Sql.OfContact, [contactId], ct);

    /// <summary>The one that is known by that canonical name and type, or is that contact, with what is new of it; else a new one.</summary>
    internal Task<GraphEntity> UpsertAsync(Transaction tx, EntityInput input, CancellationToken ct)
    {
        var name = input.Name!.Trim();
        var canonical = GraphEntity.Canonical(string.IsNullOrWhiteSpace(input.CanonicalName) ? name : input.CanonicalName);
        var (attributes, embedding) = (Json.Param(input.Attributes ?? Json.Of(new { })), embedder.Embed(name, Dimensions.Chunks));
        return input.ContactId is { } contact
            ? tx.SingleAsync<GraphEntity>(Sql.UpsertContact, [clock.NewId(), contact, name, canonical, attributes, embedding, embedder.Model], ct)
            : tx.SingleAsync<GraphEntity>(Sql.Upsert, [clock.NewId(), input.AgentId, name, input.EntityType, canonical, attributes, embedding, embedder.Model], ct);
    }

    /// <summary>With its relationships on both sides.</summary>
    internal static async Task<bool> DeleteAsync(Transaction tx, Guid id, CancellationToken ct) => await tx.ExecuteAsync(Sql.Delete, [id], ct) == 1;

    internal static Task<int> ForgetAsync(Transaction tx, Guid contactId, CancellationToken ct) => tx.ExecuteAsync(Sql.Forget, [contactId], ct);

    /// <summary>Two contacts are one: so are their entities, and the relationships of both are the survivor's.</summary>
    internal static void Merge(Transaction tx, Guid from, Guid into)
    {
        tx.Post(Sql.TakeOver, from, into);
        tx.Post(Sql.MoveRelationships, from, into);
        tx.Post(Sql.Forget, from);
    }

    private static class Sql
    {
        internal const string List =
            """
            SELECT id, agent_id, customer_profile_id, name, entity_type, canonical_name, attributes, created_at, updated_at
            FROM memory.entities
            WHERE tenant_id = kernel.current_tenant_id() AND ($1::text IS NULL OR entity_type = $1) AND ($2::text IS NULL OR canonical_name = $2)
              AND ($3::uuid IS NULL OR customer_profile_id = $3) AND ($4::uuid IS NULL OR id < $4)
            ORDER BY id DESC LIMIT $5
            """;

        internal const string Find =
            """
            SELECT id, agent_id, customer_profile_id, name, entity_type, canonical_name, attributes, created_at, updated_at
            FROM memory.entities WHERE tenant_id = kernel.current_tenant_id() AND id = $1
            """;

        internal const string OfContact =
            """
            SELECT id, agent_id, customer_profile_id, name, entity_type, canonical_name, attributes, created_at, updated_at
            FROM memory.entities WHERE tenant_id = kernel.current_tenant_id() AND customer_profile_id = $1
            """;

        internal const string Upsert =
            """
            INSERT INTO memory.entities AS e (tenant_id, id, agent_id, name, entity_type, canonical_name, attributes, embedding, embedding_model)
            VALUES (kernel.current_tenant_id(), $1, $2, $3, $4, $5, $6, $7::real[]::vector, $8)
            ON CONFLICT (tenant_id, entity_type, canonical_name, agent_id) WHERE customer_profile_id IS NULL DO UPDATE
            SET name = excluded.name, attributes = e.attributes || excluded.attributes, embedding = excluded.embedding, embedding_model = excluded.embedding_model
            RETURNING id, agent_id, customer_profile_id, name, entity_type, canonical_name, attributes, created_at, updated_at
            """;

        internal const string UpsertContact =
            """
            INSERT INTO memory.entities AS e (tenant_id, id, customer_profile_id, name, entity_type, canonical_name, attributes, embedding, embedding_model)
            VALUES (kernel.current_tenant_id(), $1, $2, $3, 'PERSON', $4, $5, $6::real[]::vector, $7)
            ON CONFLICT (tenant_id, customer_profile_id) WHERE customer_profile_id IS NOT NULL DO UPDATE
            SET name = excluded.name, canonical_name = excluded.canonical_name, attributes = e.attributes || excluded.attributes, embedding = excluded.embedding,
                embedding_model = excluded.embedding_model
            RETURNING id, agent_id, customer_profile_id, name, entity_type, canonical_name, attributes, created_at, updated_at
            """;

        internal const string Delete = "DELETE FROM memory.entities WHERE tenant_id = kernel.current_tenant_id() AND id = $1";

        internal const string Forget = "DELETE FROM memory.entities WHERE tenant_id = kernel.current_tenant_id() AND customer_profile_id = $1";

        internal const string TakeOver =
            """
            UPDATE memory.entities SET customer_profile_id = $2
            WHERE tenant_id = kernel.current_tenant_id() AND customer_profile_id = $1
              AND NOT EXISTS (SELECT FROM memory.entities o WHERE o.tenant_id = kernel.current_tenant_id() AND o.customer_profile_id = $2)
            """;

        // What the survivor has already, or would be to itself, goes with the other entity.
        internal const string MoveRelationships =
            """
            WITH ends AS (
                SELECT l.id AS old, s.id AS new FROM memory.entities l JOIN memory.entities s ON s.tenant_id = l.tenant_id
                WHERE l.tenant_id = kernel.current_tenant_id() AND l.customer_profile_id = $1 AND s.customer_profile_id = $2
            ), moved AS (
                SELECT r.id, CASE WHEN r.source_entity_id = e.old THEN e.new ELSE r.source_entity_id END AS source,
                       CASE WHEN r.target_entity_id = e.old THEN e.new ELSE r.target_entity_id END AS target
                FROM memory.relationships r JOIN ends e ON e.old IN (r.source_entity_id, r.target_entity_id) WHERE r.tenant_id = kernel.current_tenant_id()
            )
            UPDATE memory.relationships r SET source_entity_id = m.source, target_entity_id = m.target
            FROM moved m
            WHERE r.tenant_id = kernel.current_tenant_id() AND r.id = m.id AND m.source <> m.target
              AND NOT EXISTS (
                  SELECT FROM memory.relationships o
                  WHERE o.tenant_id = r.tenant_id AND o.source_entity_id = m.source AND o.target_entity_id = m.target AND o.relationship_type = r.relationship_type
                    AND (o.valid_from = r.valid_from OR (o.valid_to IS NULL AND r.valid_to IS NULL)))
            """;
    }
}
