using System.Text.Json;
using AgentPlatform.Agents.Scenarios;
using AgentPlatform.Conversations;

namespace AgentPlatform.Brain.Scenarios;

/// <summary>Where a talk stands in a scenario. <see cref="Passed"/>: the steps of this run, the present one included.</summary>
internal sealed record ScenarioPlace(Scenario Scenario, ScenarioStep Step, IReadOnlySet<Guid> Passed)
{
    /// <summary>The reason of the first step of a run in the session's history of steps.</summary>
    internal const string Entered = "entered";

    /// <summary>The reason of the first step after a correction.</summary>
    internal const string Corrected = "corrected";

    /// <summary>The steps since the last correction: those before it were gone again with what is known.</summary>
    internal IReadOnlySet<Guid> Recent { get; private init; } = Passed;

    /// <summary>A new version has put another question in the place of the one that was asked, so what is said does not answer it.</summary>
    internal bool Unasked { get; init; }

    /// <summary>Null when the session is in no scenario, or stands where this version has no step that waits.</summary>
    internal static ScenarioPlace? Of(ConversationSession session, Scenario? scenario) =>
        scenario?.Step(session.CurrentStepId) is { Collect: not null } step
            ? new(scenario, step, Since(session.StepHistory, Entered)) { Recent = Since(session.StepHistory, Entered, Corrected) }
            : null;

    /// <summary>As it was when somebody looked.</summary>
    internal static ScenarioPlace Again(Scenario scenario, ScenarioStep step, Guid[] passed, Guid[] recent, bool unasked) =>
        new(scenario, step, passed.ToHashSet()) { Recent = recent.ToHashSet(), Unasked = unasked };

    private static HashSet<Guid> Since(IReadOnlyList<SessionStep> history, params string[] reasons) =>
        [.. history.Skip(history.ToList().FindLastIndex(step => reasons.Contains(step.Reason))).Select(step => step.StepId)];
}

/// <summary>
/// What a turn does to the session's scenario: the steps it went through, and the variables after it. Without a prompt the scenario is over.
/// </summary>
internal sealed record ScenarioMove(Scenario Scenario, IReadOnlyList<ScenarioStep> Steps, string Reason, IReadOnlyDictionary<string, JsonElement> Variables, string? Prompt)
{
    internal const string Left = "left";

    internal ConversationSession Apply(ConversationSession session, DateTimeOffset at)
    {
        var moved = Steps.Aggregate(session with { Variables = Variables }, (now, step) => now.MoveTo(step.Id, at, Reason is ScenarioPlace.Entered && step != Steps[0] ? null : Reason));
        return Prompt is not null
            ? moved with { ActiveScenarioId = Scenario.Id, ActiveScenarioVersion = Scenario.Version }
            : moved with { ActiveScenarioId = null, ActiveScenarioVersion = null, CurrentStepId = null, PendingMigration = null };
    }

    /// <summary>As the turn's record keeps it.</summary>
    internal object Record => new
    {
        scenario_id = Scenario.Id,
        name = Scenario.Name,
        version = Scenario.Version,
        reason = Reason,
        steps = Steps.Select(step => step.Name),
        over = Prompt is null,
    };
}
