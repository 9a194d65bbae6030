using AgentPlatform.Api;
using AgentPlatform.Billing.Catalogue;
using AgentPlatform.Billing.Payments;
using AgentPlatform.Billing.Payments.Providers;
using AgentPlatform.Billing.Usage;
using AgentPlatform.Identity;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Npgsql;

namespace AgentPlatform.Billing.Subscriptions;

/// <summary>What is ordered: a tier by its slug, how often it is paid, by which provider, and whether the tier's trial comes first.</summary>
public sealed record SubscribeInput(string? Tier, string? PaymentFrequency, string? Provider, bool Trial = false);

/// <summary>What came of an order: a payment to be made, or a trial that has begun.</summary>
public sealed record Ordered(Subscription? Subscription, Payment? Payment);

/// <summary>
/// Orders a subscription. It begins when its first payment has succeeded, or at once with a trial, which is paid for at its end, or before it, by
/// <see cref="PayAsync"/>.
/// </summary>
internal sealed class Subscribe(Database database, Offers offers, SubscriptionStore subscriptions, PaymentStore payments, PlacePayment place, UsageRecords usage, PaymentProviders providers, TimeProvider clock)
{
    internal async Task<Result<Ordered>> RunAsync(Actor actor, SubscribeInput input, CancellationToken ct)
    {
        if (Check(actor, input) is { } problem)
        {
            return problem;
        }

        try
        {
            return await OrderAsync(actor, input, ct);
        }
        catch (PostgresException e) when (e.ConstraintName is "one_current_subscription" or "one_pending_payment_of_a_period")
        {
            return AlreadySubscribed;
        }
    }

    private async Task<Result<Ordered>> OrderAsync(Actor actor, SubscribeInput input, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        if (await offers.TierAsync(tx, input.Tier!, ct) is not { IsActive: true } tier)
        {
            return Problem.NotFound("tier");
        }

        if (providers.Check(input.Provider!, tier.Currency) is { } refused)
        {
            return refused;
        }

        if (await subscriptions.LockCurrentAsync(tx, ct) is not null || await payments.IsPendingAsync(tx, ct))
        {
            return AlreadySubscribed;
        }

        var terms = SubscriptionTerms.Of(tier, input.PaymentFrequency ?? "monthly");
        return input.Trial
            ? await TryAsync(tx, tier, terms, input.Provider!, ct)
            : await CommitAsync(tx, new Ordered(null, await place.FirstAsync(tx, terms, input.Provider!, ct)), ct);
    }

    /// <summary>Pays for a trial before its end, or for a period that is due, by a new payment page.</summary>
    internal async Task<Result<Ordered>> PayAsync(Actor actor, CancellationToken ct)
    {
        if (Managers(actor) is { } problem)
        {
            return problem;
        }

        await using var tx = database.Begin(actor);
        if (await subscriptions.LockCurrentAsync(tx, ct) is not { Status: "trial" or "past_due" } subscription)
        {
            return Problem.Conflict("nothing_due", "The workspace has no trial and no unpaid period.");
        }

        if (await payments.IsPendingAsync(tx, ct))
        {
            return Problem.Conflict("payment_pending", "A payment for it is under way.");
        }

        var payment = await place.NextPeriodAsync(tx, subscription, atThePage: true, ct);
        return await CommitAsync(tx, new Ordered(subscription, payment), ct);
    }

    private static Problem AlreadySubscribed => Problem.Conflict("already_subscribed", "The workspace has a subscription, or one that waits to be paid.");

    internal static Problem? Managers(Actor actor) =>
        Roles.AtLeast(actor.Role, "admin") ? null : Problem.Forbidden("managers_only", "Only owners and admins buy for the workspace.");

    private async Task<Result<Ordered>> TryAsync(Transaction tx, Tier tier, SubscriptionTerms terms, string provider, CancellationToken ct)
    {
        if (tier.TrialDays == 0 || await tx.SingleAsync<bool>(Sql.HadTrial, [tx.TenantId], ct))
        {
            return Problem.Conflict("no_trial", "The tier has no trial, or the workspace has had one.");
        }

        var now = clock.GetUtcNow();
        var trial = await subscriptions.CreateAsync(tx, terms, provider, now, now.AddDays(tier.TrialDays), now.AddDays(tier.TrialDays), ct);
        usage.Open(tx, trial);
        place.Watch(tx, trial.Id);
        return await CommitAsync(tx, new Ordered(trial, null), ct);
    }

    private static async Task<Result<Ordered>> CommitAsync(Transaction tx, Ordered ordered, CancellationToken ct)
    {
        await tx.CommitAsync(ct);
        return ordered;
    }

    private static Problem? Check(Actor actor, SubscribeInput input) => Managers(actor) ?? new Validation()
        .Text("tier", input.Tier, 50, required: true)
        .OneOf("payment_frequency", input.PaymentFrequency, required: false, Frequencies.All)
        .OneOf("provider", input.Provider, required: true, PaymentProviders.Names)
        .Problem;

    private static class Sql
    {
        internal const string HadTrial = "SELECT EXISTS (SELECT FROM billing.subscriptions WHERE tenant_id = $1 AND trial_ends_at IS NOT NULL)";
    }
}
