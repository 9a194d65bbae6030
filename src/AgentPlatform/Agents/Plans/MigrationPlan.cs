using System.Text.Json;
using AgentPlatform.Agents.Scenarios;
using AgentPlatform.Kernel;

namespace AgentPlatform.Agents.Plans;

/// <summary>
/// How talks in one version of a scenario go over to another. Status: DRAFT, APPROVED, DEPLOYED or REJECTED. <see cref="TransformationMap"/>: for
/// a step the step of the other version, by name; null ends the scenario; a step that is not in it goes to the one of its name.
/// <see cref="AnchorPolicies"/>: for a step what happens to talks that stand there. <see cref="SessionsMarked"/>: how many talks the deployment found.
/// </summary>
public sealed record MigrationPlan(
    Guid Id, Guid ScenarioId, int FromVersion, int ToVersion, string Status, JsonElement TransformationMap, JsonElement AnchorPolicies, JsonElement? ScopeFilter,
    int? SessionsMarked, DateTimeOffset CreatedAt, DateTimeOffset UpdatedAt, DateTimeOffset? ApprovedAt, DateTimeOffset? DeployedAt, DateTimeOffset? RejectedAt)
{
    /// <summary>Pure: where a talk goes that stands at this step.</summary>
    internal Destination Of(Guid? stepId, Scenario to)
    {
        var policy = At(AnchorPolicies, stepId) is { } named ? named.GetString() : AnchorPolicy.Move;
        return policy switch
        {
            AnchorPolicy.Stay => new Destination.Stay(),
            AnchorPolicy.Leave => new Destination.Leave(),
            AnchorPolicy.Restart => new Destination.Restart(),
            _ => At(TransformationMap, stepId) is { } mapped ? Step(mapped.ValueKind == JsonValueKind.Null ? null : to.Step(mapped.GetString())) : Step(to.Step(stepId)),
        };
    }

    private static Destination Step(ScenarioStep? step) => step is null ? new Destination.Leave() : new Destination.Go(step);

    // A step's id follows from its name.
    private JsonElement? At(JsonElement byName, Guid? stepId) =>
        byName.EnumerateObject().Where(entry => Scenario.StepId(ScenarioId, entry.Name) == stepId).Select(entry => (JsonElement?)entry.Value).FirstOrDefault();
}

/// <summary>What becomes of talks that stand at a step.</summary>
public static class AnchorPolicy
{
    /// <summary>They go where the map leads; so do those at steps without a policy.</summary>
    public const string Move = "move";

    /// <summary>They keep their version.</summary>
    public const string Stay = "stay";

    /// <summary>They begin the other version anew.</summary>
    public const string Restart = "restart";

    /// <summary>For them the scenario is over.</summary>
    public const string Leave = "leave";

    internal static readonly string[] All = [Move, Stay, Restart, Leave];
}

/// <summary>Where a plan leads a talk.</summary>
internal abstract record Destination
{
    private Destination()
    {
    }

    internal sealed record Stay : Destination;

    internal sealed record Leave : Destination;

    internal sealed record Restart : Destination;

    internal sealed record Go(ScenarioStep Step) : Destination;
}

/// <summary>Which talks a plan moves: those that fit all that is given. <see cref="Steps"/>: names of steps they stand at.</summary>
public sealed record ScopeFilter(string[]? Channels, Guid[]? ContactIds, string[]? Steps, DateTimeOffset? ActiveSince);

/// <summary>What a session that a plan is to move carries until its next turn.</summary>
public sealed record PendingMigration(Guid PlanId, Guid ScenarioId, int FromVersion, int ToVersion)
{
    internal static PendingMigration? Of(JsonElement? stored) => stored is { ValueKind: JsonValueKind.Object } mark ? Json.Read<PendingMigration>(mark) : null;
}

/// <summary>A plan as its author writes it.</summary>
public sealed record PlanInput(
    int? FromVersion, int? ToVersion, Dictionary<string, string?>? TransformationMap, Dictionary<string, string>? AnchorPolicies, ScopeFilter? ScopeFilter);
