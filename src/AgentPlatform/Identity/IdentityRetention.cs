using AgentPlatform.Postgres;

namespace AgentPlatform.Identity;

/// <summary>
/// Forgets what is past its time: logged requests after 30 days, remembered answers after a day, rate windows when they end. Row
/// level security lets this job see nothing younger.
/// </summary>
public sealed class IdentityRetention(Database database)
{
    /// <summary>Returns how many rows went.</summary>
    public Task<int> PruneAsync(CancellationToken ct) => database.PruneAsync(ct, Sql.Requests, Sql.Answers, Sql.Windows);

    private static class Sql
    {
        internal const string Requests =
            """
            DELETE FROM identity.api_request_logs
            WHERE (tenant_id, id) IN (SELECT tenant_id, id FROM identity.api_request_logs WHERE created_at < now() - interval '30 days' LIMIT $1)
            """;

        internal const string Answers =
            """
            DELETE FROM identity.idempotency_keys
            WHERE (tenant_id, api_key_id, key) IN (SELECT tenant_id, api_key_id, key FROM identity.idempotency_keys WHERE expires_at < now() LIMIT $1)
            """;

        internal const string Windows =
            """
            DELETE FROM identity.rate_counters
            WHERE (tenant_id, user_id, endpoint) IN (SELECT tenant_id, user_id, endpoint FROM identity.rate_counters WHERE expires_at < now() LIMIT $1)
            """;
    }
}
