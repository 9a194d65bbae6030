using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Contacts;

/// <summary>What other modules know of contacts. Every method joins the caller's transaction.</summary>
public sealed class ContactDirectory
{
    private readonly TimeProvider _clock;
    private readonly ProfileFields _fields;
    private readonly Consents _consents;
    private readonly Priorities _priorities;

    internal ContactDirectory(TimeProvider clock, ProfileFields fields, Consents consents, Priorities priorities) =>
        (_clock, _fields, _consents, _priorities) = (clock, fields, consents, priorities);

    /// <summary>
    /// The contact behind an address; the first message makes it (unverified, with the bouncer). First messages that arrive at once
    /// make one. The name is kept as <see cref="Contact.DisplayName"/> of a new contact.
    /// </summary>
    /// <exception cref="ArgumentException">The address is not a possible one of its channel.</exception>
    public async Task<Contact> GetOrCreateAsync(Transaction tx, ChannelAddress address, string? name, CancellationToken ct) =>
        await FindByAddressAsync(tx, address, ct) ?? await CreateAsync(tx, address, name, ct);

    /// <summary>The same when the address was not known a moment ago.</summary>
    /// <exception cref="ArgumentException">The address is not a possible one of its channel.</exception>
    public Task<Contact> CreateAsync(Transaction tx, ChannelAddress address, string? name, CancellationToken ct)
    {
        if (!TryNormalize(address, out var at))
        {
            throw new ArgumentException($"'{address.Address}' is not an address of channel '{address.Channel}'.", nameof(address));
        }

        var phone = at.Channel == ChannelAddress.Sms ? at.Address : null;
        var email = at.Channel == ChannelAddress.Email ? at.Address : null;
        // Two first messages: the second waits here, and then finds what the first one made.
        tx.PostCall(Sql.LockAddress, at.Channel, at.Address);
        return tx.SingleAsync<Contact>(Sql.Create, [at.Channel, at.Address, _clock.NewId(), _clock.NewId(), phone, email, Shorten(name)], ct);
    }

    /// <summary>The contact, or the one it was merged into at the end of the chain; null when there is none.</summary>
    public Task<Contact?> FindAsync(Transaction tx, Guid id, CancellationToken ct) => tx.FindAsync<Contact>(Sql.Find, [id], ct);

    /// <summary>The same, and it is merged into no other until the transaction ends: what is written under its id stays with it.</summary>
    public async Task<Contact?> HoldAsync(Transaction tx, Guid id, CancellationToken ct)
    {
        // Whoever waited for a merge looks again, and finds the survivor.
        while (await FindAsync(tx, id, ct) is { } contact)
        {
            if (await tx.FindAsync<Guid?>(Sql.Hold, [contact.Id], ct) is not null)
            {
                return contact;
            }
        }

        return null;
    }

    /// <summary>The id under which rows of a contact are found: the survivor's of one that was merged, and any other as it is.</summary>
    public async Task<Guid?> LivingAsync(Transaction tx, Guid? id, CancellationToken ct) => id is { } known && await FindAsync(tx, known, ct) is { } contact ? contact.Id : id;

    /// <summary>The contact's own id and those of all that were merged into it.</summary>
    public Task<IReadOnlyList<Guid>> ProfilesAsync(Transaction tx, Guid id, CancellationToken ct) => tx.QueryAsync<Guid>(Sql.Profiles, [id], ct);

    /// <summary>The contact behind an address, or null.</summary>
    public async Task<Contact?> FindByAddressAsync(Transaction tx, ChannelAddress address, CancellationToken ct) =>
        TryNormalize(address, out var at) ? await tx.FindAsync<Contact>(Sql.FindByAddress, [at.Channel, at.Address], ct) : null;

    /// <summary>The address of a contact on a channel, newest first when there are several; null when the contact cannot be reached there.</summary>
    public Task<string?> AddressAsync(Transaction tx, Guid contactId, string channel, CancellationToken ct) =>
        tx.FindAsync<string>(Sql.Address, [contactId, channel], ct);

    /// <summary>Writes a field with its source; see <see cref="FieldPrecedence"/> for what may replace what.</summary>
    public Task<Result<FieldOutcome>> SetFieldAsync(Transaction tx, Guid contactId, FieldWrite write, CancellationToken ct) =>
        _fields.SetAsync(tx, contactId, write, ct);

    /// <summary>The current fields of a contact, by name.</summary>
    public Task<IReadOnlyList<ProfileField>> FieldsAsync(Transaction tx, Guid contactId, CancellationToken ct) => _fields.CurrentAsync(tx, contactId, ct);

    /// <summary>What was known of a field, or the latest 500 of all of them, newest first.</summary>
    public Task<IReadOnlyList<ProfileField>> FieldHistoryAsync(Transaction tx, Guid contactId, string? name, CancellationToken ct) =>
        name is null ? _fields.AllHistoryAsync(tx, contactId, ct) : _fields.HistoryAsync(tx, contactId, name, ct);

    /// <summary>Verified, and handed from the bouncer to the concierge (or to the innovator agent). Appends <c>contact.verified</c>.</summary>
    public Task MarkVerifiedAsync(Transaction tx, Guid contactId, Guid? conversationId, CancellationToken ct) =>
        _fields.MarkVerifiedAsync(tx, contactId, conversationId, ct);

    /// <summary>Records an opt-out or opt-in. Source: what caused it, e.g. <c>keyword:STOP</c>, <c>api</c>, <c>twilio:21610</c>.</summary>
    public Task SetConsentAsync(Transaction tx, Guid contactId, string channel, bool optedOut, string source, CancellationToken ct) =>
        _consents.SetAsync(tx, contactId, channel, optedOut, source, ct);

    /// <summary>True when the contact asked not to be written to on the channel.</summary>
    public Task<bool> IsOptedOutAsync(Transaction tx, Guid contactId, string channel, CancellationToken ct) =>
        _consents.IsOptedOutAsync(tx, contactId, channel, ct);

    /// <summary>The channels on which the contact asked not to be written to.</summary>
    public Task<IReadOnlyList<string>> OptedOutOfAsync(Transaction tx, Guid contactId, CancellationToken ct) => _consents.OptedOutOfAsync(tx, contactId, ct);

    /// <summary>The best active priorities that were not presented yet, by rank, at most five.</summary>
    public Task<IReadOnlyList<ContactPriority>> TopPrioritiesAsync(Transaction tx, Guid contactId, CancellationToken ct) =>
        _priorities.TopAsync(tx, contactId, ct);

    /// <summary>The contact was told of them; they are not offered again.</summary>
    public void MarkPresented(Transaction tx, Guid contactId, params Guid[] priorityIds) => _priorities.MarkPresented(tx, contactId, priorityIds);

    /// <summary>The contact wrote: moves <see cref="Contact.LastActiveAt"/> and counts the hour into <see cref="Contact.ResponsePattern"/>.</summary>
    public void RecordActivity(Transaction tx, Guid contactId, DateTimeOffset at) => tx.Post(Sql.RecordActivity, contactId, at.ToUniversalTime());

    /// <summary>The contact is with this instance of an agent from now on.</summary>
    public void Assign(Transaction tx, Guid contactId, Guid instanceId) => tx.Post(Sql.Assign, contactId, instanceId);

    /// <summary>The form addresses are stored in; false when it cannot be one.</summary>
    public static bool TryNormalize(ChannelAddress address, out ChannelAddress normal)
    {
        normal = address;
        var text = address.Address.Trim();
        switch (address.Channel)
        {
            case ChannelAddress.Sms:
                if (!PhoneNumber.TryNormalize(text, out var e164))
                {
                    return false;
                }

                normal = address with { Address = e164 };
                return true;
            case ChannelAddress.Email:
                // The domain is case-insensitive by standard, the local part by every provider's practice.
                normal = address with { Address = text.ToLowerInvariant() };
                return text.Length is >= 3 and <= 255 && text.IndexOf('@') > 0 && text[^1] != '@' && !text.Any(char.IsWhiteSpace);
            case ChannelAddress.Webhook or ChannelAddress.Web:
                normal = address with { Address = text };
                return text.Length is >= 1 and <= 255;
            default:
                return false;
        }
    }

    private static string? Shorten(string? name) => string.IsNullOrWhiteSpace(name) ? null : name.Trim().Clip(255);

    private static class Sql
    {
        // Row by row and not by joins: a plan for one that was made while the table was small would go on reading all contacts.
        internal const string Find =
            """
            WITH RECURSIVE chain AS (
                SELECT id, merged_into_id, 0 AS depth FROM contacts.customer_profiles WHERE id = $1
                UNION ALL
                SELECT p.id, p.merged_into_id, depth + 1
                FROM chain c CROSS JOIN LATERAL (SELECT id, merged_into_id FROM contacts.customer_profiles WHERE id = c.merged_into_id OFFSET 0) p
                WHERE depth < 100
            )
            SELECT p.id, p.external_id, p.phone_number, p.email, p.display_name, p.first_name, p.last_name, p.company, p.title, p.linkedin_url, p.verified,
                   p.innovator, p.expert_connector, p.expertise, p.poc_agent_id, p.poc_instance_id, p.poc_agent_type, p.quiet_hours_start, p.quiet_hours_end, p.timezone,
                   p.response_pattern, p.credit_balance, p.status_level, p.phone_number_history, p.merged_into_id, p.changed_at, p.created_at, p.updated_at,
                   p.last_active_at
            FROM contacts.customer_profiles p WHERE p.id = (SELECT c.id FROM chain c WHERE c.merged_into_id IS NULL) AND p.erased_at IS NULL
            """;

        internal const string Hold = "SELECT id FROM contacts.customer_profiles WHERE id = $1 AND merged_into_id IS NULL AND erased_at IS NULL FOR KEY SHARE";

        // Not a join, for the same reason.
        internal const string Profiles =
            """
            WITH RECURSIVE profiles AS (
                SELECT $1::uuid AS id
                UNION
                SELECT p.id FROM contacts.customer_profiles p JOIN profiles i ON p.merged_into_id = i.id AND p.tenant_id = kernel.current_tenant_id()
            )
            SELECT id FROM profiles
            """;

        internal const string FindByAddress =
            """
            SELECT p.id, p.external_id, p.phone_number, p.email, p.display_name, p.first_name, p.last_name, p.company, p.title, p.linkedin_url, p.verified,
                   p.innovator, p.expert_connector, p.expertise, p.poc_agent_id, p.poc_instance_id, p.poc_agent_type, p.quiet_hours_start, p.quiet_hours_end, p.timezone,
                   p.response_pattern, p.credit_balance, p.status_level, p.phone_number_history, p.merged_into_id, p.changed_at, p.created_at, p.updated_at,
                   p.last_active_at
            FROM contacts.customer_profiles p
            WHERE p.id = (SELECT i.profile_id FROM contacts.channel_identities i WHERE i.channel = $1 AND i.channel_user_id = $2)
            """;

        internal const string Assign = "UPDATE contacts.customer_profiles SET poc_instance_id = $2 WHERE tenant_id = kernel.current_tenant_id() AND id = $1 AND erased_at IS NULL";

        internal const string LockAddress =
            "SELECT pg_advisory_xact_lock(hashtextextended(kernel.current_tenant_id()::text || ':' || $1 || ':' || $2, 0))";

        // A profile may have got the number by an edit, without an identity: then it is that profile, not a second one.
        internal const string Create =
            """
            WITH known AS (
                SELECT p.* FROM contacts.customer_profiles p
                WHERE p.id = (SELECT i.profile_id FROM contacts.channel_identities i WHERE i.channel = $1 AND i.channel_user_id = $2)
            ), made AS (
                INSERT INTO contacts.customer_profiles (tenant_id, id, phone_number, email, display_name)
                SELECT kernel.current_tenant_id(), $3::uuid, $5, $6, $7 WHERE NOT EXISTS (SELECT FROM known)
                ON CONFLICT (tenant_id, phone_number) WHERE phone_number IS NOT NULL AND merged_into_id IS NULL
                DO UPDATE SET display_name = coalesce(customer_profiles.display_name, excluded.display_name)
                RETURNING *
            ), identity AS (
                INSERT INTO contacts.channel_identities (tenant_id, id, profile_id, channel, channel_user_id)
                SELECT tenant_id, $4::uuid, id, $1, $2 FROM made
                ON CONFLICT (tenant_id, channel, channel_user_id) DO NOTHING
            )
            SELECT p.id, p.external_id, p.phone_number, p.email, p.display_name, p.first_name, p.last_name, p.company, p.title, p.linkedin_url, p.verified,
                   p.innovator, p.expert_connector, p.expertise, p.poc_agent_id, p.poc_instance_id, p.poc_agent_type, p.quiet_hours_start, p.quiet_hours_end, p.timezone,
                   p.response_pattern, p.credit_balance, p.status_level, p.phone_number_history, p.merged_into_id, p.changed_at, p.created_at, p.updated_at,
                   p.last_active_at
            FROM (SELECT * FROM known UNION ALL SELECT * FROM made) AS p
            """;

        internal const string Address =
            "SELECT channel_user_id FROM contacts.channel_identities WHERE profile_id = $1 AND channel = $2 ORDER BY verified DESC, id DESC LIMIT 1";

        internal const string RecordActivity =
            """
            UPDATE contacts.customer_profiles p
            SET last_active_at = greatest(last_active_at, $2),
                response_pattern = jsonb_build_object(
                    'messages', coalesce((response_pattern ->> 'messages')::integer, 0) + 1,
                    'by_hour', coalesce(response_pattern -> 'by_hour', '{}')
                        || jsonb_build_object(h.hour, coalesce((response_pattern -> 'by_hour' ->> h.hour)::integer, 0) + 1))
            FROM (SELECT id, extract(hour FROM $2::timestamptz AT TIME ZONE coalesce(timezone, 'UTC'))::integer::text AS hour
                  FROM contacts.customer_profiles WHERE id = $1) h
            WHERE p.id = h.id AND p.erased_at IS NULL
            """;
    }
}
