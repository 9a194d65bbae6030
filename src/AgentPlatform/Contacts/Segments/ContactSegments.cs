using System.Text.Json;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Contacts.Segments;

/// <summary>
/// A contact that a rule is meant for. Facts: what rules may ask and templates may use. Addresses: by channel. Opted out of: channels on which the contact
/// is not to be written to.
/// </summary>
public sealed record SegmentContact(Guid Id, JsonElement Facts, JsonElement Addresses, string[] OptedOutOf)
{
    /// <summary>Where the contact can be written to on that channel; null when nowhere, or when they asked not to be.</summary>
    public string? AddressOn(string channel) =>
        !OptedOutOf.Contains(channel) && Addresses.TryGetProperty(channel, out var address) ? address.GetString() : null;
}

/// <summary>How many contacts fit a rule, and how many of them can be written to on each channel.</summary>
public sealed record SegmentSize(int Place, long Contacts, long Sms, long Email, long Webhook, long Unreachable);

/// <summary>The contacts of the transaction's tenant that fit rules without a <see cref="ContactRule.Error"/>. Every answer is one statement.</summary>
public sealed class ContactSegments
{
    /// <summary>Those that fit at least one of the rules, by id, from after that one on.</summary>
    public Task<IReadOnlyList<SegmentContact>> PageAsync(Transaction tx, IEnumerable<JsonElement> rules, Guid? after, int limit, CancellationToken ct) =>
        tx.QueryAsync<SegmentContact>(Sql.Page, [Predicates(rules), after ?? Guid.Empty, limit], ct);

    /// <summary>One answer a rule, in their order.</summary>
    public Task<IReadOnlyList<SegmentSize>> SizesAsync(Transaction tx, IEnumerable<JsonElement> rules, CancellationToken ct) =>
        tx.QueryAsync<SegmentSize>(Sql.Sizes, [Predicates(rules)], ct);

    /// <summary>Newest first, for people to look at.</summary>
    internal async Task<Page<SegmentContact>> ListAsync(Transaction tx, JsonElement rule, PageRequest page, CancellationToken ct) =>
        Page<SegmentContact>.Cut(await tx.QueryAsync<SegmentContact>(Sql.List, [Predicates([rule]), page.Before, page.Fetch], ct), page, contact => contact.Id);

    private static string[] Predicates(IEnumerable<JsonElement> rules) => [.. rules.Select(ContactRule.Predicate)];

    private static class Sql
    {
        // The rules are read once and not for each contact.
        internal const string Page =
            """
            WITH rules AS MATERIALIZED (SELECT r.text::jsonpath AS rule FROM unnest($1::text[]) AS r (text))
            SELECT c.id, c.facts, c.addresses, c.opted_out_of FROM contacts.segment_contacts AS c
            WHERE c.tenant_id = kernel.current_tenant_id() AND c.id > $2 AND EXISTS (SELECT FROM rules AS r WHERE jsonb_path_match(c.facts, r.rule))
            ORDER BY c.id LIMIT $3
            """;

        internal const string List =
            """
            WITH rules AS MATERIALIZED (SELECT r.text::jsonpath AS rule FROM unnest($1::text[]) AS r (text))
            SELECT c.id, c.facts, c.addresses, c.opted_out_of FROM contacts.segment_contacts AS c
            WHERE c.tenant_id = kernel.current_tenant_id() AND ($2::uuid IS NULL OR c.id < $2) AND EXISTS (SELECT FROM rules AS r WHERE jsonb_path_match(c.facts, r.rule))
            ORDER BY c.id DESC LIMIT $3
            """;

        internal const string Sizes =
            """
            WITH rules AS MATERIALIZED (SELECT r.place, r.text::jsonpath AS rule FROM unnest($1::text[]) WITH ORDINALITY AS r (text, place)),
            fitting AS (
                SELECT r.place, ARRAY(SELECT jsonb_object_keys(c.addresses) EXCEPT SELECT unnest(c.opted_out_of)) AS channels
                FROM contacts.segment_contacts AS c JOIN rules AS r ON jsonb_path_match(c.facts, r.rule)
                WHERE c.tenant_id = kernel.current_tenant_id()
            )
            SELECT r.place::integer AS place, count(f.place) AS contacts, count(*) FILTER (WHERE 'sms' = ANY (f.channels)) AS sms,
                   count(*) FILTER (WHERE 'email' = ANY (f.channels)) AS email, count(*) FILTER (WHERE 'webhook' = ANY (f.channels)) AS webhook,
                   count(*) FILTER (WHERE NOT f.channels && ARRAY['sms', 'email', 'webhook']) AS unreachable
            FROM rules AS r LEFT JOIN fitting AS f ON f.place = r.place
            GROUP BY r.place ORDER BY r.place
            """;
    }
}
