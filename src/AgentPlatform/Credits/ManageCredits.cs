using AgentPlatform.Api;
using AgentPlatform.Contacts;
using AgentPlatform.Identity;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Credits;

/// <summary>An entry to write. Award and spend take an amount above zero, adjustment one of either sign. A pending entry counts once it is processed.</summary>
public sealed record WriteCredits(Guid? ContactId, int? Amount, string? Kind, string? Cause, string? Description, bool Pending = false);

internal sealed class ManageCredits(Database database, CreditLedger ledger, ContactDirectory contacts)
{
    private const int MaxAmount = 1_000_000_000;

    internal async Task<Result<CreditEvent>> WriteAsync(Actor actor, WriteCredits request, CancellationToken ct)
    {
        if (Check(request) is { } problem)
        {
            return problem;
        }

        if (request.Kind == "adjustment" && !Roles.AtLeast(actor.Role, "admin"))
        {
            return Problem.Forbidden("managers_only", "Only owners and admins adjust credits.");
        }

        await using var tx = database.Begin(actor);
        var amount = request.Kind == "spend" ? -request.Amount!.Value : request.Amount!.Value;
        var written = await ledger.WriteAsync(
            tx, new CreditLedger.Entry(request.ContactId!.Value, amount, request.Kind!, request.Cause!, request.Description, !request.Pending), ct);
        if (written.IsOk)
        {
            await tx.CommitAsync(ct);
        }

        return written;
    }

    internal async Task<Result<CreditEvent>> ProcessAsync(Actor actor, Guid id, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        var processed = await ledger.ProcessAsync(tx, id, ct);
        if (processed.IsOk)
        {
            await tx.CommitAsync(ct);
        }

        return processed;
    }

    internal async Task<Page<CreditEvent>> ListAsync(Actor actor, Guid? contactId, PageRequest page, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        return await ledger.ListAsync(tx, contactId, page, ct);
    }

    internal async Task<Result<CreditBalance>> BalanceAsync(Actor actor, Guid contactId, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        return await contacts.FindAsync(tx, contactId, ct) is { } contact ? await ledger.BalanceAsync(tx, contact.Id, ct) : Problem.NotFound("contact");
    }

    private static Problem? Check(WriteCredits request) =>
        new Validation()
            .Check("contact_id", request.ContactId is not null, "Is required.")
            .OneOf("kind", request.Kind, required: true, "award", "spend", "adjustment")
            .Check("amount", request.Amount is { } amount && amount != 0 && Math.Abs((long)amount) <= MaxAmount, $"Is required, not zero, at most {MaxAmount}.")
            .Check("amount", request.Kind == "adjustment" || request.Amount is null or > 0, "Must be above zero.")
            .Text("cause", request.Cause, 200, required: true)
            .Check("cause", request.Cause?.StartsWith(CreditLedger.OfMerges, StringComparison.Ordinal) != true, $"Must not begin with {CreditLedger.OfMerges}, which is for merges.")
            .Text("description", request.Description, 500)
            .Problem;
}
