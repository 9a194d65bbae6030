using AgentPlatform.Contacts;
using AgentPlatform.Postgres;

namespace AgentPlatform.Channels;

/// <summary>When a contact turns out to be another one, its messages become the other one's.</summary>
internal sealed class MergedContacts : IContactMergeParticipant
{
    public Task MoveAsync(Transaction tx, Guid from, Guid into, CancellationToken ct)
    {
        tx.Post(Sql.Inbound, tx.TenantId, from, into);
        tx.Post(Sql.Outbound, tx.TenantId, from, into);
        return Task.CompletedTask;
    }

    private static class Sql
    {
        internal const string Inbound = "UPDATE channels.inbound_messages SET contact_id = $3 WHERE tenant_id = $1 AND contact_id = $2";

        internal const string Outbound = "UPDATE channels.outbound_messages SET contact_id = $3 WHERE tenant_id = $1 AND contact_id = $2";
    }
}

/// <summary>Messages as they came in and left, their attachments, and the log of their deliveries. Receipts go with the message that they report.</summary>
internal sealed class KeptOfContacts : IKeepsPersonalData
{
    public IReadOnlyList<Kept> Kept { get; } =
    [
        new("channels.webhook_logs", Sql.Logs, Sql.EraseLogs),
        new("channels.inbound_attachments", Sql.Attachments, Sql.EraseAttachments, Page: 1),
        new("channels.delivery_receipts", Sql.Receipts),
        new("channels.outbound_messages", Sql.Outbound, Sql.EraseOutbound),
        new("channels.inbound_messages", Sql.Inbound, Sql.EraseInbound),
    ];

    private static class Sql
    {
        internal const string Logs =
            """
            SELECT to_jsonb(t)::text FROM channels.webhook_logs AS t
            WHERE t.id IN (
                SELECT l.id FROM channels.inbound_messages AS m JOIN channels.webhook_logs AS l ON l.tenant_id = m.tenant_id AND l.inbound_message_id = m.id
                WHERE m.contact_id = ANY ($1) OR m.conversation_id = ANY (conversations.of_contacts($1))
                UNION ALL
                SELECT l.id FROM channels.outbound_messages AS m JOIN channels.webhook_logs AS l ON l.tenant_id = m.tenant_id AND l.outbound_message_id = m.id
                WHERE m.contact_id = ANY ($1) OR m.conversation_id = ANY (conversations.of_contacts($1)))
            ORDER BY t.id OFFSET $2 LIMIT $3
            """;

        internal const string EraseLogs =
            """
            DELETE FROM channels.webhook_logs
            WHERE id IN (
                SELECT l.id FROM channels.inbound_messages AS m JOIN channels.webhook_logs AS l ON l.tenant_id = m.tenant_id AND l.inbound_message_id = m.id
                WHERE m.contact_id = ANY ($1) OR m.conversation_id = ANY (conversations.of_contacts($1))
                UNION ALL
                SELECT l.id FROM channels.outbound_messages AS m JOIN channels.webhook_logs AS l ON l.tenant_id = m.tenant_id AND l.outbound_message_id = m.id
                WHERE m.contact_id = ANY ($1) OR m.conversation_id = ANY (conversations.of_contacts($1))
                LIMIT $2)
            RETURNING id
            """;

        internal const string Attachments =
            """
            SELECT (to_jsonb(t) - '{content}'::text[] || jsonb_build_object('content_base64', encode(t.content, 'base64')))::text FROM channels.inbound_attachments AS t
            WHERE t.inbound_message_id IN (SELECT m.id FROM channels.inbound_messages AS m WHERE m.contact_id = ANY ($1) OR m.conversation_id = ANY (conversations.of_contacts($1)))
            ORDER BY t.id OFFSET $2 LIMIT $3
            """;

        internal const string EraseAttachments =
            """
            DELETE FROM channels.inbound_attachments
            WHERE id IN (SELECT t.id FROM channels.inbound_attachments AS t WHERE t.inbound_message_id IN (SELECT m.id FROM channels.inbound_messages AS m WHERE m.contact_id = ANY ($1) OR m.conversation_id = ANY (conversations.of_contacts($1))) LIMIT $2)
            RETURNING id
            """;

        internal const string Receipts =
            """
            SELECT to_jsonb(t)::text FROM channels.delivery_receipts AS t
            WHERE t.outbound_message_id IN (SELECT m.id FROM channels.outbound_messages AS m WHERE m.contact_id = ANY ($1) OR m.conversation_id = ANY (conversations.of_contacts($1)))
            ORDER BY t.webhook_id, t.external_message_id OFFSET $2 LIMIT $3
            """;

        internal const string Outbound =
            """
            SELECT to_jsonb(t)::text FROM channels.outbound_messages AS t
            WHERE (t.contact_id = ANY ($1) OR t.conversation_id = ANY (conversations.of_contacts($1)))
            ORDER BY t.id OFFSET $2 LIMIT $3
            """;

        internal const string EraseOutbound =
            """
            DELETE FROM channels.outbound_messages
            WHERE id IN (SELECT t.id FROM channels.outbound_messages AS t WHERE (t.contact_id = ANY ($1) OR t.conversation_id = ANY (conversations.of_contacts($1))) LIMIT $2)
            RETURNING id
            """;

        internal const string Inbound =
            """
            SELECT to_jsonb(t)::text FROM channels.inbound_messages AS t
            WHERE (t.contact_id = ANY ($1) OR t.conversation_id = ANY (conversations.of_contacts($1)))
            ORDER BY t.id OFFSET $2 LIMIT $3
            """;

        internal const string EraseInbound =
            """
            DELETE FROM channels.inbound_messages
            WHERE id IN (SELECT t.id FROM channels.inbound_messages AS t WHERE (t.contact_id = ANY ($1) OR t.conversation_id = ANY (conversations.of_contacts($1))) LIMIT $2)
            RETURNING id
            """;
    }
}
