using AgentPlatform.Api;
using AgentPlatform.Billing.Catalogue;
using AgentPlatform.Billing.Payments;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Billing.Subscriptions;

/// <summary>Slots for agents that were bought. Price and slots are of one, as they were sold; the price is a period's. Status: active, cancelled.</summary>
public sealed record BoughtAddOn(
    Guid Id, Guid AddOnId, string AddOn, Guid PaymentId, int Quantity, int AdditionalAgents, int PriceCents, string Status, DateTimeOffset StartedAt, DateTimeOffset? CancelledAt, DateTimeOffset UpdatedAt);

public sealed record AddOnOrder(string? AddOn, int Quantity = 1);

/// <summary>Orders slots for agents: what is left of the period is paid now, further periods with the subscription.</summary>
internal sealed class OrderAddOn(Database database, Offers offers, SubscriptionStore subscriptions, AddOnStore addOns, PlacePayment place, TimeProvider clock)
{
    /// <summary>Of one order, so that a period's payment stays within what money is counted in.</summary>
    private const int MostCents = 100_000_000;

    internal async Task<Result<Payment>> RunAsync(Actor actor, AddOnOrder order, CancellationToken ct)
    {
        var invalid = Subscribe.Managers(actor)
            ?? new Validation().Text("add_on", order.AddOn, 50, required: true).Check("quantity", order.Quantity is >= 1 and <= 1000, "Must be 1 to 1000.").Problem;
        if (invalid is not null)
        {
            return invalid;
        }

        await using var tx = database.Begin(actor);
        if (await offers.AddOnAsync(tx, order.AddOn!, ct) is not { } addOn)
        {
            return Problem.NotFound("add_on");
        }

        var subscription = await subscriptions.LockCurrentAsync(tx, ct);
        if (subscription is not { Status: "active" } || subscription.CurrentPeriodEnd <= clock.GetUtcNow() || subscription.CancelAtPeriodEnd)
        {
            return Problem.Conflict("subscription_required", "Add-ons are sold to workspaces whose subscription is active and goes on.");
        }

        if (Refuse(addOn, subscription, await addOns.OrderedAsync(tx, addOn.Id, ct), order.Quantity) is { } refused)
        {
            return refused;
        }

        var tier = await offers.TierAsync(tx, subscription.TierId, ct);
        if ((long)Frequencies.Price(tier, addOn.MonthlyPriceCents, subscription.PaymentFrequency) * order.Quantity > MostCents)
        {
            return Problem.Invalid("quantity", "Costs more than one payment can take.");
        }

        var payment = await place.AddOnAsync(tx, subscription, tier, addOn, order.Quantity, ct);
        await tx.CommitAsync(ct);
        return payment;
    }

    /// <summary>The slots go at once; what was paid for the period is not given back.</summary>
    internal async Task<Result<BoughtAddOn>> CancelAsync(Actor actor, Guid id, IfMatch ifMatch, CancellationToken ct)
    {
        if (Subscribe.Managers(actor) is { } forbidden)
        {
            return forbidden;
        }

        await using var tx = database.Begin(actor);
        if (await addOns.LockAsync(tx, id, ct) is not { } bought)
        {
            return Problem.NotFound("add_on");
        }

        if (ifMatch.Check(bought.UpdatedAt) is { } stale)
        {
            return stale;
        }

        addOns.Cancel(tx, id);
        var cancelled = await addOns.LockAsync(tx, id, ct);
        await tx.CommitAsync(ct);
        return cancelled!;
    }

    /// <summary>Pure.</summary>
    private static Problem? Refuse(AgentAddOn addOn, Subscription s, int has, int wanted) =>
        addOn.Currency != s.Currency ? Problem.Conflict("other_currency", $"The add-on is sold in {addOn.Currency}, the subscription in {s.Currency}.")
        : addOn.MinRank > s.Rank ? Problem.Conflict("tier_too_low", $"The add-on needs the tier {addOn.MinTier} or a better one.")
        : has + wanted > addOn.MaxPerUser ? Problem.Conflict("add_on_limit", $"A workspace may have {addOn.MaxPerUser} of this add-on.")
        : null;
}

/// <summary>Reads and writes <c>billing.user_agent_add_ons</c>.</summary>
internal sealed class AddOnStore(TimeProvider clock)
{
    /// <summary>What the active ones cost for a period.</summary>
    internal Task<IReadOnlyList<BoughtAddOn>> ActiveAsync(Transaction tx, Guid subscriptionId, CancellationToken ct) => tx.QueryAsync<BoughtAddOn>(Sql.Active, [tx.TenantId, subscriptionId], ct);

    /// <summary>How many the workspace has, those among them that are still to be paid.</summary>
    internal Task<int> OrderedAsync(Transaction tx, Guid addOnId, CancellationToken ct) => tx.SingleAsync<int>(Sql.Ordered, [tx.TenantId, addOnId], ct);

    internal void Add(Transaction tx, Guid subscriptionId, Guid paymentId, SoldAddOn sold) =>
        tx.Post(Sql.Add, tx.TenantId, clock.NewId(), sold.Id, subscriptionId, paymentId, sold.Quantity, sold.AdditionalAgents, sold.PriceCents, clock.GetUtcNow());

    internal Task<BoughtAddOn?> LockAsync(Transaction tx, Guid id, CancellationToken ct) => tx.FindAsync<BoughtAddOn>(Sql.Lock, [tx.TenantId, id], ct);

    internal Task<BoughtAddOn?> FindAsync(Transaction tx, Guid id, CancellationToken ct) => tx.FindAsync<BoughtAddOn>(Sql.Find, [tx.TenantId, id], ct);

    internal void Cancel(Transaction tx, Guid id) => tx.Post(Sql.Cancel, tx.TenantId, id, clock.GetUtcNow());

    internal async Task<Page<BoughtAddOn>> ListAsync(Transaction tx, string? status, PageRequest page, CancellationToken ct) =>
        Page<BoughtAddOn>.Cut(await tx.QueryAsync<BoughtAddOn>(Sql.List, [tx.TenantId, status, page.Before, page.Fetch], ct), page, a => a.Id);

    private static class Sql
    {
        internal const string Active =
            """
            SELECT b.id, b.add_on_id, a.slug AS add_on, b.payment_id, b.quantity, b.additional_agents, b.price_cents, b.status, b.started_at, b.cancelled_at, b.updated_at
            FROM billing.user_agent_add_ons AS b JOIN billing.agent_add_ons AS a ON a.id = b.add_on_id
            WHERE b.tenant_id = $1 AND b.subscription_id = $2 AND b.status = 'active' ORDER BY b.id
            """;

        internal const string Ordered =
            """
            SELECT (coalesce((SELECT sum(quantity) FROM billing.user_agent_add_ons WHERE tenant_id = $1 AND add_on_id = $2 AND status = 'active'), 0)
                  + coalesce((SELECT sum((item -> 'add_on' ->> 'quantity')::integer) FROM billing.payments
                              WHERE tenant_id = $1 AND purpose = 'add_on' AND status = 'pending' AND item -> 'add_on' ->> 'id' = $2::uuid::text), 0))::integer
            """;

        internal const string Add =
            """
            INSERT INTO billing.user_agent_add_ons (tenant_id, id, add_on_id, subscription_id, payment_id, quantity, additional_agents, price_cents, started_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
            """;

        internal const string Lock =
            """
            SELECT b.id, b.add_on_id, a.slug AS add_on, b.payment_id, b.quantity, b.additional_agents, b.price_cents, b.status, b.started_at, b.cancelled_at, b.updated_at
            FROM billing.user_agent_add_ons AS b JOIN billing.agent_add_ons AS a ON a.id = b.add_on_id
            WHERE b.tenant_id = $1 AND b.id = $2 FOR UPDATE OF b
            """;

        internal const string Find =
            """
            SELECT b.id, b.add_on_id, a.slug AS add_on, b.payment_id, b.quantity, b.additional_agents, b.price_cents, b.status, b.started_at, b.cancelled_at, b.updated_at
            FROM billing.user_agent_add_ons AS b JOIN billing.agent_add_ons AS a ON a.id = b.add_on_id
            WHERE b.tenant_id = $1 AND b.id = $2
            """;

        internal const string Cancel =
            "UPDATE billing.user_agent_add_ons SET status = 'cancelled', cancelled_at = $3 WHERE tenant_id = $1 AND id = $2 AND status = 'active'";

        internal const string List =
            """
            SELECT b.id, b.add_on_id, a.slug AS add_on, b.payment_id, b.quantity, b.additional_agents, b.price_cents, b.status, b.started_at, b.cancelled_at, b.updated_at
            FROM billing.user_agent_add_ons AS b JOIN billing.agent_add_ons AS a ON a.id = b.add_on_id
            WHERE b.tenant_id = $1 AND ($2::text IS NULL OR b.status = $2) AND ($3::uuid IS NULL OR b.id < $3) ORDER BY b.id DESC LIMIT $4
            """;
    }
}
