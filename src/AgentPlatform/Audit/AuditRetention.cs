using AgentPlatform.Postgres;

namespace AgentPlatform.Audit;

/// <summary>Forgets what is more than 400 days old: a year can be looked at as a whole after it has ended. Row level security lets this job see nothing younger.</summary>
public sealed class AuditRetention(Database database)
{
    /// <summary>Returns how many rows went.</summary>
    public Task<int> PruneAsync(CancellationToken ct) => database.PruneAsync(ct, Sql.Changes, Sql.Operations, Sql.Threats);

    private static class Sql
    {
        internal const string Changes =
            "DELETE FROM audit.audit_logs WHERE (tenant_id, id) IN (SELECT tenant_id, id FROM audit.audit_logs WHERE created_at < now() - interval '400 days' LIMIT $1)";

        internal const string Operations =
            """
            DELETE FROM audit.security_audit_log
            WHERE (tenant_id, id) IN (SELECT tenant_id, id FROM audit.security_audit_log WHERE created_at < now() - interval '400 days' LIMIT $1)
            """;

        internal const string Threats =
            """
            DELETE FROM audit.security_events
            WHERE (tenant_id, id) IN (SELECT tenant_id, id FROM audit.security_events WHERE created_at < now() - interval '400 days' LIMIT $1)
            """;
    }
}
