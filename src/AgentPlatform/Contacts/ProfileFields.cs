using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Contacts;

/// <summary>
/// A value for a field. Sources: USER_PROVIDED (said so), EXTRACTED (read out of a message), INFERRED (guessed), SYSTEM (an operator
/// or an import). Confidence 0 to 1. With a conversation, the event appears on its time line.
/// </summary>
public sealed record FieldWrite(string FieldName, string? FieldValue, string Source, double Confidence = 1.0, bool Verified = false)
{
    public const string UserProvided = "USER_PROVIDED";
    public const string Extracted = "EXTRACTED";
    public const string Inferred = "INFERRED";
    public const string SystemSource = "SYSTEM";

    internal static readonly string[] Sources = [UserProvided, Extracted, Inferred, SystemSource];

    public Guid? ConversationId { get; init; }
}

/// <summary>What became of a write: applied, already so, or outranked by the value in place.</summary>
public enum FieldOutcome
{
    Applied,
    Unchanged,
    Outranked,
}

/// <summary>
/// Which value wins: what a person said or an operator entered always; a reading of a message not over a verified value; a guess only
/// over what is neither verified nor more certain.
/// </summary>
public static class FieldPrecedence
{
    public static FieldOutcome Decide(ProfileField? current, FieldWrite write)
    {
        if (current is null)
        {
            return FieldOutcome.Applied;
        }

        var outranked = write.Source switch
        {
            FieldWrite.Inferred => (current.Verified && !write.Verified) || current.Confidence > write.Confidence,
            FieldWrite.Extracted => current.Verified && !write.Verified,
            _ => false,
        };
        if (outranked)
        {
            return FieldOutcome.Outranked;
        }

        return current.FieldValue == write.FieldValue && current.Source == write.Source && current.Confidence.Equals(write.Confidence)
            && current.Verified == write.Verified
            ? FieldOutcome.Unchanged
            : FieldOutcome.Applied;
    }
}

/// <summary>The history of what is known of a contact, and the profile's columns that show its latest state.</summary>
internal sealed class ProfileFields(TimeProvider clock, EventStore events)
{
    /// <summary>Fields that are columns of the profile as well, and how long they may be.</summary>
    internal static readonly IReadOnlyDictionary<string, int> Columns = new Dictionary<string, int>(StringComparer.Ordinal)
    {
        ["first_name"] = 100,
        ["last_name"] = 100,
        ["company"] = 255,
        ["title"] = 255,
        ["email"] = 255,
        ["linkedin_url"] = 500,
        ["phone_number"] = 20,
        ["timezone"] = 50,
    };

    internal async Task<Result<FieldOutcome>> SetAsync(Transaction tx, Guid contactId, FieldWrite write, CancellationToken ct)
    {
        if (Check(ref write) is { } problem)
        {
            return problem;
        }

        // Writers of one contact take turns, so the row read here is still the current one when it is closed.
        if (await tx.FindAsync<Guid?>(Sql.LockContact, [contactId], ct) is null)
        {
            return Problem.NotFound("contact");
        }

        if (write is { FieldName: "phone_number", FieldValue: { } number }
            && await tx.FindAsync<Guid?>(Sql.NumberOfAnother, [contactId, number], ct) is not null)
        {
            return Problem.Conflict("phone_number_taken", "The phone number belongs to another contact.");
        }

        var current = await tx.FindAsync<ProfileField>(Sql.Current, [contactId, write.FieldName], ct);
        var outcome = FieldPrecedence.Decide(current, write);
        if (outcome == FieldOutcome.Applied)
        {
            Apply(tx, contactId, write);
        }

        return outcome;
    }

    internal Task<IReadOnlyList<ProfileField>> CurrentAsync(Transaction tx, Guid contactId, CancellationToken ct) =>
        tx.QueryAsync<ProfileField>(Sql.AllCurrent, [contactId], ct);

    internal Task<IReadOnlyList<ProfileField>> HistoryAsync(Transaction tx, Guid contactId, string name, CancellationToken ct) =>
        tx.QueryAsync<ProfileField>(Sql.History, [contactId, name], ct);

    internal Task<IReadOnlyList<ProfileField>> AllHistoryAsync(Transaction tx, Guid contactId, CancellationToken ct) =>
        tx.QueryAsync<ProfileField>(Sql.AllHistory, [contactId], ct);

    internal async Task MarkVerifiedAsync(Transaction tx, Guid contactId, Guid? conversationId, CancellationToken ct)
    {
        if (await tx.FindAsync<string>(Sql.MarkVerified, [contactId], ct) is { } agentType)
        {
            Announce(tx, "contact.verified", contactId, conversationId, new { contact_id = contactId, poc_agent_type = agentType });
        }
    }

    private static Problem? Check(ref FieldWrite write)
    {
        if (write.FieldName.Length is < 1 or > 255)
        {
            return Problem.Invalid("field_name", "Must be 1 to 255 characters.");
        }

        if (!FieldWrite.Sources.Contains(write.Source))
        {
            return Problem.Invalid("source", $"Must be one of {string.Join(", ", FieldWrite.Sources)}.");
        }

        if (write.Confidence is not (>= 0 and <= 1))
        {
            return Problem.Invalid("confidence", "Must be between 0 and 1.");
        }

        return CheckColumn(ref write);
    }

    private static Problem? CheckColumn(ref FieldWrite write)
    {
        if (write.FieldValue is not { } value || !Columns.TryGetValue(write.FieldName, out var longest))
        {
            return null;
        }

        if (value.Length > longest)
        {
            return Problem.Invalid(write.FieldName, $"Must be at most {longest} characters.");
        }

        switch (write.FieldName)
        {
            // Messages from a number are taken for its owner's: claiming one in a chat must not be enough.
            case "phone_number" when write is { Verified: false, Source: not FieldWrite.SystemSource }:
                return Problem.Unprocessable("phone_number_unverified", "A phone number is set by an operator or once it is verified.");
            case "phone_number" when PhoneNumber.TryNormalize(value, out var e164):
                write = write with { FieldValue = e164 };
                return null;
            case "phone_number":
                return Problem.Invalid("phone_number", "Must be an international phone number.");
            case "email" when ContactDirectory.TryNormalize(new ChannelAddress(ChannelAddress.Email, value), out var address):
                write = write with { FieldValue = address.Address };
                return null;
            case "email":
                return Problem.Invalid("email", "Must be an e-mail address.");
            case "timezone" when !TimeZoneInfo.TryFindSystemTimeZoneById(value, out var zone) || !zone.HasIanaId:
                return Problem.Invalid("timezone", "Must be an IANA time zone.");
            default:
                return null;
        }
    }

    private void Apply(Transaction tx, Guid contactId, FieldWrite write)
    {
        var now = clock.GetUtcNow();
        tx.Post(Sql.Close, contactId, write.FieldName, now);
        tx.Post(Sql.Open, clock.NewId(), contactId, write.FieldName, write.FieldValue, write.Source, write.Confidence, write.Verified, now);
        if (Columns.ContainsKey(write.FieldName))
        {
            tx.Post(Sql.ShowInProfile, contactId, write.FieldName, write.FieldValue);
        }

        // An address that only was claimed is no way in; one that an operator entered or that was verified is.
        if (write is { FieldName: "phone_number" or "email", FieldValue: { } address } && (write.Verified || write.Source == FieldWrite.SystemSource))
        {
            var channel = write.FieldName == "email" ? ChannelAddress.Email : ChannelAddress.Sms;
            tx.Post(Sql.AddIdentity, clock.NewId(), contactId, channel, address);
        }

        Announce(tx, "contact.field_set", contactId, write.ConversationId, new
        {
            contact_id = contactId,
            field_name = write.FieldName,
            source = write.Source,
            confidence = write.Confidence,
            verified = write.Verified,
        });
    }

    private void Announce(Transaction tx, string type, Guid contactId, Guid? conversationId, object payload) =>
        events.Append(tx, conversationId is { } conversation
            ? new NewEvent(type, "conversation", conversation, payload)
            : new NewEvent(type, "contact", contactId, payload));

    private static class Sql
    {
        internal const string LockContact = "SELECT id FROM contacts.customer_profiles WHERE id = $1 AND merged_into_id IS NULL AND erased_at IS NULL FOR NO KEY UPDATE";

        internal const string NumberOfAnother = "SELECT id FROM contacts.customer_profiles WHERE phone_number = $2 AND merged_into_id IS NULL AND id <> $1";

        internal const string Current =
            """
            SELECT id, field_name, field_value, source, confidence, verified, valid_from, valid_to
            FROM contacts.profile_fields WHERE profile_id = $1 AND field_name = $2 AND valid_to IS NULL
            """;

        internal const string AllCurrent =
            """
            SELECT id, field_name, field_value, source, confidence, verified, valid_from, valid_to
            FROM contacts.profile_fields WHERE profile_id = $1 AND valid_to IS NULL ORDER BY field_name
            """;

        internal const string History =
            """
            SELECT id, field_name, field_value, source, confidence, verified, valid_from, valid_to
            FROM contacts.profile_fields WHERE profile_id = $1 AND field_name = $2 ORDER BY valid_from DESC, id DESC
            """;

        internal const string AllHistory =
            """
            SELECT id, field_name, field_value, source, confidence, verified, valid_from, valid_to
            FROM contacts.profile_fields WHERE profile_id = $1 ORDER BY valid_from DESC, id DESC LIMIT 500
            """;

        // A clock that stands still or steps back must not end a value before it began.
        internal const string Close =
            "UPDATE contacts.profile_fields SET valid_to = greatest(valid_from, $3) WHERE profile_id = $1 AND field_name = $2 AND valid_to IS NULL";

        internal const string Open =
            """
            INSERT INTO contacts.profile_fields (tenant_id, id, profile_id, field_name, field_value, source, confidence, verified, valid_from)
            VALUES (kernel.current_tenant_id(), $1, $2, $3, $4, $5, $6, $7, $8)
            """;

        internal const string ShowInProfile =
            """
            UPDATE contacts.customer_profiles
            SET first_name = CASE $2 WHEN 'first_name' THEN $3 ELSE first_name END,
                last_name = CASE $2 WHEN 'last_name' THEN $3 ELSE last_name END,
                company = CASE $2 WHEN 'company' THEN $3 ELSE company END,
                title = CASE $2 WHEN 'title' THEN $3 ELSE title END,
                email = CASE $2 WHEN 'email' THEN $3 ELSE email END,
                linkedin_url = CASE $2 WHEN 'linkedin_url' THEN $3 ELSE linkedin_url END,
                phone_number = CASE $2 WHEN 'phone_number' THEN $3 ELSE phone_number END,
                timezone = CASE $2 WHEN 'timezone' THEN $3 ELSE timezone END,
                changed_at = clock_timestamp()
            WHERE id = $1 AND erased_at IS NULL
            """;

        internal const string AddIdentity =
            """
            INSERT INTO contacts.channel_identities (tenant_id, id, profile_id, channel, channel_user_id) VALUES (kernel.current_tenant_id(), $1, $2, $3, $4)
            ON CONFLICT (tenant_id, channel, channel_user_id) DO NOTHING
            """;

        internal const string MarkVerified =
            """
            UPDATE contacts.customer_profiles
            SET verified = true, poc_agent_type = CASE WHEN innovator THEN 'innovator' ELSE 'concierge' END, changed_at = clock_timestamp()
            WHERE id = $1 AND merged_into_id IS NULL AND erased_at IS NULL AND NOT verified
            RETURNING poc_agent_type
            """;
    }
}
