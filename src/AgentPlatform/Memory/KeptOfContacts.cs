using AgentPlatform.Postgres;

namespace AgentPlatform.Memory;

/// <summary>
/// What is remembered of a contact goes, and with the person of the graph its relationships, and what is known by those alone: the company that nobody else is
/// said to work at.
/// </summary>
internal sealed class KeptOfContacts : IKeepsPersonalData
{
    public IReadOnlyList<Kept> Kept { get; } =
    [
        new("memory.episodes", Sql.Episodes, Sql.EraseEpisodes),
        new("memory.memory_chunks", Sql.Chunks, Sql.EraseChunks),
        new("memory.relationships", Sql.Relationships),
        new("memory.entities", Sql.Entities, Sql.EraseEntities),
        new("memory.forgettings", Sql.Forgettings, Sql.EraseForgettings),
    ];

    private static class Sql
    {
        internal const string Episodes =
            """
            SELECT (to_jsonb(t) - 'embedding')::text FROM memory.episodes AS t
            WHERE t.customer_profile_id = ANY ($1)
            ORDER BY t.id OFFSET $2 LIMIT $3
            """;

        internal const string EraseEpisodes =
            "DELETE FROM memory.episodes WHERE id IN (SELECT t.id FROM memory.episodes AS t WHERE t.customer_profile_id = ANY ($1) LIMIT $2) RETURNING id";

        internal const string Chunks =
            """
            SELECT (to_jsonb(t) - 'embedding')::text FROM memory.memory_chunks AS t
            WHERE t.contact_id = ANY ($1)
            ORDER BY t.id OFFSET $2 LIMIT $3
            """;

        internal const string EraseChunks =
            "DELETE FROM memory.memory_chunks WHERE id IN (SELECT t.id FROM memory.memory_chunks AS t WHERE t.contact_id = ANY ($1) LIMIT $2) RETURNING id";

        internal const string Entities =
            """
            SELECT (to_jsonb(t) - 'embedding')::text FROM memory.entities AS t
            WHERE t.customer_profile_id = ANY ($1)
               OR t.id IN (SELECT r.target_entity_id FROM memory.entities AS p JOIN memory.relationships AS r ON r.tenant_id = p.tenant_id AND r.source_entity_id = p.id
                           JOIN memory.entities AS e ON e.tenant_id = r.tenant_id AND e.id = r.target_entity_id AND e.customer_profile_id IS NULL
                           WHERE p.customer_profile_id = ANY ($1))
            ORDER BY t.id OFFSET $2 LIMIT $3
            """;

        internal const string Relationships =
            """
            SELECT to_jsonb(r)::text FROM memory.entities AS p JOIN memory.relationships AS r ON r.tenant_id = p.tenant_id AND p.id IN (r.source_entity_id, r.target_entity_id)
            WHERE p.customer_profile_id = ANY ($1)
            ORDER BY r.id OFFSET $2 LIMIT $3
            """;

        internal const string Forgettings =
            """
            SELECT to_jsonb(t)::text FROM memory.forgettings AS t
            WHERE t.contact_id = ANY ($1)
            ORDER BY t.contact_id OFFSET $2 LIMIT $3
            """;

        internal const string EraseForgettings =
            """
            DELETE FROM memory.forgettings WHERE contact_id IN (SELECT t.contact_id FROM memory.forgettings AS t WHERE t.contact_id = ANY ($1) LIMIT $2) RETURNING contact_id
            """;

        internal const string EraseEntities =
            """
            DELETE FROM memory.entities WHERE id IN (
                SELECT p.id FROM memory.entities AS p WHERE p.customer_profile_id = ANY ($1)
                UNION
                SELECT e.id FROM memory.entities AS p
                JOIN memory.relationships AS r ON r.tenant_id = p.tenant_id AND r.source_entity_id = p.id AND r.relationship_type = 'WORKS_AT'
                JOIN memory.entities AS e ON e.tenant_id = r.tenant_id AND e.id = r.target_entity_id AND e.entity_type = 'COMPANY'
                WHERE p.customer_profile_id = ANY ($1)
                  AND NOT EXISTS (SELECT FROM memory.relationships AS o WHERE o.tenant_id = e.tenant_id AND o.source_entity_id = e.id)
                  AND NOT EXISTS (SELECT FROM memory.relationships AS o JOIN memory.entities AS x ON x.tenant_id = o.tenant_id AND x.id = o.source_entity_id
                                  WHERE o.tenant_id = e.tenant_id AND o.target_entity_id = e.id AND (x.customer_profile_id = ANY ($1)) IS NOT TRUE)
                LIMIT $2)
            RETURNING id
            """;
    }
}
