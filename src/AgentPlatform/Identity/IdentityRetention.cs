using AgentPlatform.Postgres;

namespace AgentPlatform.Identity;

/// <summary>
/// Forgets what is past its time: logged requests after 30 days, remembered answers after a day, rate windows and sessions when they
/// end, links to set passwords a day later, attempts to sign in after 90 days. Row
/// level security lets this job see nothing younger.
/// </summary>
public sealed class IdentityRetention(Database database)
{
    /// <summary>Returns how many rows went.</summary>
    public Task<int> PruneAsync(CancellationToken ct) => database.PruneAsync(ct, Sql.Requests, Sql.Answers, Sql.Windows, Sql.Sessions, Sql.Links, Sql.Attempts);

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

        internal const string Sessions =
            "DELETE FROM identity.sessions WHERE (tenant_id, id) IN (SELECT tenant_id, id FROM identity.sessions WHERE expires_at < now() LIMIT $1)";

        internal const string Links =
            """
            DELETE FROM identity.password_reset_tokens
            WHERE id IN (SELECT id FROM identity.password_reset_tokens WHERE expires_at < now() - interval '1 day' LIMIT $1)
            """;

        internal const string Attempts =
            """
            DELETE FROM identity.login_attempts
            WHERE id IN (SELECT id FROM identity.login_attempts WHERE attempted_at < now() - interval '90 days' LIMIT $1)
            """;

        internal const string Windows =
            """
            DELETE FROM identity.rate_counters
            WHERE (tenant_id, user_id, endpoint) IN (SELECT tenant_id, user_id, endpoint FROM identity.rate_counters WHERE expires_at < now() LIMIT $1)
            """;
    }
}
