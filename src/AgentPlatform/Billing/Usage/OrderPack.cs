using AgentPlatform.Api;
using AgentPlatform.Billing.Catalogue;
using AgentPlatform.Billing.Payments;
using AgentPlatform.Billing.Subscriptions;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Work;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Billing.Usage;

/// <summary>A pack that was bought. Status: active, depleted (none remain), expired. Unlimited ones have no number.</summary>
public sealed record BoughtPack(
    Guid Id, Guid PackId, string Pack, Guid PaymentId, int? ExecutionsIncluded, int? ExecutionsRemaining, int PricePaidCents, string Status, DateTimeOffset PurchasedAt, DateTimeOffset ExpiresAt);

public sealed record PackOrder(string? Pack);

/// <summary>Orders a pack; it is there when its payment has succeeded.</summary>
internal sealed class OrderPack(Database database, Offers offers, SubscriptionStore subscriptions, PlacePayment place, IOptions<BillingOptions> options, TimeProvider clock)
{
    internal async Task<Result<Payment>> RunAsync(Actor actor, PackOrder order, CancellationToken ct)
    {
        if ((Subscribe.Managers(actor) ?? new Validation().Text("pack", order.Pack, 50, required: true).Problem) is { } problem)
        {
            return problem;
        }

        await using var tx = database.Begin(actor);
        if (await offers.PackAsync(tx, order.Pack!, ct) is not { } pack)
        {
            return Problem.NotFound("pack");
        }

        // Locked, so that of two orders the second counts the first.
        var subscription = await subscriptions.LockCurrentAsync(tx, ct);
        var monthAgo = clock.GetUtcNow().AddMonths(-1);
        var bought = pack.MaxPerMonth is null ? 0 : await tx.SingleAsync<int>(Sql.BoughtLately, [tx.TenantId, pack.Id, monthAgo], ct);
        if (Refuse(pack, subscription, bought, clock.GetUtcNow(), PageTime) is { } refused)
        {
            return refused;
        }

        var payment = await place.PackAsync(tx, subscription!, pack, ct);
        await tx.CommitAsync(ct);
        return payment;
    }

    internal static async Task<Page<BoughtPack>> ListAsync(Transaction tx, string? status, PageRequest page, CancellationToken ct) =>
        Page<BoughtPack>.Cut(await tx.QueryAsync<BoughtPack>(Sql.List, [tx.TenantId, status, page.Before, page.Fetch], ct), page, p => p.Id);

    private TimeSpan PageTime => TimeSpan.FromHours(options.Value.CheckoutHours);

    /// <summary>Pure. A pack that holds to the period's end is not sold when it could be paid after that.</summary>
    private static Problem? Refuse(ExecutionPack pack, Subscription? s, int bought, DateTimeOffset now, TimeSpan pageTime)
    {
        if (s is null or { Status: "paused" or "past_due" })
        {
            return Problem.Conflict("subscription_required", "Packs are sold to workspaces whose subscription is active.");
        }

        if (pack.Currency != s.Currency)
        {
            return Problem.Conflict("other_currency", $"The pack is sold in {pack.Currency}, the subscription in {s.Currency}.");
        }

        if (pack.MinRank > s.Rank)
        {
            return Problem.Conflict("tier_too_low", $"The pack needs the tier {pack.MinTier} or a better one.");
        }

        if (bought >= pack.MaxPerMonth)
        {
            return Problem.Conflict("pack_limit", $"At most {pack.MaxPerMonth} of this pack are sold in a month.");
        }

        return pack.ValidForDays is null && now + (s.PaysByItself ? TimeSpan.FromHours(1) : pageTime) >= s.CurrentPeriodEnd
            ? Problem.Conflict("period_ends", "The pack holds until the period's end, and might be paid only after it.")
            : null;
    }

    private static class Sql
    {
        internal const string BoughtLately =
            """
            SELECT count(*)::integer FROM billing.payments
            WHERE tenant_id = $1 AND purpose = 'pack' AND status IN ('pending', 'success') AND item -> 'pack' ->> 'id' = $2::uuid::text AND created_at > $3
            """;

        internal const string List =
            """
            SELECT b.id, b.pack_id, p.slug AS pack, b.payment_id, b.executions_included, b.executions_remaining, b.price_paid_cents, b.status, b.purchased_at, b.expires_at
            FROM billing.user_execution_packs AS b JOIN billing.execution_packs AS p ON p.id = b.pack_id
            WHERE b.tenant_id = $1 AND ($2::text IS NULL OR b.status = $2) AND ($3::uuid IS NULL OR b.id < $3) ORDER BY b.id DESC LIMIT $4
            """;
    }
}

internal sealed record PackWork(Guid Id);

/// <summary>A pack's time is over. Nothing was taken from it since: whoever takes looks at the time, too.</summary>
internal sealed class ExpirePack(Database database, TimeProvider clock) : IWorkHandler
{
    internal const string WorkKind = "billing.expire_pack";

    public async Task<WorkOutcome> HandleAsync(WorkItem item, CancellationToken ct)
    {
        await using var tx = database.Begin(Actor.System(item.TenantId));
        if (await tx.FindAsync<DateTimeOffset?>(Sql.ExpiresAt, [item.TenantId, item.Read<PackWork>().Id], ct) is not { } at)
        {
            return new WorkOutcome.Done();
        }

        if (at > clock.GetUtcNow())
        {
            return new WorkOutcome.Snooze(at - clock.GetUtcNow());
        }

        tx.Post(Sql.Expire, item.TenantId, item.Read<PackWork>().Id);
        item.Settle(tx, new WorkOutcome.Done());
        await tx.CommitAsync(ct);
        return WorkOutcome.Settled;
    }

    private static class Sql
    {
        internal const string ExpiresAt = "SELECT expires_at FROM billing.user_execution_packs WHERE tenant_id = $1 AND id = $2 AND status = 'active'";

        internal const string Expire = "UPDATE billing.user_execution_packs SET status = 'expired' WHERE tenant_id = $1 AND id = $2 AND status = 'active'";
    }
}
