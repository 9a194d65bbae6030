using AgentPlatform.Contacts;
using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Npgsql;

namespace AgentPlatform.Credits;

/// <summary>An entry of the ledger. Kinds: award (positive), spend (negative), adjustment (either). Only processed entries count.</summary>
public sealed record CreditEvent(
    Guid Id, Guid ContactId, int Amount, string Kind, string Cause, string? Description, bool Processed, DateTimeOffset? ProcessedAt, string? CreatedBy, DateTimeOffset CreatedAt);

/// <summary>What a contact has: the sum of its processed entries.</summary>
public sealed record CreditBalance(Guid ContactId, int Balance, int Events, DateTimeOffset? ChangedAt);

/// <summary>
/// Credits of contacts. Each cause counts once per contact and kind: saying it again answers the entry that is there, also one of a
/// contact that was merged into this one. A merged contact's entries stay as they are, and what it has goes on by a pair of adjustments.
/// </summary>
public sealed class CreditLedger(ContactDirectory contacts, EventStore events, TimeProvider clock)
{
    /// <summary>What causes begin with under which credits go from one contact to another: nobody else writes such.</summary>
    internal const string OfMerges = "merge:";

    /// <summary>Gives <paramref name="amount"/> (above zero) credits for a cause such as <c>intro:{id}</c>.</summary>
    public Task<Result<CreditEvent>> AwardAsync(Transaction tx, Guid contactId, int amount, string cause, string? description, CancellationToken ct) =>
        WriteAsync(tx, new Entry(contactId, Math.Abs(amount), "award", cause, description, Processed: true), ct);

    /// <summary>Takes <paramref name="amount"/> (above zero) credits, or is refused when the contact has fewer.</summary>
    public Task<Result<CreditEvent>> SpendAsync(Transaction tx, Guid contactId, int amount, string cause, string? description, CancellationToken ct) =>
        WriteAsync(tx, new Entry(contactId, -Math.Abs(amount), "spend", cause, description, Processed: true), ct);

    public async Task<CreditBalance> BalanceAsync(Transaction tx, Guid contactId, CancellationToken ct) =>
        await tx.FindAsync<CreditBalance>(Sql.Balance, [tx.TenantId, contactId], ct) ?? new CreditBalance(contactId, 0, 0, null);

    /// <summary>Writes an entry. A refusal ends the transaction: nothing more can be done in it.</summary>
    internal async Task<Result<CreditEvent>> WriteAsync(Transaction tx, Entry entry, CancellationToken ct)
    {
        // Held before the balance is: a merge takes the two in the same order, and none comes between.
        if (await contacts.HoldAsync(tx, entry.ContactId, ct) is not { } contact)
        {
            return Problem.NotFound("contact");
        }

        var profiles = (await contacts.ProfilesAsync(tx, contact.Id, ct)).ToArray();
        var id = clock.NewId();
        try
        {
            await InsertAsync(tx, id, entry with { ContactId = contact.Id }, profiles, ct);
        }
        catch (PostgresException e) when (Refusal(e) is not null)
        {
            return Refusal(e)!;
        }

        return await tx.SingleAsync<CreditEvent>(Sql.OfCause, [tx.TenantId, profiles, entry.Kind, entry.Cause], ct);
    }

    /// <summary>So many credits (below zero: so many fewer) go from one contact to another, by an entry of each.</summary>
    internal async Task TransferAsync(Transaction tx, Guid from, Guid into, int amount, string cause, CancellationToken ct)
    {
        if (amount != 0)
        {
            Entry given = new(from, -amount, "adjustment", cause, $"Merged into {into}.", Processed: true);
            Entry got = new(into, amount, "adjustment", cause, $"Of {from}, which was merged into this one.", Processed: true);
            if (!await InsertAsync(tx, clock.NewId(), given, [from], ct) || !await InsertAsync(tx, clock.NewId(), got, [into], ct))
            {
                // Half of it would make credits, or lose them.
                throw new InvalidOperationException($"There is an entry of the cause {cause} already.");
            }
        }
    }

    /// <summary>Makes a pending entry count. Doing so twice changes nothing.</summary>
    internal async Task<Result<CreditEvent>> ProcessAsync(Transaction tx, Guid id, CancellationToken ct)
    {
        if (await tx.FindAsync<CreditEvent>(Sql.Lock, [tx.TenantId, id], ct) is not { Processed: false } pending)
        {
            return await tx.FindAsync<CreditEvent>(Sql.Find, [tx.TenantId, id], ct) is { } earlier ? earlier : Problem.NotFound("credit_event");
        }

        await contacts.HoldAsync(tx, pending.ContactId, ct);
        try
        {
            if (pending.Amount < 0)
            {
                // The contact that it was merged into pays.
                await PassOnAsync(tx, pending.ContactId, pending.Amount, id, ct);
            }

            await tx.ExecuteAsync(Sql.Process, [tx.TenantId, id, clock.GetUtcNow()], ct);
            if (pending.Amount > 0)
            {
                await PassOnAsync(tx, pending.ContactId, pending.Amount, id, ct);
            }
        }
        catch (PostgresException e) when (Refusal(e) is not null)
        {
            return Refusal(e)!;
        }

        Announce(tx, pending.ContactId, pending.Kind, pending.Amount, pending.Cause);
        return await tx.SingleAsync<CreditEvent>(Sql.Find, [tx.TenantId, id], ct);
    }

    internal async Task<Page<CreditEvent>> ListAsync(Transaction tx, Guid? contactId, PageRequest page, CancellationToken ct) =>
        Page<CreditEvent>.Cut(await tx.QueryAsync<CreditEvent>(Sql.List, [tx.TenantId, contactId, page.Before, page.Fetch], ct), page, e => e.Id);

    /// <summary>An entry of a contact that was merged after it was written.</summary>
    private async Task PassOnAsync(Transaction tx, Guid contactId, int amount, Guid entry, CancellationToken ct)
    {
        if (await contacts.FindAsync(tx, contactId, ct) is { } now && now.Id != contactId)
        {
            await TransferAsync(tx, contactId, now.Id, amount, $"{OfMerges}{contactId}:{entry}", ct);
        }
    }

    /// <summary>False when one of the profiles has an entry of that cause.</summary>
    private async Task<bool> InsertAsync(Transaction tx, Guid id, Entry entry, Guid[] profiles, CancellationToken ct)
    {
        var written = await tx.ExecuteAsync(
            Sql.Write,
            [
                tx.TenantId, id, entry.ContactId, entry.Amount, entry.Kind, entry.Cause, entry.Description, entry.Processed, entry.Processed ? clock.GetUtcNow() : null,
                tx.Actor!.Role, profiles,
            ],
            ct);
        if (written == 1 && entry.Processed)
        {
            Announce(tx, entry.ContactId, entry.Kind, entry.Amount, entry.Cause);
        }

        return written == 1;
    }

    internal static Problem TooMany => Problem.Conflict("too_many_credits", $"A contact has at most {int.MaxValue} credits.");

    /// <summary>What the guard of balances says of an entry; null for another failure.</summary>
    private static Problem? Refusal(PostgresException e) => e.ConstraintName switch
    {
        "credit_balance_stays_positive" => Problem.Conflict("insufficient_credits", "The contact has fewer credits than that."),
        "credit_balance_fits" => TooMany,
        _ => null,
    };

    private void Announce(Transaction tx, Guid contactId, string kind, int amount, string cause) =>
        events.Append(tx, new NewEvent($"credits.{kind}", "contact", contactId, new { amount, cause }));

    internal sealed record Entry(Guid ContactId, int Amount, string Kind, string Cause, string? Description, bool Processed);

    private static class Sql
    {
        internal const string Write =
            """
            INSERT INTO credits.credit_events (tenant_id, id, contact_id, amount, kind, cause, description, processed, processed_at, created_by)
            SELECT $1::uuid, $2::uuid, $3::uuid, $4::int, $5::text, $6::text, $7::text, $8::boolean, $9::timestamptz, $10::text
            WHERE NOT EXISTS (SELECT FROM credits.credit_events WHERE tenant_id = $1 AND contact_id = ANY ($11::uuid[]) AND kind = $5 AND cause = $6)
            ON CONFLICT ON CONSTRAINT credit_cause_counts_once DO NOTHING
            """;

        internal const string OfCause =
            """
            SELECT id, contact_id, amount, kind, cause, description, processed, processed_at, created_by, created_at
            FROM credits.credit_events WHERE tenant_id = $1 AND contact_id = ANY ($2) AND kind = $3 AND cause = $4
            ORDER BY id LIMIT 1
            """;

        internal const string Lock =
            """
            SELECT id, contact_id, amount, kind, cause, description, processed, processed_at, created_by, created_at
            FROM credits.credit_events WHERE tenant_id = $1 AND id = $2 FOR UPDATE
            """;

        internal const string Process = "UPDATE credits.credit_events SET processed = true, processed_at = $3 WHERE tenant_id = $1 AND id = $2 AND NOT processed";

        internal const string Find =
            """
            SELECT id, contact_id, amount, kind, cause, description, processed, processed_at, created_by, created_at
            FROM credits.credit_events WHERE tenant_id = $1 AND id = $2
            """;

        internal const string List =
            """
            SELECT id, contact_id, amount, kind, cause, description, processed, processed_at, created_by, created_at
            FROM credits.credit_events
            WHERE tenant_id = $1 AND ($2::uuid IS NULL OR contact_id = $2) AND ($3::uuid IS NULL OR id < $3)
            ORDER BY id DESC LIMIT $4
            """;

        internal const string Balance = "SELECT contact_id, balance, events, changed_at FROM credits.user_credit_balances WHERE tenant_id = $1 AND contact_id = $2";
    }
}
