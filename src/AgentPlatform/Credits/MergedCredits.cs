using AgentPlatform.Contacts;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Credits;

/// <summary>What a merged contact has goes to the other. Entries do not move: the ledger only grows.</summary>
internal sealed class MergedCredits(CreditLedger ledger) : IContactMergeParticipant
{
    public async Task<Problem?> RefuseAsync(Transaction tx, Guid from, Guid into, CancellationToken ct) =>
        (long)(await ledger.BalanceAsync(tx, from, ct)).Balance + (await ledger.BalanceAsync(tx, into, ct)).Balance > int.MaxValue ? CreditLedger.TooMany : null;

    public async Task MoveAsync(Transaction tx, Guid from, Guid into, CancellationToken ct) =>
        await ledger.TransferAsync(tx, from, into, (await ledger.BalanceAsync(tx, from, ct)).Balance, $"{CreditLedger.OfMerges}{from}", ct);
}
