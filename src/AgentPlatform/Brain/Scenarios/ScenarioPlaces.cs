using AgentPlatform.Agents.Plans;
using AgentPlatform.Agents.Scenarios;
using AgentPlatform.Conversations;
using AgentPlatform.Postgres;

namespace AgentPlatform.Brain.Scenarios;

/// <summary>
/// Finds where a session stands, once it has gone where a migration plan leads it. One that stands nowhere in its version of the scenario is let go.
/// </summary>
internal sealed class ScenarioPlaces(ScenarioStore scenarios, PlanStore plans, SessionStore sessions, AuditLog audit, TimeProvider clock)
{
    /// <summary>A round trip of its own only where the live version is not the one that the session began with.</summary>
    internal async Task<(ConversationSession Session, ScenarioPlace? Place)> FindAsync(
        Transaction tx, IReadOnlyList<Scenario> live, ConversationSession session, CancellationToken ct)
    {
        if (session is not { ActiveScenarioId: { } id, ActiveScenarioVersion: { } version })
        {
            return (session, null);
        }

        if (PendingMigration.Of(session.PendingMigration) is { } mark)
        {
            return await MigrateAsync(tx, session, mark, ct);
        }

        var scenario = live.FirstOrDefault(s => s.Id == id && s.Version == version) ?? await scenarios.FindVersionAsync(tx, id, version, ct);
        return ScenarioPlace.Of(session, scenario) is { } place ? (session, place) : (Saved(tx, Lost(session)), null);
    }

    private async Task<(ConversationSession Session, ScenarioPlace? Place)> MigrateAsync(Transaction tx, ConversationSession session, PendingMigration mark, CancellationToken ct)
    {
        tx.Gather();
        var planned = plans.FindAsync(tx, mark.PlanId, ct);
        var (before, after) = (scenarios.FindVersionAsync(tx, mark.ScenarioId, mark.FromVersion, ct), scenarios.FindVersionAsync(tx, mark.ScenarioId, mark.ToVersion, ct));
        await tx.AskAsync(ct);
        if ((await planned, await before, await after) is not ({ } plan, { } from, { } to))
        {
            throw new InvalidOperationException($"Session {session.SessionId} is to be migrated by plan {mark.PlanId}, of which a part is gone.");
        }

        var migrated = ScenarioMigration.Apply(session, plan, to, clock.GetUtcNow());
        var place = ScenarioPlace.Of(migrated, migrated.ActiveScenarioVersion == to.Version ? to : from);
        var what = new { plan_id = plan.Id, from_version = plan.FromVersion, version = migrated.ActiveScenarioVersion, from_step = session.CurrentStepId, step = migrated.CurrentStepId };
        audit.Append(tx, new AuditEvent("session.migrated", what) { SessionId = session.SessionId });
        var asked = from.Step(session.CurrentStepId)?.Collect?.Name;
        return (Saved(tx, place is null ? Lost(migrated) : migrated), place is null ? null : place with { Unasked = place.Step.Collect!.Name != asked });
    }

    private static ConversationSession Lost(ConversationSession session) =>
        session with { ActiveScenarioId = null, ActiveScenarioVersion = null, CurrentStepId = null, PendingMigration = null };

    /// <summary>With the rest of the turn; what is saved after it names the version that this makes.</summary>
    private ConversationSession Saved(Transaction tx, ConversationSession session)
    {
        sessions.Save(tx, session);
        return session with { Version = session.Version + 1 };
    }
}
