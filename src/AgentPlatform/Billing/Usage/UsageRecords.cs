using AgentPlatform.Billing.Subscriptions;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Billing.Usage;

/// <summary>
/// What a period used, beside the tier and the limits it had: <see cref="ExecutionsUsed"/> are all, those of packs (additional) and over the limits
/// (overage) among them. The record of the current period is open (<see cref="ClosedAt"/> null) and counts.
/// </summary>
public sealed record UsageRecord
{
    public Guid Id { get; init; }
    public Guid SubscriptionId { get; init; }
    public Guid TierId { get; init; }
    public DateTimeOffset PeriodStart { get; init; }
    public DateTimeOffset PeriodEnd { get; init; }
    public int ExecutionLimit { get; init; }
    public int AgentLimit { get; init; }
    public int ExecutionsUsed { get; init; }
    public int AgentsSpawned { get; init; }
    public int PeakConcurrentAgents { get; init; }
    public int AdditionalExecutionsPurchased { get; init; }
    public int AdditionalExecutionsUsed { get; init; }
    public int OverageExecutions { get; init; }
    public int OverageChargedCents { get; init; }
    public DateTimeOffset? ClosedAt { get; init; }
    public DateTimeOffset CreatedAt { get; init; }
}

/// <summary>An execution that was counted, and what it was taken from: included, pack or overage.</summary>
public sealed record CountedExecution(Guid Id, Guid UsageRecordId, Guid AgentId, string TakenFrom, Guid? PackId, DateTimeOffset StartedAt);

/// <summary>Opens and closes the records of periods.</summary>
internal sealed class UsageRecords(TimeProvider clock)
{
    internal void Open(Transaction tx, Subscription s) =>
        tx.Post(Sql.Open, tx.TenantId, clock.NewId(), s.Id, s.TierId, s.CurrentPeriodStart, s.CurrentPeriodEnd, s.ExecutionLimit, s.MaxAgents);

    /// <summary>Null when it is closed already. Which executions the periods before the last three months counted is forgotten; how many is not.</summary>
    internal async Task<UsageRecord?> CloseAsync(Transaction tx, Subscription s, CancellationToken ct)
    {
        var now = clock.GetUtcNow();
        tx.Post(Sql.Forget, tx.TenantId, now.AddDays(-90));
        return await tx.FindAsync<UsageRecord>(Sql.Close, [tx.TenantId, s.Id, now, s.CurrentPeriodEnd], ct);
    }

    internal Task<UsageRecord?> OpenOneAsync(Transaction tx, Guid subscriptionId, CancellationToken ct) => tx.FindAsync<UsageRecord>(Sql.OpenOne, [tx.TenantId, subscriptionId], ct);

    internal void Bought(Transaction tx, Guid subscriptionId, int executions) => tx.Post(Sql.Bought, tx.TenantId, subscriptionId, executions);

    internal void Charged(Transaction tx, Guid id, int cents) => tx.Post(Sql.Charged, tx.TenantId, id, cents);

    internal async Task<Page<UsageRecord>> ListAsync(Transaction tx, PageRequest page, CancellationToken ct) =>
        Page<UsageRecord>.Cut(await tx.QueryAsync<UsageRecord>(Sql.List, [tx.TenantId, page.Before, page.Fetch], ct), page, u => u.Id);

    internal async Task<Page<CountedExecution>> ExecutionsAsync(Transaction tx, PageRequest page, CancellationToken ct) =>
        Page<CountedExecution>.Cut(await tx.QueryAsync<CountedExecution>(Sql.Executions, [tx.TenantId, page.Before, page.Fetch], ct), page, e => e.Id);

    private static class Sql
    {
        internal const string Open =
            """
            INSERT INTO billing.subscription_usage_records (tenant_id, id, subscription_id, tier_id, period_start, period_end, execution_limit, agent_limit)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
            """;

        internal const string Close =
            """
            UPDATE billing.subscription_usage_records SET closed_at = $3::timestamptz, period_end = greatest(period_start, least($3::timestamptz, $4::timestamptz))
            WHERE tenant_id = $1 AND subscription_id = $2 AND closed_at IS NULL
            RETURNING *
            """;

        internal const string Forget =
            """
            DELETE FROM billing.executions
            WHERE tenant_id = $1 AND usage_record_id IN (SELECT id FROM billing.subscription_usage_records WHERE tenant_id = $1 AND closed_at < $2)
            """;

        internal const string OpenOne = "SELECT * FROM billing.subscription_usage_records WHERE tenant_id = $1 AND subscription_id = $2 AND closed_at IS NULL";

        internal const string Bought =
            """
            UPDATE billing.subscription_usage_records SET additional_executions_purchased = additional_executions_purchased + $3
            WHERE tenant_id = $1 AND subscription_id = $2 AND closed_at IS NULL
            """;

        internal const string Charged = "UPDATE billing.subscription_usage_records SET overage_charged_cents = $3 WHERE tenant_id = $1 AND id = $2";

        internal const string List =
            "SELECT * FROM billing.subscription_usage_records WHERE tenant_id = $1 AND ($2::uuid IS NULL OR id < $2) ORDER BY id DESC LIMIT $3";

        internal const string Executions =
            """
            SELECT id, usage_record_id, agent_id, taken_from, pack_id, started_at FROM billing.executions
            WHERE tenant_id = $1 AND ($2::uuid IS NULL OR id < $2) ORDER BY id DESC LIMIT $3
            """;
    }
}
