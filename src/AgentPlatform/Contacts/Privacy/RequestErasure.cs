using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Work;

namespace AgentPlatform.Contacts.Privacy;

/// <summary>
/// Accepts that a contact is erased. The profile is emptied and its addresses are let go of at once, so that nobody finds, changes or writes to the contact any
/// more, and whoever writes from such an address is somebody new; the rest follows as work. A request for what is being erased, or is, answers with that.
/// </summary>
internal sealed class RequestErasure(Database database, WorkQueue work, TimeProvider clock)
{
    internal async Task<Result<Erasure>> HandleAsync(Actor actor, Guid contactId, CancellationToken ct)
    {
        if (Decide(actor) is { } refused)
        {
            return refused;
        }

        await using var tx = database.BeginErasure(actor.TenantId);
        // Not while the contact is merged into another, nor twice at once.
        tx.PostCall(MergeContacts.Sql.TakeTurn);
        var person = await tx.QueryAsync<Guid>(Sql.Person, [contactId], ct);
        if (person.Count == 0)
        {
            return Problem.NotFound("contact");
        }

        var erasure = await tx.FindAsync<Erasure>(Sql.Find, [person[0]], ct) is { } known
            ? known.Status == "failed" ? await tx.SingleAsync<Erasure>(Sql.Resume, [known.Id], ct) : known
            : await AcceptAsync(tx, person, actor.UserId, ct);
        if (erasure.Status == "accepted")
        {
            await work.ReviveAsync(tx, EraseContact.Work(erasure.Id), ct);
        }

        await tx.CommitAsync(ct);
        return erasure;
    }

    internal async Task<Result<Erasure>> FindAsync(Actor actor, Guid contactId, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        return await tx.FindAsync<Erasure>(Sql.FindOfAny, [contactId], ct) is { } erasure ? erasure : Problem.NotFound("erasure");
    }

    internal async Task<Page<Erasure>> ListAsync(Actor actor, string? status, PageRequest page, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        return Page<Erasure>.Cut(await tx.QueryAsync<Erasure>(Sql.List, [status, page.Before, page.Fetch], ct), page, e => e.Id);
    }

    internal static Problem? Decide(Actor actor) =>
        actor.Role is "owner" or "admin" ? null : Problem.Forbidden("managers_only", "Only owners and admins export and erase contacts.");

    private async Task<Erasure> AcceptAsync(Transaction tx, IReadOnlyList<Guid> person, Guid requestedBy, CancellationToken ct)
    {
        var (all, now) = (person.ToArray(), clock.GetUtcNow());
        var optOuts = await tx.QueryAsync<string>(Sql.KeepOptOuts, [all], ct);
        tx.Post(Sql.LetGoOfAddresses, all);
        // First the number, whose trigger writes the history that is emptied after it.
        tx.Post(Sql.LetGoOfNumbers, all);
        tx.Post(Sql.Empty, all, now);
        return await tx.SingleAsync<Erasure>(Sql.Accept, [clock.NewId(), person[0], all, requestedBy, optOuts.ToArray(), now], ct);
    }

    private static class Sql
    {
        // The contact at the end of the chain of merges, and all that were merged into it.
        internal const string Person =
            """
            WITH RECURSIVE chain AS (
                SELECT id, merged_into_id FROM contacts.customer_profiles WHERE id = $1
                UNION ALL
                SELECT p.id, p.merged_into_id FROM contacts.customer_profiles p JOIN chain c ON p.id = c.merged_into_id
            ), person AS (
                SELECT id, 0 AS depth FROM chain WHERE merged_into_id IS NULL
                UNION ALL
                SELECT p.id, m.depth + 1 FROM contacts.customer_profiles p JOIN person m ON p.merged_into_id = m.id
            )
            SELECT id FROM person ORDER BY depth, id
            """;

        internal const string Find =
            """
            SELECT id, contact_id, contact_ids, status, requested_by, rows_erased, opt_outs_kept, error, requested_at, settling_from, completed_at
            FROM contacts.erasures WHERE contact_id = $1
            """;

        internal const string FindOfAny =
            """
            SELECT id, contact_id, contact_ids, status, requested_by, rows_erased, opt_outs_kept, error, requested_at, settling_from, completed_at
            FROM contacts.erasures WHERE contact_ids @> ARRAY[$1::uuid]
            """;

        internal const string List =
            """
            SELECT id, contact_id, contact_ids, status, requested_by, rows_erased, opt_outs_kept, error, requested_at, settling_from, completed_at
            FROM contacts.erasures WHERE ($1::text IS NULL OR status = $1) AND ($2::uuid IS NULL OR id < $2) ORDER BY id DESC LIMIT $3
            """;

        internal const string Accept =
            """
            INSERT INTO contacts.erasures (tenant_id, id, contact_id, contact_ids, requested_by, opt_outs_kept, requested_at)
            VALUES (kernel.current_tenant_id(), $1, $2, $3, $4, $5, $6)
            RETURNING id, contact_id, contact_ids, status, requested_by, rows_erased, opt_outs_kept, error, requested_at, settling_from, completed_at
            """;

        internal const string Resume =
            """
            UPDATE contacts.erasures SET status = 'accepted', error = NULL, settling_from = NULL WHERE id = $1
            RETURNING id, contact_id, contact_ids, status, requested_by, rows_erased, opt_outs_kept, error, requested_at, settling_from, completed_at
            """;

        internal const string KeepOptOuts =
            """
            WITH out_of AS (
                SELECT profile_id, channel FROM (
                    SELECT DISTINCT ON (profile_id, channel) profile_id, channel, opted_out
                    FROM contacts.channel_consents WHERE profile_id = ANY ($1) ORDER BY profile_id, channel, id DESC) AS latest
                WHERE opted_out AND profile_id = ($1::uuid[])[1]
            ), addresses AS (
                SELECT channel, channel_user_id AS address FROM contacts.channel_identities WHERE profile_id = ANY ($1)
                UNION SELECT 'sms', phone_number FROM contacts.customer_profiles WHERE id = ANY ($1) AND phone_number IS NOT NULL
                UNION SELECT 'email', lower(email) FROM contacts.customer_profiles WHERE id = ANY ($1) AND email IS NOT NULL
            ), kept AS (
                INSERT INTO contacts.suppressed_addresses (tenant_id, channel, address_hash)
                SELECT kernel.current_tenant_id(), a.channel, contacts.address_hash(kernel.current_tenant_id(), a.channel, a.address)
                FROM addresses AS a WHERE a.channel IN (SELECT channel FROM out_of)
                ON CONFLICT (tenant_id, channel, address_hash) DO UPDATE SET recorded_at = excluded.recorded_at
                RETURNING channel
            )
            SELECT DISTINCT channel FROM kept ORDER BY channel
            """;

        internal const string LetGoOfAddresses = "DELETE FROM contacts.channel_identities WHERE profile_id = ANY ($1)";

        internal const string LetGoOfNumbers = "UPDATE contacts.customer_profiles SET phone_number = NULL WHERE id = ANY ($1) AND phone_number IS NOT NULL";

        internal const string Empty =
            """
            UPDATE contacts.customer_profiles
            SET erased_at = $2, changed_at = $2, external_id = NULL, email = NULL, display_name = NULL, first_name = NULL, last_name = NULL, company = NULL, title = NULL,
                linkedin_url = NULL, verified = false, innovator = false, expert_connector = false, expertise = '{}', poc_agent_id = NULL, poc_instance_id = NULL,
                poc_agent_type = 'bouncer', quiet_hours_start = NULL, quiet_hours_end = NULL, timezone = NULL, response_pattern = '{}', status_level = 'erased',
                phone_number_history = '[]', last_active_at = NULL
            WHERE id = ANY ($1)
            """;
    }
}
