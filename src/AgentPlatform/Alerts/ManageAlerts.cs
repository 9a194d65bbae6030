using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Alerts;

/// <summary>Which alerts are asked for.</summary>
internal sealed record AlertFilter(string? Status, string? Severity, Guid? RuleId, Guid? TaskId, bool? Acknowledged);

/// <summary>What members do with alerts.</summary>
public sealed class ManageAlerts(Database database, EventStore events, TimeProvider clock)
{
    internal static async Task<Page<Alert>> ListAsync(Transaction tx, AlertFilter filter, PageRequest page, CancellationToken ct) => Page<Alert>.Cut(
        await tx.QueryAsync<Alert>(Sql.List, [filter.Status, filter.Severity, filter.RuleId, filter.TaskId, filter.Acknowledged, page.Before, page.Fetch], ct), page, a => a.Id);

    public static Task<Alert?> FindAsync(Transaction tx, Guid id, CancellationToken ct) => tx.FindAsync<Alert>(Sql.Find, [id], ct);

    /// <summary>Of an alert, or of all; newest first.</summary>
    public static async Task<Page<AlertDelivery>> DeliveriesAsync(Transaction tx, Guid? alertId, string? status, PageRequest page, CancellationToken ct) =>
        Page<AlertDelivery>.Cut(await tx.QueryAsync<AlertDelivery>(Sql.Deliveries, [alertId, status, page.Before, page.Fetch], ct), page, d => d.Id);

    /// <summary>Somebody has taken notice, and looks after it: once.</summary>
    public async Task<Result<Alert>> AcknowledgeAsync(Actor actor, Guid id, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        if (await tx.FindAsync<Alert>(Sql.Acknowledge, [id, clock.GetUtcNow(), actor.UserId], ct) is not { } acknowledged)
        {
            return await FindAsync(tx, id, ct) switch
            {
                null => Problem.NotFound("alert"),
                { Status: "folding" } => Problem.Conflict("alert_folding", "The alert has not been told yet."),
                var known => Problem.Conflict("alert_acknowledged", "The alert has been acknowledged already.", $"By {known.AcknowledgedBy} at {known.AcknowledgedAt:O}."),
            };
        }

        events.Append(tx, new NewEvent("alert.acknowledged", "alert", id, new { acknowledged_by = actor.UserId }));
        await tx.CommitAsync(ct);
        return acknowledged;
    }

    /// <summary>With its deliveries and notifications.</summary>
    internal async Task<Result<Guid>> DeleteAsync(Actor actor, Guid id, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        if (await tx.ExecuteAsync(Sql.Delete, [id], ct) == 0)
        {
            return Problem.NotFound("alert");
        }

        await tx.CommitAsync(ct);
        return id;
    }

    private static class Sql
    {
        internal const string List =
            """
            SELECT * FROM alerts.alert_history
            WHERE tenant_id = kernel.current_tenant_id() AND ($1::text IS NULL OR status = $1) AND ($2::text IS NULL OR severity = $2)
              AND ($3::uuid IS NULL OR rule_id = $3) AND ($4::uuid IS NULL OR task_id = $4)
              AND ($5::boolean IS NULL OR (acknowledged_at IS NOT NULL) = $5) AND ($6::uuid IS NULL OR id < $6)
            ORDER BY id DESC LIMIT $7
            """;

        internal const string Find = "SELECT * FROM alerts.alert_history WHERE tenant_id = kernel.current_tenant_id() AND id = $1";

        internal const string Deliveries =
            """
            SELECT * FROM alerts.alert_delivery_queue
            WHERE tenant_id = kernel.current_tenant_id() AND ($1::uuid IS NULL OR alert_history_id = $1) AND ($2::text IS NULL OR status = $2) AND ($3::uuid IS NULL OR id < $3)
            ORDER BY id DESC LIMIT $4
            """;

        internal const string Acknowledge =
            """
            UPDATE alerts.alert_history SET acknowledged_at = $2, acknowledged_by = $3
            WHERE tenant_id = kernel.current_tenant_id() AND id = $1 AND acknowledged_at IS NULL AND status <> 'folding'
            RETURNING *
            """;

        internal const string Delete = "DELETE FROM alerts.alert_history WHERE tenant_id = kernel.current_tenant_id() AND id = $1";
    }
}
