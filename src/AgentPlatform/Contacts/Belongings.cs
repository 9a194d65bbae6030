using System.Text.Json;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Contacts;

internal sealed record NewAsset(string AssetType, string AssetReference, JsonElement? Metadata);

internal sealed record NewIdentity(string Channel, string Address, bool Verified);

internal sealed record FieldBody(string? Value, string Source = FieldWrite.SystemSource, double Confidence = 1.0, bool Verified = false);

internal sealed record FieldAnswer(FieldOutcome Outcome, ProfileField? Field);

internal sealed record ConsentBody(string Channel, bool OptedOut, string? Source);

/// <summary>Changes, through the API, to what a contact has: fields, addresses, assets, consents, priorities.</summary>
internal sealed class Belongings(
    Database database, ContactDirectory contacts, ProfileFields fields, Consents consents, Priorities priorities, TimeProvider clock)
{
    internal Task<Result<FieldAnswer>> SetFieldAsync(Actor actor, Guid id, string name, FieldBody body, CancellationToken ct) =>
        WithContactAsync<FieldAnswer>(actor, id, async (tx, contactId) =>
        {
            var outcome = await fields.SetAsync(tx, contactId, new FieldWrite(name, body.Value, body.Source, body.Confidence, body.Verified), ct);
            return outcome.IsOk
                ? new FieldAnswer(outcome.Value, (await fields.CurrentAsync(tx, contactId, ct)).FirstOrDefault(f => f.FieldName == name))
                : outcome.Problem;
        }, ct);

    internal Task<Result<ChannelIdentity>> AddIdentityAsync(Actor actor, Guid id, NewIdentity body, CancellationToken ct) =>
        WithContactAsync<ChannelIdentity>(actor, id, async (tx, contactId) =>
        {
            if (!ContactDirectory.TryNormalize(new ChannelAddress(body.Channel, body.Address), out var at))
            {
                return Problem.Invalid("address", "Is not a possible address of the channel (sms, email, webhook or web).");
            }

            return await tx.FindAsync<ChannelIdentity>(Sql.AddIdentity, [clock.NewId(), contactId, at.Channel, at.Address, body.Verified], ct) is { } identity
                ? identity
                : Problem.Conflict("identity_taken", "The address belongs to another contact.");
        }, ct);

    internal Task<Result<ContactAsset>> AddAssetAsync(Actor actor, Guid id, NewAsset body, CancellationToken ct) =>
        WithContactAsync<ContactAsset>(actor, id, async (tx, contactId) =>
        {
            if (body.AssetType?.Length is not (>= 1 and <= 50))
            {
                return Problem.Invalid("asset_type", "Must be 1 to 50 characters.");
            }

            if (body.AssetReference?.Length is not (>= 1 and <= 500))
            {
                return Problem.Invalid("asset_reference", "Must be 1 to 500 characters.");
            }

            return await tx.SingleAsync<ContactAsset>(
                Sql.AddAsset, [clock.NewId(), contactId, body.AssetType, body.AssetReference, Json.Param(body.Metadata ?? Json.Of(new { }))], ct);
        }, ct);

    internal Task<Result<Guid>> RemoveAssetAsync(Actor actor, Guid id, Guid assetId, CancellationToken ct) =>
        WithContactAsync<Guid>(actor, id, async (tx, contactId) =>
            await tx.ExecuteAsync(Sql.RemoveAsset, [contactId, assetId], ct) == 1 ? assetId : Problem.NotFound("asset"), ct);

    internal Task<Result<Page<ConsentChange>>> SetConsentAsync(Actor actor, Guid id, ConsentBody body, CancellationToken ct) =>
        WithContactAsync<Page<ConsentChange>>(actor, id, async (tx, contactId) =>
        {
            if (!ChannelAddress.Channels.Contains(body.Channel))
            {
                return Problem.Invalid("channel", $"Must be one of {string.Join(", ", ChannelAddress.Channels)}.");
            }

            await consents.SetAsync(tx, contactId, body.Channel, body.OptedOut, string.IsNullOrWhiteSpace(body.Source) ? "api" : body.Source, ct);
            return new Page<ConsentChange>(await consents.HistoryAsync(tx, contactId, ct), null);
        }, ct);

    internal Task<Result<ContactPriority>> WritePriorityAsync(Actor actor, Guid id, PriorityWrite body, CancellationToken ct) =>
        WithContactAsync(actor, id, (tx, contactId) => priorities.WriteAsync(tx, contactId, body, ct), ct);

    internal Task<Result<Page<ContactPriority>>> PresentPriorityAsync(Actor actor, Guid id, Guid priorityId, CancellationToken ct) =>
        WithContactAsync<Page<ContactPriority>>(actor, id, async (tx, contactId) =>
        {
            priorities.MarkPresented(tx, contactId, [priorityId]);
            var all = await priorities.ListAsync(tx, contactId, ct);
            return all.Any(p => p.Id == priorityId) ? new Page<ContactPriority>(all, null) : Problem.NotFound("priority");
        }, ct);

    internal Task<Result<Contact>> VerifyAsync(Actor actor, Guid id, CancellationToken ct) =>
        WithContactAsync<Contact>(actor, id, async (tx, contactId) =>
        {
            await contacts.MarkVerifiedAsync(tx, contactId, null, ct);
            return (await contacts.FindAsync(tx, contactId, ct))!;
        }, ct);

    private async Task<Result<T>> WithContactAsync<T>(Actor actor, Guid id, Func<Transaction, Guid, Task<Result<T>>> work, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        if (await contacts.FindAsync(tx, id, ct) is not { } contact)
        {
            return Problem.NotFound("contact");
        }

        var result = await work(tx, contact.Id);
        if (result.IsOk)
        {
            await tx.CommitAsync(ct);
        }

        return result;
    }

    private static class Sql
    {
        // The update answers with the row when the address is this contact's already, and with nothing when it is another's.
        internal const string AddIdentity =
            """
            INSERT INTO contacts.channel_identities AS i (tenant_id, id, profile_id, channel, channel_user_id, verified)
            VALUES (kernel.current_tenant_id(), $1, $2, $3, $4, $5)
            ON CONFLICT (tenant_id, channel, channel_user_id) DO UPDATE SET verified = i.verified OR excluded.verified WHERE i.profile_id = excluded.profile_id
            RETURNING id, channel, channel_user_id, verified, created_at
            """;

        internal const string AddAsset =
            """
            INSERT INTO contacts.profile_assets (tenant_id, id, profile_id, asset_type, asset_reference, metadata)
            VALUES (kernel.current_tenant_id(), $1, $2, $3, $4, $5)
            RETURNING id, asset_type, asset_reference, metadata, created_at
            """;

        internal const string RemoveAsset = "DELETE FROM contacts.profile_assets WHERE profile_id = $1 AND id = $2";
    }
}
