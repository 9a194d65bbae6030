using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Contacts;

/// <summary>Who may be written to where. Every change is kept; a repetition of the state in force is not a change.</summary>
internal sealed class Consents(EventStore events)
{
    internal async Task<bool> SetAsync(Transaction tx, Guid contactId, string channel, bool optedOut, string source, CancellationToken ct)
    {
        if (await tx.ExecuteAsync(Sql.Record, [contactId, channel, optedOut, source.Clip(100)], ct) == 0)
        {
            return false;
        }

        var type = optedOut ? "contact.opted_out" : "contact.opted_in";
        events.Append(tx, new NewEvent(type, "contact", contactId, new { contact_id = contactId, channel, source }));
        return true;
    }

    internal Task<bool> IsOptedOutAsync(Transaction tx, Guid contactId, string channel, CancellationToken ct) =>
        tx.SingleAsync<bool>(Sql.IsOptedOut, [contactId, channel], ct);

    internal Task<IReadOnlyList<string>> OptedOutOfAsync(Transaction tx, Guid contactId, CancellationToken ct) =>
        tx.QueryAsync<string>(Sql.OptedOutOf, [contactId], ct);

    internal Task<IReadOnlyList<ConsentChange>> HistoryAsync(Transaction tx, Guid contactId, CancellationToken ct) =>
        tx.QueryAsync<ConsentChange>(Sql.History, [contactId], ct);

    private static class Sql
    {
        internal const string Record =
            """
            INSERT INTO contacts.channel_consents (tenant_id, profile_id, channel, opted_out, source)
            SELECT kernel.current_tenant_id(), $1::uuid, $2::text, $3::boolean, $4::text
            WHERE $3 IS DISTINCT FROM coalesce((SELECT c.opted_out FROM contacts.channel_consents c
                                                WHERE c.profile_id = $1 AND c.channel = $2 ORDER BY c.id DESC LIMIT 1), false)
            """;

        internal const string IsOptedOut =
            """
            SELECT coalesce((SELECT opted_out FROM contacts.channel_consents WHERE profile_id = $1 AND channel = $2 ORDER BY id DESC LIMIT 1), false)
            """;

        internal const string OptedOutOf =
            """
            SELECT channel FROM (
                SELECT DISTINCT ON (channel) channel, opted_out FROM contacts.channel_consents WHERE profile_id = $1 ORDER BY channel, id DESC) AS latest
            WHERE opted_out
            """;

        internal const string History =
            "SELECT channel, opted_out, source, recorded_at FROM contacts.channel_consents WHERE profile_id = $1 ORDER BY id DESC";
    }
}
