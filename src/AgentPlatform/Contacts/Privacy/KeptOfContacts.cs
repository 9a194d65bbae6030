using AgentPlatform.Postgres;

namespace AgentPlatform.Contacts.Privacy;

/// <summary>
/// The profile itself, what is known of it, and its addresses and consents. The profile's row was emptied when the erasure was accepted; what had begun
/// before that may have filled it again.
/// </summary>
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
        new("contacts.customer_profiles", Sql.Profiles, Sql.EmptyProfiles),
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

        // A number that goes leaves a line in the history, which goes with the next look.
        internal const string EmptyProfiles =
            """
            UPDATE contacts.customer_profiles
            SET external_id = NULL, phone_number = NULL, email = NULL, display_name = NULL, first_name = NULL, last_name = NULL, company = NULL, title = NULL,
                linkedin_url = NULL, verified = false, innovator = false, expert_connector = false, expertise = '{}', poc_agent_id = NULL, poc_instance_id = NULL,
                poc_agent_type = 'bouncer', quiet_hours_start = NULL, quiet_hours_end = NULL, timezone = NULL, response_pattern = '{}', status_level = 'erased',
                phone_number_history = '[]', last_active_at = NULL
            WHERE id IN (
                SELECT t.id FROM contacts.customer_profiles AS t
                WHERE t.id = ANY ($1) AND t.erased_at IS NOT NULL
                  AND (num_nonnulls(t.external_id, t.phone_number, t.email, t.display_name, t.first_name, t.last_name, t.company, t.title, t.linkedin_url, t.poc_agent_id,
                                    t.poc_instance_id, t.quiet_hours_start, t.quiet_hours_end, t.timezone, t.last_active_at) > 0
                       OR t.verified OR t.innovator OR t.expert_connector OR t.expertise <> '{}' OR t.poc_agent_type <> 'bouncer' OR t.response_pattern <> '{}'
                       OR t.status_level <> 'erased' OR t.phone_number_history <> '[]')
                LIMIT $2)
            RETURNING id
            """;
    }
}
