using AgentPlatform.Billing.Usage;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Billing.Subscriptions;

/// <summary>
/// What the workspace is and may: its tier (<c>free</c> without a subscription) and status, and what is used of the period. Limits are null where there is
/// none: without a subscription, unless one is required, when they are 0.
/// </summary>
public sealed record Standing(
    string Tier, string Status, DateTimeOffset? StartedAt, DateTimeOffset? EndsAt, int? ExecutionLimit, int ExecutionsUsedThisPeriod, int AdditionalExecutions, bool HasUnlimitedPack,
    int? AgentLimit, int AdditionalAgentSlots, int AgentsSpawnedThisPeriod, int? MaxConcurrentAgents, int OverageExecutions);

internal sealed class ReadStanding(SubscriptionStore subscriptions, UsageRecords usage, AddOnStore addOns, IOptions<BillingOptions> options, TimeProvider clock)
{
    internal async Task<Standing> RunAsync(Transaction tx, CancellationToken ct)
    {
        if (await subscriptions.CurrentAsync(tx, ct) is not { } s)
        {
            int? limit = options.Value.SubscriptionRequired ? 0 : null;
            return new("free", "active", null, null, limit, 0, 0, false, limit, 0, 0, limit, 0);
        }

        var used = await usage.OpenOneAsync(tx, s.Id, ct);
        var slots = (await addOns.ActiveAsync(tx, s.Id, ct)).Sum(a => a.Quantity * a.AdditionalAgents);
        var packs = await tx.SingleAsync<PacksLeft>(Sql.PacksLeft, [tx.TenantId, clock.GetUtcNow()], ct);
        return new(
            s.Tier, s.Status, s.CurrentPeriodStart, s.CurrentPeriodEnd, used?.ExecutionLimit, used?.ExecutionsUsed ?? 0, packs.Executions, packs.IsUnlimited,
            s.MaxAgents + slots, slots, used?.AgentsSpawned ?? 0, s.MaxConcurrentAgents, used?.OverageExecutions ?? 0);
    }

    private sealed record PacksLeft(int Executions, bool IsUnlimited);

    private static class Sql
    {
        internal const string PacksLeft =
            """
            SELECT coalesce(sum(executions_remaining), 0)::integer AS executions, coalesce(bool_or(executions_remaining IS NULL), false) AS is_unlimited
            FROM billing.user_execution_packs WHERE tenant_id = $1 AND status = 'active' AND expires_at > $2
            """;
    }
}
