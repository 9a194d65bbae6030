using AgentPlatform.Api;
using AgentPlatform.Billing.Payments;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Work;

namespace AgentPlatform.Billing.Subscriptions;

/// <summary>Why a subscription is cancelled, and whether at once instead of at the end of its period.</summary>
public sealed record CancelInput(string? Reason, bool Immediately = false);

/// <summary>What members do to the workspace's current subscription. Money that is paid is given back by a refund, and by nothing here.</summary>
internal sealed class ChangeSubscription(Database database, SubscriptionStore subscriptions, EndSubscription end, WorkQueue work)
{
    internal Task<Result<Subscription>> CancelAsync(Actor actor, CancelInput input, IfMatch ifMatch, CancellationToken ct) =>
        new Validation().Text("reason", input.Reason, 500).Problem is { } invalid
            ? Task.FromResult<Result<Subscription>>(invalid)
            : ChangeAsync(actor, ifMatch, async (tx, s) =>
            {
                if (input.Immediately)
                {
                    await end.RunAsync(tx, s, input.Reason ?? "cancelled", ct);
                }
                else
                {
                    subscriptions.CancelAtPeriodEnd(tx, s.Id, cancel: true, input.Reason);
                }

                return null;
            }, ct);

    /// <summary>Takes back a cancellation that was to come at the end of the period.</summary>
    internal Task<Result<Subscription>> KeepAsync(Actor actor, IfMatch ifMatch, CancellationToken ct) => ChangeAsync(actor, ifMatch, (tx, s) =>
    {
        if (!s.CancelAtPeriodEnd)
        {
            return Refused("not_cancelled", "The subscription is not cancelled.");
        }

        subscriptions.CancelAtPeriodEnd(tx, s.Id, cancel: false, reason: null);
        return Allowed;
    }, ct);

    /// <summary>Nothing is executed and no further period is paid until it is resumed. The period that is paid goes on.</summary>
    internal Task<Result<Subscription>> PauseAsync(Actor actor, IfMatch ifMatch, CancellationToken ct) => ChangeAsync(actor, ifMatch, (tx, s) =>
    {
        if (s.Status != "active")
        {
            return Refused("not_active", "Only an active subscription can be paused.");
        }

        subscriptions.Move(tx, s.Id, "paused");
        return Allowed;
    }, ct);

    /// <summary>Goes on with the period; if that is over meanwhile, it ends now, and the next one is asked for at once.</summary>
    internal Task<Result<Subscription>> ResumeAsync(Actor actor, IfMatch ifMatch, CancellationToken ct) => ChangeAsync(actor, ifMatch, (tx, s) =>
    {
        if (s.Status != "paused")
        {
            return Refused("not_paused", "The subscription is not paused.");
        }

        subscriptions.Move(tx, s.Id, "active");
        subscriptions.EndPeriodNow(tx, s.Id);
        work.Hasten(tx, SubscriptionClock.WorkKind, s.Id.ToString());
        return Allowed;
    }, ct);

    private static Task<Problem?> Allowed => Task.FromResult<Problem?>(null);

    private static Task<Problem?> Refused(string code, string title) => Task.FromResult<Problem?>(Problem.Conflict(code, title));

    private async Task<Result<Subscription>> ChangeAsync(Actor actor, IfMatch ifMatch, Func<Transaction, Subscription, Task<Problem?>> change, CancellationToken ct)
    {
        if (Subscribe.Managers(actor) is { } forbidden)
        {
            return forbidden;
        }

        await using var tx = database.Begin(actor);
        if (await subscriptions.LockCurrentAsync(tx, ct) is not { } subscription)
        {
            return Problem.NotFound("subscription");
        }

        if ((ifMatch.Check(subscription.UpdatedAt) ?? await change(tx, subscription)) is { } refused)
        {
            return refused;
        }

        var changed = await subscriptions.FindAsync(tx, subscription.Id, ct);
        await tx.CommitAsync(ct);
        return changed!;
    }
}
