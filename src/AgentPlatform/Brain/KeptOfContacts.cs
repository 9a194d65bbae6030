using AgentPlatform.Postgres;

namespace AgentPlatform.Brain;

/// <summary>What a contact meant, and what shadows would have made of it.</summary>
internal sealed class KeptOfContacts : IKeepsPersonalData
{
    public IReadOnlyList<Kept> Kept { get; } =
    [
        new("brain.shadow_turns", Sql.ShadowTurns, Sql.EraseShadowTurns),
        new("brain.intent_ledger", Sql.Intents, Sql.EraseIntents),
    ];

    private static class Sql
    {
        internal const string ShadowTurns =
            """
            SELECT to_jsonb(t)::text FROM brain.shadow_turns AS t
            WHERE t.conversation_id = ANY (conversations.of_contacts($1))
            ORDER BY t.id OFFSET $2 LIMIT $3
            """;

        internal const string EraseShadowTurns =
            """
            DELETE FROM brain.shadow_turns
            WHERE id IN (SELECT t.id FROM brain.shadow_turns AS t WHERE t.conversation_id = ANY (conversations.of_contacts($1)) LIMIT $2)
            RETURNING id
            """;

        internal const string Intents =
            """
            SELECT to_jsonb(t)::text FROM brain.intent_ledger AS t
            WHERE t.contact_id = ANY ($1)
            ORDER BY t.id OFFSET $2 LIMIT $3
            """;

        internal const string EraseIntents =
            """
            DELETE FROM brain.intent_ledger
            WHERE id IN (SELECT t.id FROM brain.intent_ledger AS t WHERE t.contact_id = ANY ($1) LIMIT $2)
            RETURNING id
            """;
    }
}
