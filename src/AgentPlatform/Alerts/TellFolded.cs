using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Work;

namespace AgentPlatform.Alerts;

/// <summary>The time has come to tell what a rule held back, unless a later match has taken it along, or the rule is paused: then its resumption asks again.</summary>
internal sealed class TellFolded(Database database, RaiseAlert raise, TimeProvider clock) : IWorkHandler
{
    internal const string Kind = "alerts.tell_folded";

    internal static NewWork Work(Guid alertId, Guid ruleId, Guid key, DateTimeOffset? at) => new(Kind, key.ToString("n"), new Payload(alertId, ruleId)) { RunAt = at };

    public async Task<WorkOutcome> HandleAsync(WorkItem item, CancellationToken ct)
    {
        var folded = item.Read<Payload>();
        await using var tx = database.Begin(Actor.System(item.TenantId));
        // The rule before the alert: a match locks them in this order.
        if (await tx.FindAsync<AlertRule>(Sql.LockRule, [folded.RuleId], ct) is not { } rule || await tx.FindAsync<Alert>(Sql.Held, [folded.AlertId], ct) is not { } alert)
        {
            return new WorkOutcome.Cancel("It has been told, or is gone.");
        }

        if (await raise.PassAsync(tx, rule.Id, isMatch: false, ct) is not { } passage)
        {
            return new WorkOutcome.Cancel("The rule rests.");
        }

        if (!passage.MaySend)
        {
            return new WorkOutcome.Snooze(passage.HeldUntil!.Value - clock.GetUtcNow());
        }

        await raise.TellAsync(tx, rule, alert, ct);
        item.Settle(tx, new WorkOutcome.Done());
        await tx.CommitAsync(ct);
        return WorkOutcome.Settled;
    }

    private sealed record Payload(Guid AlertId, Guid RuleId);

    private static class Sql
    {
        internal const string LockRule = "SELECT * FROM alerts.alert_rules WHERE tenant_id = kernel.current_tenant_id() AND id = $1 FOR NO KEY UPDATE";

        internal const string Held = "SELECT * FROM alerts.alert_history WHERE tenant_id = kernel.current_tenant_id() AND id = $1 AND status = 'folding'";
    }
}
