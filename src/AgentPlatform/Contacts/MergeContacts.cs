using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Contacts;

/// <summary>Two profiles turn out to be one person: what belongs to the first moves to the second, and every later look-up finds the second.</summary>
internal sealed class MergeContacts(
    Database database, ContactDirectory contacts, EventStore events, TimeProvider clock, IEnumerable<IContactMergeParticipant> participants)
{
    internal async Task<Result<Contact>> HandleAsync(Actor actor, Guid from, Guid into, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        var result = await MergeAsync(tx, from, into, ct);
        if (result.IsOk)
        {
            await tx.CommitAsync(ct);
        }

        return result;
    }

    /// <summary>The end of a chain of merges among the profiles that were read; cycles cannot be, for this refuses to make one.</summary>
    internal static Problem? Decide(Guid from, Link? source, Link? target) => (source, target) switch
    {
        (null, _) or (_, null) => Problem.NotFound("contact"),
        ({ MergedIntoId: not null }, _) => Problem.Conflict("already_merged", "The contact was merged into another one before."),
        _ when target.Id == from => Problem.Conflict("merge_cycle", "A contact cannot be merged into itself or into one that was merged into it."),
        _ => null,
    };

    private async Task<Result<Contact>> MergeAsync(Transaction tx, Guid from, Guid into, CancellationToken ct)
    {
        // Merges of a tenant take turns: A into B and B into A at once would each see the other still living.
        await tx.SingleAsync<bool>(Sql.TakeTurn, [], ct);
        var source = await tx.FindAsync<Link>(Sql.Find, [from], ct);
        var target = await tx.FindAsync<Link>(Sql.FindEnd, [into], ct);
        if (Decide(from, source, target) is { } problem)
        {
            return problem;
        }

        var survivor = target!.Id;
        foreach (var participant in participants)
        {
            if (await participant.RefuseAsync(tx, from, survivor, ct) is { } refusal)
            {
                return refusal;
            }
        }

        Move(tx, from, survivor);
        if (target.ExternalId is null && source!.ExternalId is { } externalId)
        {
            // The id is unique: the retired profile lets go of it first.
            tx.Post(Sql.SetExternalId, from, null);
            tx.Post(Sql.SetExternalId, survivor, externalId);
        }

        await MoveAllAsync(tx, from, survivor, ct);
        events.Append(tx, new NewEvent("contact.merged", "contact", survivor, new { contact_id = survivor, merged_contact_id = from }));
        return (await contacts.FindAsync(tx, survivor, ct))!;
    }

    /// <summary>What others keep, as the platform: the member who merges may not see all of it, and what stayed behind would be nobody's.</summary>
    private async Task MoveAllAsync(Transaction tx, Guid from, Guid into, CancellationToken ct)
    {
        var actor = tx.Actor!;
        tx.Enter(Actor.System(actor.TenantId) with { Origin = actor.Origin });
        foreach (var participant in participants)
        {
            await participant.MoveAsync(tx, from, into, ct);
        }

        tx.Enter(actor);
    }

    private void Move(Transaction tx, Guid from, Guid into)
    {
        var now = clock.GetUtcNow();
        tx.Post(Sql.MoveIdentities, from, into);
        tx.Post(Sql.CloseOutweighedFields, from, into, now, ProfileFields.Columns.Keys.ToArray());
        tx.Post(Sql.MoveFields, from, into);
        tx.Post(Sql.MoveAssets, from, into);
        tx.Post(Sql.MoveProofs, from, into);
        tx.Post(Sql.KeepOptOuts, from, into);
        tx.Post(Sql.DropDoublePriorities, from, into);
        tx.Post(Sql.MovePriorities, from, into);
        tx.Post(Sql.Retire, from, into);
        tx.Post(Sql.Inherit, from, into);
    }

    internal sealed record Link(Guid Id, Guid? MergedIntoId, string? ExternalId);

    internal static class Sql
    {
        internal const string TakeTurn = "SELECT pg_advisory_xact_lock(hashtextextended('contacts.merge:' || kernel.current_tenant_id()::text, 0)) IS NOT NULL";

        internal const string Find = "SELECT id, merged_into_id, external_id FROM contacts.customer_profiles WHERE id = $1 AND erased_at IS NULL FOR UPDATE";

        internal const string FindEnd =
            """
            WITH RECURSIVE chain AS (
                SELECT id, merged_into_id FROM contacts.customer_profiles WHERE id = $1
                UNION ALL
                SELECT p.id, p.merged_into_id FROM contacts.customer_profiles p JOIN chain c ON p.id = c.merged_into_id
            )
            SELECT p.id, p.merged_into_id, p.external_id
            FROM contacts.customer_profiles p JOIN chain c ON c.id = p.id WHERE c.merged_into_id IS NULL AND p.erased_at IS NULL FOR UPDATE OF p
            """;

        internal const string MoveIdentities = "UPDATE contacts.channel_identities SET profile_id = $2 WHERE profile_id = $1";

        // Where both know a field, the survivor's value stays current and the other one becomes history; nothing outweighs nothing. A column may have a value
        // that no field tells of: what a first message brought.
        internal const string CloseOutweighedFields =
            """
            UPDATE contacts.profile_fields f SET valid_to = greatest(f.valid_from, $3)
            FROM (
                SELECT m.id, k.id IS NOT NULL AS is_known,
                       coalesce(k.field_value, CASE WHEN m.field_name = ANY ($4) THEN to_jsonb(o) ->> m.field_name END) AS value
                FROM contacts.profile_fields m
                JOIN contacts.customer_profiles o ON o.tenant_id = m.tenant_id AND o.id = CASE m.profile_id WHEN $1 THEN $2 ELSE $1 END
                LEFT JOIN contacts.profile_fields k ON k.tenant_id = o.tenant_id AND k.profile_id = o.id AND k.field_name = m.field_name AND k.valid_to IS NULL
                WHERE m.profile_id IN ($1, $2) AND m.valid_to IS NULL
            ) other
            WHERE f.id = other.id AND f.valid_to IS NULL
              AND CASE f.profile_id WHEN $1 THEN other.value IS NOT NULL OR (other.is_known AND f.field_value IS NULL)
                                    ELSE other.value IS NOT NULL AND f.field_value IS NULL END
            """;

        internal const string MoveFields = "UPDATE contacts.profile_fields SET profile_id = $2 WHERE profile_id = $1";

        internal const string MoveAssets = "UPDATE contacts.profile_assets SET profile_id = $2 WHERE profile_id = $1";

        internal const string MoveProofs = "UPDATE contacts.email_verification_tokens SET contact_id = $2 WHERE contact_id = $1";

        // Whoever said stop on either profile is left alone on both.
        internal const string KeepOptOuts =
            """
            INSERT INTO contacts.channel_consents (tenant_id, profile_id, channel, opted_out, source)
            SELECT l.tenant_id, $2, l.channel, true, 'merge'
            FROM (SELECT DISTINCT ON (channel) tenant_id, channel, opted_out FROM contacts.channel_consents WHERE profile_id = $1 ORDER BY channel, id DESC) l
            WHERE l.opted_out
              AND NOT coalesce((SELECT k.opted_out FROM contacts.channel_consents k
                                WHERE k.profile_id = $2 AND k.channel = l.channel ORDER BY k.id DESC LIMIT 1), false)
            """;

        internal const string DropDoublePriorities =
            """
            DELETE FROM contacts.user_priorities p USING contacts.user_priorities k
            WHERE p.contact_id = $1 AND k.contact_id = $2 AND k.tenant_id = p.tenant_id AND k.item_type = p.item_type AND k.item_id = p.item_id
            """;

        internal const string MovePriorities = "UPDATE contacts.user_priorities SET contact_id = $2 WHERE contact_id = $1";

        internal const string Retire =
            """
            UPDATE contacts.customer_profiles SET merged_into_id = $2, changed_at = clock_timestamp()
            WHERE id = $1
            """;

        internal const string Inherit =
            """
            UPDATE contacts.customer_profiles s
            SET phone_number = coalesce(s.phone_number, l.phone_number),
                email = coalesce(s.email, l.email),
                display_name = coalesce(s.display_name, l.display_name),
                first_name = coalesce(s.first_name, l.first_name),
                last_name = coalesce(s.last_name, l.last_name),
                company = coalesce(s.company, l.company),
                title = coalesce(s.title, l.title),
                linkedin_url = coalesce(s.linkedin_url, l.linkedin_url),
                timezone = coalesce(s.timezone, l.timezone),
                quiet_hours_start = coalesce(s.quiet_hours_start, l.quiet_hours_start),
                quiet_hours_end = CASE WHEN s.quiet_hours_start IS NULL THEN l.quiet_hours_end ELSE s.quiet_hours_end END,
                poc_agent_id = coalesce(s.poc_agent_id, l.poc_agent_id),
                poc_instance_id = coalesce(s.poc_instance_id, l.poc_instance_id),
                poc_agent_type = CASE WHEN l.verified AND NOT s.verified THEN l.poc_agent_type ELSE s.poc_agent_type END,
                verified = s.verified OR l.verified,
                innovator = s.innovator OR l.innovator,
                expert_connector = s.expert_connector OR l.expert_connector,
                expertise = ARRAY(SELECT DISTINCT e FROM unnest(s.expertise || l.expertise) AS e ORDER BY e),
                last_active_at = greatest(s.last_active_at, l.last_active_at),
                changed_at = clock_timestamp()
            FROM contacts.customer_profiles l
            WHERE s.id = $2 AND l.id = $1 AND l.tenant_id = s.tenant_id
            """;

        internal const string SetExternalId = "UPDATE contacts.customer_profiles SET external_id = $2 WHERE id = $1 AND erased_at IS NULL";
    }
}
