using AgentPlatform.Postgres;

namespace AgentPlatform.Contacts.Privacy;

/// <summary>The profile itself, what is known of it, and its addresses and consents. The profile's row was emptied when the erasure was accepted.</summary>
internal sealed class KeptOfContacts : IKeepsPersonalData
{
    public IReadOnlyList<Kept> Kept { get; } =
    [
        new("contacts.profile_fields", Sql.Fields, Sql.EraseFields),
        new("contacts.profile_assets", Sql.Assets, Sql.EraseAssets),
        new("contacts.user_priorities", Sql.Priorities, Sql.ErasePriorities),
        new("contacts.email_verification_tokens", Sql.Proofs, Sql.EraseProofs),
        new("contacts.channel_identities", Sql.Identities, Sql.EraseIdentities),
        new("contacts.channel_consents", Sql.Consents, Sql.EraseConsents),
        new("contacts.customer_profiles", Sql.Profiles),
    ];

    private static class Sql
    {
        internal const string Fields =
            """
            SELECT to_jsonb(t)::text FROM contacts.profile_fields AS t
            WHERE t.profile_id = ANY ($1)
            ORDER BY t.id OFFSET $2 LIMIT $3
            """;

        internal const string EraseFields =
            """
            DELETE FROM contacts.profile_fields
            WHERE id IN (SELECT t.id FROM contacts.profile_fields AS t WHERE t.profile_id = ANY ($1) LIMIT $2)
            RETURNING id
            """;

        internal const string Assets =
            """
            SELECT to_jsonb(t)::text FROM contacts.profile_assets AS t
            WHERE t.profile_id = ANY ($1)
            ORDER BY t.id OFFSET $2 LIMIT $3
            """;

        internal const string EraseAssets =
            """
            DELETE FROM contacts.profile_assets
            WHERE id IN (SELECT t.id FROM contacts.profile_assets AS t WHERE t.profile_id = ANY ($1) LIMIT $2)
            RETURNING id
            """;

        internal const string Priorities =
            """
            SELECT to_jsonb(t)::text FROM contacts.user_priorities AS t
            WHERE t.contact_id = ANY ($1)
            ORDER BY t.id OFFSET $2 LIMIT $3
            """;

        internal const string ErasePriorities =
            """
            DELETE FROM contacts.user_priorities
            WHERE id IN (SELECT t.id FROM contacts.user_priorities AS t WHERE t.contact_id = ANY ($1) LIMIT $2)
            RETURNING id
            """;

        internal const string Proofs =
            """
            SELECT (to_jsonb(t) - '{token_hash,code_hash}'::text[])::text FROM contacts.email_verification_tokens AS t
            WHERE t.contact_id = ANY ($1)
            ORDER BY t.id OFFSET $2 LIMIT $3
            """;

        internal const string EraseProofs =
            """
            DELETE FROM contacts.email_verification_tokens
            WHERE id IN (SELECT t.id FROM contacts.email_verification_tokens AS t WHERE t.contact_id = ANY ($1) LIMIT $2)
            RETURNING id
            """;

        internal const string Identities =
            """
            SELECT to_jsonb(t)::text FROM contacts.channel_identities AS t
            WHERE t.profile_id = ANY ($1)
            ORDER BY t.id OFFSET $2 LIMIT $3
            """;

        internal const string EraseIdentities =
            """
            DELETE FROM contacts.channel_identities
            WHERE id IN (SELECT t.id FROM contacts.channel_identities AS t WHERE t.profile_id = ANY ($1) LIMIT $2)
            RETURNING id
            """;

        internal const string Consents =
            """
            SELECT to_jsonb(t)::text FROM contacts.channel_consents AS t
            WHERE t.profile_id = ANY ($1)
            ORDER BY t.id OFFSET $2 LIMIT $3
            """;

        internal const string EraseConsents =
            """
            DELETE FROM contacts.channel_consents
            WHERE id IN (SELECT t.id FROM contacts.channel_consents AS t WHERE t.profile_id = ANY ($1) LIMIT $2)
            RETURNING profile_id
            """;

        internal const string Profiles =
            """
            SELECT to_jsonb(t)::text FROM contacts.customer_profiles AS t
            WHERE t.id = ANY ($1)
            ORDER BY t.id OFFSET $2 LIMIT $3
            """;
    }
}
