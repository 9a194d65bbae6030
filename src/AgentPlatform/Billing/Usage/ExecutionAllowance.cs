using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Billing.Usage;

/// <summary>Whether an execution may start: a closed set.</summary>
public abstract record Allowance
{
    private Allowance()
    {
    }

    public sealed record Granted : Allowance;

    /// <summary>As many agents are at work as may be at a time: later.</summary>
    public sealed record Wait(TimeSpan For) : Allowance;

    public sealed record Refused(string Reason) : Allowance;
}

/// <summary>What a workspace may still use, its counters locked until the transaction ends. A workspace without a subscription has none.</summary>
public sealed record LockedAllowance
{
    internal Guid UsageId { get; init; }
    internal string Status { get; init; } = "";
    internal int ExecutionLimit { get; init; }
    internal int ExecutionsUsed { get; init; }
    internal int AdditionalExecutionsUsed { get; init; }
    internal int OverageExecutions { get; init; }
    internal int MaxConcurrentAgents { get; init; }
    internal int MaxExecutionDurationMinutes { get; init; }
    internal int? OverageCents { get; init; }
    internal int? OverageCapCents { get; init; }
    internal bool PaysByItself { get; init; }
    internal bool IsTrial { get; init; }
    internal DateTimeOffset CurrentPeriodEnd { get; init; }

    /// <summary>When this execution was counted, if it was: it is tried again.</summary>
    internal DateTimeOffset? StartedAt { get; init; }

    internal int IncludedLeft => ExecutionLimit - (ExecutionsUsed - AdditionalExecutionsUsed - OverageExecutions);

    /// <summary>Only where what is owed can be asked for, and only so much.</summary>
    internal bool HasOverageLeft(DateTimeOffset now) =>
        Status == "active" && !IsTrial && PaysByItself && now < CurrentPeriodEnd && OverageCents is { } cents && (OverageExecutions + 1L) * cents <= OverageCapCents;
}

/// <summary>
/// Takes what starts from what the workspace has bought: included executions first, then packs, the earliest to expire first, then what may be owed.
/// The counters are locked from the look to the commit, so of two that start at once only one takes the last.
/// </summary>
public sealed class ExecutionAllowance
{
    private static readonly TimeSpan ConcurrencyPause = TimeSpan.FromSeconds(5);

    private const int MaxLooks = 5;

    private readonly IOptions<BillingOptions> _options;
    private readonly TimeProvider _clock;

    internal ExecutionAllowance(IOptions<BillingOptions> options, TimeProvider clock) => (_options, _clock) = (options, clock);

    /// <summary>Null without a subscription. <paramref name="executionId"/> is the same for every try of an execution.</summary>
    public async Task<LockedAllowance?> LockAsync(Transaction tx, Guid executionId, CancellationToken ct)
    {
        for (var look = 0; look < MaxLooks; look++)
        {
            tx.Gather();
            var (locking, asking) = (tx.FindAsync<LockedAllowance>(Sql.Lock, [tx.TenantId, executionId], ct), tx.SingleAsync<bool>(Sql.HasOne, [tx.TenantId], ct));
            await tx.AskAsync(ct);
            var (locked, isSubscribed) = (await locking, await asking);
            // A period that ended while its lock was waited for has a successor.
            if (locked is not null || !isSubscribed)
            {
                return locked;
            }
        }

        throw new InvalidOperationException("The workspace's subscription has no open period.");
    }

    /// <summary>Counts the execution, once, or says why it may not start. <paramref name="busyAgents"/>: how many other agents are executing something.</summary>
    public async Task<Allowance> TakeAsync(Transaction tx, LockedAllowance? locked, Guid executionId, Guid agentId, Func<Task<int>> busyAgents, CancellationToken ct)
    {
        if (locked is null)
        {
            return _options.Value.SubscriptionRequired ? new Allowance.Refused("The workspace has no subscription.") : new Allowance.Granted();
        }

        var now = _clock.GetUtcNow();
        if (locked.StartedAt is { } started && now - started > TimeSpan.FromMinutes(locked.MaxExecutionDurationMinutes))
        {
            return new Allowance.Refused($"It has been running for longer than {locked.MaxExecutionDurationMinutes} minutes.");
        }

        if (locked.Status == "paused")
        {
            return new Allowance.Refused("The workspace's subscription is paused.");
        }

        var busy = await busyAgents() + 1;
        if (busy > locked.MaxConcurrentAgents)
        {
            return new Allowance.Wait(ConcurrencyPause);
        }

        return locked.StartedAt is not null || await CountAsync(tx, locked, executionId, agentId, busy, now, ct)
            ? new Allowance.Granted()
            : new Allowance.Refused("All executions of the period are used.");
    }

    /// <summary>Counts an agent that is created, or says that there are as many as were bought. <paramref name="agents"/>: how many there are.</summary>
    public async Task<Problem?> TakeAgentAsync(Transaction tx, Func<Task<int>> agents, CancellationToken ct)
    {
        if (await LockAsync(tx, Guid.Empty, ct) is not { } locked)
        {
            return _options.Value.SubscriptionRequired ? Problem.Conflict("subscription_required", "The workspace has no subscription.") : null;
        }

        var slots = await tx.SingleAsync<int>(Sql.Slots, [tx.TenantId], ct);
        if (await agents() >= slots)
        {
            return Problem.Conflict("agent_limit", $"The subscription has {slots} agents.");
        }

        tx.Post(Sql.CountAgent, tx.TenantId, locked.UsageId);
        return null;
    }

    private static async Task<bool> CountAsync(Transaction tx, LockedAllowance locked, Guid executionId, Guid agentId, int busy, DateTimeOffset now, CancellationToken ct)
    {
        var (from, pack) = ("included", default(Guid?));
        if (locked.IncludedLeft <= 0)
        {
            pack = await tx.FindAsync<Guid?>(Sql.TakeFromPack, [tx.TenantId, now], ct);
            from = pack is not null ? "pack" : "overage";
        }

        if (from == "overage" && !locked.HasOverageLeft(now))
        {
            return false;
        }

        tx.Post(Sql.Count, tx.TenantId, locked.UsageId, from == "pack" ? 1 : 0, from == "overage" ? 1 : 0, busy);
        tx.Post(Sql.Execution, tx.TenantId, executionId, locked.UsageId, agentId, from, pack, now);
        return true;
    }

    private static class Sql
    {
        internal const string Lock =
            """
            SELECT u.id AS usage_id, s.status, u.execution_limit, u.executions_used, u.additional_executions_used, u.overage_executions, s.max_concurrent_agents,
                   s.max_execution_duration_minutes, s.overage_cents, s.overage_cap_cents, s.method_id IS NOT NULL AS pays_by_itself,
                   coalesce(s.trial_ends_at = s.current_period_end, false) AS is_trial, s.current_period_end, e.started_at
            FROM billing.subscription_usage_records AS u
            JOIN billing.subscriptions AS s ON s.tenant_id = u.tenant_id AND s.id = u.subscription_id
            LEFT JOIN billing.executions AS e ON e.tenant_id = u.tenant_id AND e.id = $2
            WHERE u.tenant_id = $1 AND u.closed_at IS NULL AND s.status <> 'cancelled'
            FOR UPDATE OF u
            """;

        internal const string HasOne = "SELECT EXISTS (SELECT FROM billing.subscriptions WHERE tenant_id = $1 AND status <> 'cancelled')";

        // Nobody else takes of a pack meanwhile: the counters of the workspace are locked.
        internal const string TakeFromPack =
            """
            UPDATE billing.user_execution_packs
            SET executions_remaining = executions_remaining - 1, status = CASE WHEN executions_remaining = 1 THEN 'depleted' ELSE 'active' END
            WHERE tenant_id = $1 AND id = (
                SELECT id FROM billing.user_execution_packs
                WHERE tenant_id = $1 AND status = 'active' AND expires_at > $2 ORDER BY expires_at, id LIMIT 1)
            RETURNING id
            """;

        internal const string Count =
            """
            UPDATE billing.subscription_usage_records
            SET executions_used = executions_used + 1, additional_executions_used = additional_executions_used + $3, overage_executions = overage_executions + $4,
                peak_concurrent_agents = greatest(peak_concurrent_agents, $5)
            WHERE tenant_id = $1 AND id = $2
            """;

        internal const string Execution =
            "INSERT INTO billing.executions (tenant_id, id, usage_record_id, agent_id, taken_from, pack_id, started_at) VALUES ($1, $2, $3, $4, $5, $6, $7)";

        internal const string Slots =
            """
            SELECT (s.max_agents + coalesce((
                SELECT sum(a.quantity * a.additional_agents) FROM billing.user_agent_add_ons AS a
                WHERE a.tenant_id = s.tenant_id AND a.subscription_id = s.id AND a.status = 'active'), 0))::integer
            FROM billing.subscriptions AS s WHERE s.tenant_id = $1 AND s.status <> 'cancelled'
            """;

        internal const string CountAgent = "UPDATE billing.subscription_usage_records SET agents_spawned = agents_spawned + 1 WHERE tenant_id = $1 AND id = $2";
    }
}
