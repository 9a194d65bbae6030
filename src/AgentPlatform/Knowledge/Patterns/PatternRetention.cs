using AgentPlatform.Postgres;

namespace AgentPlatform.Knowledge.Patterns;

/// <summary>
/// Forgets what the platform learned itself and has not met for 90 days: errors that nothing helped against, and steps that were taken once. What a
/// person has written or changed stays. Row level security lets this job see no other.
/// </summary>
public sealed class PatternRetention(Database database)
{
    /// <summary>Returns how many went.</summary>
    public Task<int> PruneAsync(CancellationToken ct) => database.PruneAsync(ct, Sql.Errors, Sql.Actions);

    private static class Sql
    {
        internal const string Errors =
            "DELETE FROM knowledge.error_patterns WHERE (tenant_id, id) IN (SELECT tenant_id, id FROM knowledge.error_patterns WHERE last_occurred < now() - interval '90 days' LIMIT $1)";

        internal const string Actions =
            "DELETE FROM knowledge.action_patterns WHERE (tenant_id, id) IN (SELECT tenant_id, id FROM knowledge.action_patterns WHERE last_executed < now() - interval '90 days' LIMIT $1)";
    }
}
