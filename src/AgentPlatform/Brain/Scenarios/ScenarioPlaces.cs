using AgentPlatform.Agents.Scenarios;
using AgentPlatform.Conversations;
using AgentPlatform.Postgres;

namespace AgentPlatform.Brain.Scenarios;

/// <summary>Finds where a session stands. One that stands nowhere in its version of the scenario is let go.</summary>
internal sealed class ScenarioPlaces(ScenarioStore scenarios, SessionStore sessions)
{
    /// <summary>A round trip of its own only where the live version is not the one that the session began with.</summary>
    internal async Task<(ConversationSession Session, ScenarioPlace? Place)> FindAsync(
        Transaction tx, IReadOnlyList<Scenario> live, ConversationSession session, CancellationToken ct)
    {
        if (session is not { ActiveScenarioId: { } id, ActiveScenarioVersion: { } version })
        {
            return (session, null);
        }

        var scenario = live.FirstOrDefault(s => s.Id == id && s.Version == version) ?? await scenarios.FindVersionAsync(tx, id, version, ct);
        return ScenarioPlace.Of(session, scenario) is { } place
            ? (session, place)
            : (Saved(tx, session with { ActiveScenarioId = null, ActiveScenarioVersion = null, CurrentStepId = null, PendingMigration = null }), null);
    }

    /// <summary>With the rest of the turn; what is saved after it names the version that this makes.</summary>
    private ConversationSession Saved(Transaction tx, ConversationSession session)
    {
        sessions.Save(tx, session);
        return session with { Version = session.Version + 1 };
    }
}
