using AgentPlatform.Postgres;

namespace AgentPlatform.Audit;

/// <summary>
/// What operators changed of a contact. That they did, when and from where stays; the values before and after go, also of rows that were deleted long ago.
/// </summary>
internal sealed class KeptOfContacts : IKeepsPersonalData, IKeepsTraces
{
    public IReadOnlyList<Kept> Kept { get; } = [new("audit.audit_logs", Sql.Changes, Sql.Blank)];

    public void Forget(Transaction tx, Guid[] rows) => tx.Post(Sql.Forget, tx.TenantId, rows);

    private static class Sql
    {
        internal const string Changes =
            """
            SELECT to_jsonb(t)::text FROM audit.audit_logs AS t
            WHERE t.entity_id = ANY ($1::text[])
               OR coalesce(t.new_values ->> 'profile_id', t.old_values ->> 'profile_id', t.new_values ->> 'contact_id', t.old_values ->> 'contact_id') = ANY ($1::text[])
            ORDER BY t.id OFFSET $2 LIMIT $3
            """;

        // Which profile a row belonged to is told by the entries of its creation and its end: they are blanked after those of its changes.
        internal const string Blank =
            """
            UPDATE audit.audit_logs
            SET old_values = CASE WHEN old_values IS NOT NULL THEN '{}'::jsonb END, new_values = CASE WHEN new_values IS NOT NULL THEN '{}'::jsonb END
            WHERE id IN (
                SELECT c.id FROM audit.audit_logs AS c
                WHERE (coalesce(c.old_values, '{}') <> '{}' OR coalesce(c.new_values, '{}') <> '{}')
                  AND c.entity_id IN (
                      SELECT unnest($1::text[])
                      UNION
                      SELECT t.entity_id FROM audit.audit_logs AS t
                      WHERE coalesce(t.new_values ->> 'profile_id', t.old_values ->> 'profile_id', t.new_values ->> 'contact_id', t.old_values ->> 'contact_id') = ANY ($1::text[]))
                ORDER BY coalesce(c.new_values, c.old_values) ?| '{profile_id,contact_id}' LIMIT $2)
            RETURNING id
            """;

        internal const string Forget =
            """
            UPDATE audit.audit_logs
            SET old_values = CASE WHEN old_values IS NOT NULL THEN '{}'::jsonb END, new_values = CASE WHEN new_values IS NOT NULL THEN '{}'::jsonb END
            WHERE tenant_id = $1 AND entity_id = ANY ($2::text[])
            """;
    }
}
