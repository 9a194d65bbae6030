using AgentPlatform.Agents.Plans;
using AgentPlatform.Agents.Scenarios;
using AgentPlatform.Conversations;

namespace AgentPlatform.Brain.Scenarios;

/// <summary>Pure: a session that a deployed plan has marked goes over to the other version, or does not, and loses the mark.</summary>
internal static class ScenarioMigration
{
    internal const string Migrated = "migrated";

    /// <summary>A session that has left the plan's version since it was marked only loses the mark.</summary>
    internal static ConversationSession Apply(ConversationSession session, MigrationPlan plan, Scenario to, DateTimeOffset now)
    {
        var unmarked = session with { PendingMigration = null };
        if (session.ActiveScenarioId != plan.ScenarioId || session.ActiveScenarioVersion != plan.FromVersion)
        {
            return unmarked;
        }

        return plan.Of(session.CurrentStepId, to) switch
        {
            Destination.Go go => (unmarked with { ActiveScenarioVersion = to.Version }).MoveTo(go.Step.Id, now, Migrated),
            Destination.Restart => Restart(unmarked, to, now),
            Destination.Leave => unmarked with { ActiveScenarioId = null, ActiveScenarioVersion = null, CurrentStepId = null },
            _ => unmarked,
        };
    }

    /// <summary>From the first step, with every question open.</summary>
    private static ConversationSession Restart(ConversationSession session, Scenario to, DateTimeOffset now)
    {
        var open = session.Variables.Where(v => to.Collecting(v.Key) is null).ToDictionary(StringComparer.Ordinal);
        var walk = ScenarioWalk.From(to, to.Path[0], open, new HashSet<string>(StringComparer.Ordinal), new HashSet<Guid>());
        return new ScenarioMove(to, walk.Steps, ScenarioPlace.Entered, open, walk.Prompt).Apply(session, now);
    }
}
