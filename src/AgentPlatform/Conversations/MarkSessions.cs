using System.Text.Json;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Conversations;

/// <summary>Living sessions in one version of a scenario; of them, where something is given, those it names.</summary>
public sealed record ScenarioSessions(Guid ScenarioId, int Version)
{
    public string[]? Channels { get; init; }

    public Guid[]? ContactIds { get; init; }

    public Guid[]? StepIds { get; init; }

    public DateTimeOffset? ActiveSince { get; init; }
}

/// <summary>Leaves a mark on many sessions that their next turn acts on.</summary>
public sealed class MarkSessions(TimeProvider clock)
{
    /// <summary>How many were marked. A session in the middle of a turn is waited for, and looked at as the turn left it.</summary>
    public Task<int> ForMigrationAsync(Transaction tx, ScenarioSessions which, JsonElement mark, CancellationToken ct) => tx.ExecuteAsync(
        Sql.Mark,
        [which.ScenarioId, which.Version, Json.Param(mark), clock.GetUtcNow(), which.Channels, which.ContactIds, which.StepIds, which.ActiveSince?.ToUniversalTime()],
        ct);

    private static class Sql
    {
        internal const string Mark =
            """
            UPDATE conversations.sessions SET pending_migration = $3, version = version + 1
            WHERE tenant_id = kernel.current_tenant_id() AND active_scenario_id = $1 AND active_scenario_version = $2 AND status = 'ACTIVE' AND persist_until > $4
              AND ($5::text[] IS NULL OR channel = ANY ($5)) AND ($6::uuid[] IS NULL OR contact_id = ANY ($6))
              AND ($7::uuid[] IS NULL OR current_step_id = ANY ($7)) AND ($8::timestamptz IS NULL OR last_activity_at >= $8)
            """;
    }
}
