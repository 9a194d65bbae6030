using AgentPlatform.Postgres;

namespace AgentPlatform.Alerts;

/// <summary>Removes alerts that were told ninety days ago, and notifications past their time. Row level security lets this job see no other.</summary>
public sealed class AlertRetention(Database database)
{
    /// <summary>Returns how many went.</summary>
    public Task<int> PruneAsync(CancellationToken ct) => database.PruneAsync(ct, Sql.Notifications, Sql.Alerts);

    private static class Sql
    {
        internal const string Notifications =
            """
            DELETE FROM alerts.in_app_notifications
            WHERE (tenant_id, id) IN (SELECT tenant_id, id FROM alerts.in_app_notifications WHERE expires_at < now() LIMIT $1)
            """;

        internal const string Alerts =
            """
            DELETE FROM alerts.alert_history
            WHERE (tenant_id, id) IN (
                SELECT tenant_id, id FROM alerts.alert_history WHERE status <> 'folding' AND triggered_at < now() - interval '90 days' LIMIT $1)
            """;
    }
}
