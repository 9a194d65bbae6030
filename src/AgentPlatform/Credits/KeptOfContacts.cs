using AgentPlatform.Postgres;

namespace AgentPlatform.Credits;

/// <summary>A contact's credits. The ledger stays; its descriptions, in which anything may be written, go.</summary>
internal sealed class KeptOfContacts : IKeepsPersonalData
{
    public IReadOnlyList<Kept> Kept { get; } =
    [
        new("credits.credit_events", Sql.Events, Sql.EraseEvents),
    ];

    private static class Sql
    {
        internal const string Events =
            """
            SELECT to_jsonb(t)::text FROM credits.credit_events AS t
            WHERE t.contact_id = ANY ($1)
            ORDER BY t.id OFFSET $2 LIMIT $3
            """;

        internal const string EraseEvents =
            """
            UPDATE credits.credit_events SET description = NULL
            WHERE id IN (SELECT t.id FROM credits.credit_events AS t WHERE t.contact_id = ANY ($1) AND t.description IS NOT NULL LIMIT $2)
            RETURNING id
            """;
    }
}
