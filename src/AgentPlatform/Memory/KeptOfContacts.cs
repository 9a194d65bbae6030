using AgentPlatform.Postgres;

namespace AgentPlatform.Memory;

/// <summary>What is remembered of a contact goes, and with the person of the graph its relationships.</summary>
internal sealed class KeptOfContacts : IKeepsPersonalData
{
    public IReadOnlyList<Kept> Kept { get; } =
    [
        new("memory.episodes", Sql.Episodes, Sql.EraseEpisodes),
        new("memory.memory_chunks", Sql.Chunks, Sql.EraseChunks),
        new("memory.entities", Sql.Entities, Sql.EraseEntities),
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
            ORDER BY t.id OFFSET $2 LIMIT $3
            """;

        internal const string EraseEntities =
            "DELETE FROM memory.entities WHERE id IN (SELECT t.id FROM memory.entities AS t WHERE t.customer_profile_id = ANY ($1) LIMIT $2) RETURNING id";
    }
}
