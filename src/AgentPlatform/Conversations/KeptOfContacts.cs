using AgentPlatform.Postgres;

namespace AgentPlatform.Conversations;

/// <summary>What was said with a contact, and how it was decided. The conversations go last: the other rows are found by them.</summary>
internal sealed class KeptOfContacts : IKeepsPersonalData
{
    public IReadOnlyList<Kept> Kept { get; } =
    [
        new("conversations.audit_events", Sql.Audit, Sql.EraseAudit),
        new("conversations.turn_records", Sql.Turns, Sql.EraseTurns),
        new("conversations.messages", Sql.Messages, Sql.EraseMessages),
        new("conversations.sessions", Sql.Sessions, Sql.EraseSessions),
        new("conversations.conversations", Sql.Conversations, Sql.EraseConversations),
    ];

    private static class Sql
    {
        internal const string Audit =
            """
            SELECT to_jsonb(t)::text FROM conversations.audit_events AS t
            WHERE (t.turn_id IN (SELECT r.id FROM conversations.turn_records AS r WHERE r.conversation_id = ANY (conversations.of_contacts($1)))
                OR t.session_id IN (SELECT r.session_id FROM conversations.turn_records AS r WHERE r.conversation_id = ANY (conversations.of_contacts($1)))
                OR t.session_id IN (SELECT s.id FROM conversations.sessions AS s WHERE s.contact_id = ANY ($1)))
            ORDER BY t.id OFFSET $2 LIMIT $3
            """;

        internal const string EraseAudit =
            """
            DELETE FROM conversations.audit_events
            WHERE id IN (SELECT t.id FROM conversations.audit_events AS t WHERE (t.turn_id IN (SELECT r.id FROM conversations.turn_records AS r WHERE r.conversation_id = ANY (conversations.of_contacts($1)))
                OR t.session_id IN (SELECT r.session_id FROM conversations.turn_records AS r WHERE r.conversation_id = ANY (conversations.of_contacts($1)))
                OR t.session_id IN (SELECT s.id FROM conversations.sessions AS s WHERE s.contact_id = ANY ($1))) LIMIT $2)
            RETURNING id
            """;

        internal const string Turns =
            """
            SELECT to_jsonb(t)::text FROM conversations.turn_records AS t
            WHERE t.conversation_id = ANY (conversations.of_contacts($1))
            ORDER BY t.id OFFSET $2 LIMIT $3
            """;

        internal const string EraseTurns =
            """
            DELETE FROM conversations.turn_records
            WHERE id IN (SELECT t.id FROM conversations.turn_records AS t WHERE t.conversation_id = ANY (conversations.of_contacts($1)) LIMIT $2)
            RETURNING id
            """;

        internal const string Messages =
            """
            SELECT to_jsonb(t)::text FROM conversations.messages AS t
            WHERE (t.contact_id = ANY ($1) OR t.conversation_id = ANY (conversations.of_contacts($1)))
            ORDER BY t.id OFFSET $2 LIMIT $3
            """;

        internal const string EraseMessages =
            """
            DELETE FROM conversations.messages
            WHERE id IN (SELECT t.id FROM conversations.messages AS t WHERE (t.contact_id = ANY ($1) OR t.conversation_id = ANY (conversations.of_contacts($1))) LIMIT $2)
            RETURNING id
            """;

        internal const string Sessions =
            """
            SELECT to_jsonb(t)::text FROM conversations.sessions AS t
            WHERE (t.contact_id = ANY ($1) OR t.conversation_id = ANY (conversations.of_contacts($1)))
            ORDER BY t.id OFFSET $2 LIMIT $3
            """;

        internal const string EraseSessions =
            """
            DELETE FROM conversations.sessions
            WHERE id IN (SELECT t.id FROM conversations.sessions AS t WHERE (t.contact_id = ANY ($1) OR t.conversation_id = ANY (conversations.of_contacts($1))) LIMIT $2)
            RETURNING id
            """;

        internal const string Conversations =
            """
            SELECT to_jsonb(t)::text FROM conversations.conversations AS t
            WHERE t.contact_id = ANY ($1)
            ORDER BY t.id OFFSET $2 LIMIT $3
            """;

        internal const string EraseConversations =
            """
            DELETE FROM conversations.conversations
            WHERE id IN (SELECT t.id FROM conversations.conversations AS t WHERE t.contact_id = ANY ($1) LIMIT $2)
            RETURNING id
            """;
    }
}
