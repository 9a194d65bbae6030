using System.Text.Json;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Workflows.Sops;

/// <summary>A drawer for SOPs: a member's own, shown in their order.</summary>
public sealed record SopCategory
{
    public Guid Id { get; init; }

    /// <summary>The member whose it is; the zero id when the platform made it.</summary>
    public Guid UserId { get; init; }
    public string Name { get; init; } = "";
    public string? Description { get; init; }

    /// <summary>The name of a Lucide icon.</summary>
    public string? Icon { get; init; }
    public string? Color { get; init; }
    public int SortOrder { get; init; }

    /// <summary>False: nothing is put into it any more, and the SOPs in it stay.</summary>
    public bool IsActive { get; init; }
    public DateTimeOffset CreatedAt { get; init; }
    public DateTimeOffset UpdatedAt { get; init; }
}

/// <summary>
/// A standard operating procedure. Status: <c>draft</c> (its version is being written), <c>published</c> (its version is in force), <c>archived</c>
/// (nobody begins it any more). While a later version is a draft, the <see cref="PublishedVersion"/> stays in force; everything but the steps holds at
/// once.
/// </summary>
public sealed record Sop
{
    public Guid Id { get; init; }

    /// <summary>The member who owns it; null when the platform made it.</summary>
    public Guid? UserId { get; init; }
    public Guid? CategoryId { get; init; }
    public string Title { get; init; } = "";
    public string? Description { get; init; }
    public string? Objective { get; init; }

    /// <summary>Rises with the first change after each publication.</summary>
    public int Version { get; init; }

    /// <summary>The version that new executions follow; null when none was published.</summary>
    public int? PublishedVersion { get; init; }
    public string Status { get; init; } = "";

    /// <summary>Scenarios it is for: what a list can be narrowed by.</summary>
    public string[] ApplicableTo { get; init; } = [];

    /// <summary>A condition on the context of an execution, which it sees as <c>$.input</c>; none begins without it.</summary>
    public JsonElement? Prerequisites { get; init; }

    /// <summary>Events about a conversation that start it, as its <see cref="AutomationLevel"/> says.</summary>
    public string[] Triggers { get; init; } = [];

    /// <summary>Minutes.</summary>
    public int? EstimatedDuration { get; init; }
    public string Priority { get; init; } = "";
    public string[] Tags { get; init; } = [];

    /// <summary>False: people execute it, and nobody else.</summary>
    public bool AiEnabled { get; init; }

    /// <summary>True: somebody must allow each execution before its first step.</summary>
    public bool HumanApprovalRequired { get; init; }

    /// <summary>Seconds in which it must be allowed; after them it is refused. Three days unless told.</summary>
    public int ApprovalTimeout { get; init; } = 259_200;

    /// <summary>Who executes it unless told: <c>manual</c> a person, <c>semi</c> both, <c>full</c> the agent.</summary>
    public string AutomationLevel { get; init; } = "";
    public JsonElement Metadata { get; init; }
    public DateTimeOffset? LastExecutedAt { get; init; }
    public int ExecutionCount { get; init; }
    public int CompletedCount { get; init; }
    public int FailedCount { get; init; }

    /// <summary>Percent of the executions that were completed or failed; null before the first.</summary>
    public decimal? SuccessRate { get; init; }
    public DateTimeOffset? PublishedAt { get; init; }
    public DateTimeOffset CreatedAt { get; init; }
    public DateTimeOffset UpdatedAt { get; init; }

    internal static readonly string[] Statuses = ["draft", "published", "archived"];
    internal static readonly string[] Priorities = ["low", "medium", "high", "critical"];
    internal static readonly string[] AutomationLevels = ["manual", "semi", "full"];

    internal string UsualExecutor => !AiEnabled ? "human" : AutomationLevel switch { "manual" => "human", "semi" => "hybrid", _ => "ai_agent" };

    /// <summary>Changed by its owner, and by the owners and admins of the tenant.</summary>
    internal Problem? RefusesChangeBy(Actor actor) =>
        UserId is null || UserId == actor.UserId || actor.Role is "owner" or "admin" or "system" ? null : Problem.Forbidden("sop_not_yours", "The SOP belongs to another member.");
}

/// <summary>A step of one version of an SOP.</summary>
public sealed record SopStep
{
    public Guid Id { get; init; }
    public int Version { get; init; }
    public int StepNumber { get; init; }
    public string Title { get; init; } = "";
    public string Instructions { get; init; } = "";

    /// <summary><c>manual</c>: a person does it. <c>action</c>: the agent can, by an action of its registry.</summary>
    public string ActionType { get; init; } = "";

    /// <summary>A <see cref="StepAction"/>.</summary>
    public JsonElement? ActionConfig { get; init; }

    /// <summary>A condition without which the step is not taken.</summary>
    public JsonElement? Conditions { get; init; }

    /// <summary>A list of <see cref="StepAlternative"/>: the first that fits is taken in place of a step whose conditions do not hold.</summary>
    public JsonElement Alternatives { get; init; }
    public string? ExpectedOutcome { get; init; }

    /// <summary>A condition on the step's result, which it sees as <c>$.step.result</c>; without it the step has failed.</summary>
    public JsonElement? ValidationCriteria { get; init; }

    /// <summary>A <see cref="StepErrorHandling"/>.</summary>
    public JsonElement ErrorHandling { get; init; }
    public JsonElement Resources { get; init; }
    public JsonElement Examples { get; init; }
    public string? Tips { get; init; }

    /// <summary>Minutes.</summary>
    public int? EstimatedDuration { get; init; }

    /// <summary>Seconds.</summary>
    public int? Timeout { get; init; }

    /// <summary>The steps that must be over first; null: the one before it in the list.</summary>
    public int[]? DependsOn { get; init; }
    public DateTimeOffset CreatedAt { get; init; }
    public DateTimeOffset UpdatedAt { get; init; }

    internal StepAction? Action => ActionConfig is { ValueKind: JsonValueKind.Object } config ? Json.Read<StepAction>(config) : null;

    internal IReadOnlyList<StepAlternative> Others => Json.Read<StepAlternative[]>(Alternatives);

    internal StepErrorHandling OnError => Json.Read<StepErrorHandling>(ErrorHandling);
}

/// <summary>The action that does a step, and its parameters: paths such as <c>$.input.email</c> and <c>$.steps.2.ref</c> are filled in.</summary>
public sealed record StepAction(string ActionId, JsonElement? Params = null);

/// <summary>The step to take instead, if the condition holds; without one it always does.</summary>
public sealed record StepAlternative(int Step, JsonElement? When = null);

/// <summary>
/// What follows a failure: <c>stop</c>, <c>continue</c> with the next step, <c>alternative</c>: take <paramref name="Step"/> instead, or <c>retry</c> up
/// to <paramref name="MaxRetries"/> times and then do what <paramref name="Otherwise"/> says.
/// </summary>
public sealed record StepErrorHandling(string Strategy, int? MaxRetries = null, int? Step = null, string? Otherwise = null)
{
    internal static readonly StepErrorHandling Stop = new("stop");
    internal static readonly string[] Strategies = ["stop", "continue", "alternative", "retry"];

    /// <summary>What follows once there is no trying again.</summary>
    internal string Final => Strategy == "retry" ? Otherwise ?? "stop" : Strategy;
}
