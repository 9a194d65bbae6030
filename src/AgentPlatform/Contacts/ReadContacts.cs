using System.Text.Json;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Contacts;

/// <summary>What to list: every condition given must hold; <see cref="Search"/> looks into names, company, e-mail and number.</summary>
internal sealed record ContactFilter(string? Search, string? PhoneNumber, string? Email, string? ExternalId, bool? Verified, string? PocAgentType);

/// <summary>A file or other thing that belongs to a contact; the reference is a URL or a storage key.</summary>
internal sealed record ContactAsset(Guid Id, string AssetType, string AssetReference, JsonElement Metadata, DateTimeOffset CreatedAt);

internal sealed class ReadContacts(Database database, ContactDirectory contacts)
{
    internal async Task<Page<Contact>> ListAsync(Actor actor, ContactFilter filter, PageRequest page, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        var phone = PhoneNumber.TryNormalize(filter.PhoneNumber, out var e164) ? e164 : filter.PhoneNumber;
        var rows = await tx.QueryAsync<Contact>(
            Sql.List,
            [
                Like(filter.Search), phone, filter.Email?.Trim().ToLowerInvariant(), filter.ExternalId, filter.Verified, filter.PocAgentType,
                page.Before, page.Fetch,
            ],
            ct);
        return Page<Contact>.Cut(rows, page, c => c.Id);
    }

    /// <summary>The contact itself, or the one it was merged into.</summary>
    internal async Task<Result<Contact>> FindAsync(Actor actor, Guid id, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        return await FindAsync(tx, id, ct);
    }

    /// <summary>A list of something that belongs to a contact.</summary>
    internal async Task<Result<Page<T>>> OfAsync<T>(
        Actor actor, Guid id, Func<Transaction, Guid, CancellationToken, Task<IReadOnlyList<T>>> read, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        var contact = await FindAsync(tx, id, ct);
        return contact.IsOk ? new Page<T>(await read(tx, contact.Value.Id, ct), null) : contact.Problem;
    }

    internal static Task<IReadOnlyList<ChannelIdentity>> IdentitiesAsync(Transaction tx, Guid contactId, CancellationToken ct) =>
        tx.QueryAsync<ChannelIdentity>(Sql.Identities, [contactId], ct);

    internal static Task<IReadOnlyList<ContactAsset>> AssetsAsync(Transaction tx, Guid contactId, string? assetType, CancellationToken ct) =>
        tx.QueryAsync<ContactAsset>(Sql.Assets, [contactId, assetType], ct);

    private async Task<Result<Contact>> FindAsync(Transaction tx, Guid id, CancellationToken ct) =>
        await contacts.FindAsync(tx, id, ct) is { } contact ? contact : Problem.NotFound("contact");

    private static string? Like(string? search) =>
        string.IsNullOrWhiteSpace(search)
            ? null
            : $"%{search.Trim().Replace(@"\", @"\\", StringComparison.Ordinal).Replace("%", @"\%", StringComparison.Ordinal).Replace("_", @"\_", StringComparison.Ordinal)}%";

    private static class Sql
    {
        internal const string List =
            """
            SELECT id, external_id, phone_number, email, display_name, first_name, last_name, company, title, linkedin_url, verified, innovator,
                   expert_connector, expertise, poc_agent_id, poc_instance_id, poc_agent_type, quiet_hours_start, quiet_hours_end, timezone, response_pattern, credit_balance,
                   status_level, phone_number_history, merged_into_id, changed_at, created_at, updated_at, last_active_at
            FROM contacts.customer_profiles
            WHERE merged_into_id IS NULL AND erased_at IS NULL
              AND ($1::text IS NULL OR concat_ws(' ', first_name, last_name, display_name, company, email, phone_number, external_id) ILIKE $1)
              AND ($2::text IS NULL OR phone_number = $2)
              AND ($3::text IS NULL OR lower(email) = $3)
              AND ($4::text IS NULL OR external_id = $4)
              AND ($5::boolean IS NULL OR verified = $5)
              AND ($6::text IS NULL OR poc_agent_type = $6)
              AND ($7::uuid IS NULL OR id < $7)
            ORDER BY id DESC LIMIT $8
            """;

        internal const string Identities =
            "SELECT id, channel, channel_user_id, verified, created_at FROM contacts.channel_identities WHERE profile_id = $1 ORDER BY id";

        internal const string Assets =
            """
            SELECT id, asset_type, asset_reference, metadata, created_at FROM contacts.profile_assets
            WHERE profile_id = $1 AND ($2::text IS NULL OR asset_type = $2) ORDER BY id DESC
            """;
    }
}
