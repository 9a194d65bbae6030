using System.Text.Json;
using System.Text.Json.Serialization;
using AgentPlatform.Actions.Execution;
using AgentPlatform.Kernel;

namespace AgentPlatform.Workflows.Definitions;

/// <summary>
/// One version of a workflow: its steps as data. As stored it is complete: what a body leaves out (<c>after</c>, <c>reversibility</c>, undo actions and
/// estimates of the registry) is written out.
/// </summary>
public sealed record WorkflowDefinition
{
    public IReadOnlyList<StepDefinition> Steps { get; init; } = [];

    /// <summary>The whole run fails after this time. Default a day; at most 90 days.</summary>
    public int? TimeoutSeconds { get; init; }

    /// <summary>What the run brings, as a mapping; by default the results of the steps that nothing follows, by step id.</summary>
    public JsonElement? Output { get; init; }

    /// <summary>Told to the contact when the run has failed; nothing is said without it.</summary>
    public string? FailureMessage { get; init; }

    internal const int DefaultTimeoutSeconds = 24 * 60 * 60;

    internal TimeSpan Timeout => TimeSpan.FromSeconds(TimeoutSeconds ?? DefaultTimeoutSeconds);

    internal StepDefinition Step(string id) => Steps.First(step => step.Id == id);

    /// <summary>The place in the list, from 1.</summary>
    internal int PlaceOf(string id) => Steps.TakeWhile(step => step.Id != id).Count() + 1;
}

public enum StepType
{
    /// <summary>An action of the agent's registry, through the queue of actions.</summary>
    Action,

    /// <summary>The same, of an action that a person must allow.</summary>
    Approval,

    /// <summary>Another workflow, whose output is the result.</summary>
    Workflow,

    Sleep,

    /// <summary>Waits for an event that is sent to the instance.</summary>
    Wait,
}

/// <summary>
/// What a failure later in the run means for a step. <see cref="Reversible"/>: its registry entry's rollback action undoes it, or it leaves nothing
/// behind. <see cref="Compensable"/>: its <see cref="StepDefinition.Undo"/> makes up for it. <see cref="Final"/>: nothing does, so it comes after all
/// that may have to be undone, and once it has succeeded the run only goes forward.
/// </summary>
public enum Reversibility
{
    Reversible,
    Compensable,
    Final,
}

/// <summary>One step. Mappings are JSON in which a string that begins with <c>$.</c> is a path; see <see cref="Mapping"/>.</summary>
public sealed record StepDefinition
{
    public string Id { get; init; } = "";
    public string? Name { get; init; }
    public StepType Type { get; init; }

    /// <summary>For an action or approval: its <c>action_id</c>.</summary>
    public string? Action { get; init; }

    /// <summary>For a sub-workflow: its <c>workflow_id</c>.</summary>
    public string? Workflow { get; init; }

    /// <summary>The agent whose registry has the action; the workflow's when null.</summary>
    public Guid? AgentId { get; init; }

    /// <summary>The mapping that makes the action's parameters or the sub-workflow's input.</summary>
    public JsonElement? Input { get; init; }

    /// <summary>The step is skipped when this is false: a <see cref="Condition"/>.</summary>
    public JsonElement? When { get; init; }

    /// <summary>Steps that come before it; the one before it in the list when null, none when empty. Steps with the same predecessors run side by side.</summary>
    public IReadOnlyList<string>? After { get; init; }

    /// <summary>The path of a list: the step is done once for each element, which mappings see as <c>$.item</c>. The result is the list of results.</summary>
    public string? ForEach { get; init; }

    /// <summary>How many elements are under way at a time. Default 5.</summary>
    public int? Concurrency { get; init; }

    /// <summary>For a sleep: how long.</summary>
    public int? SleepSeconds { get; init; }

    /// <summary>For a wait: the event's name.</summary>
    public string? Event { get; init; }

    /// <summary>For a wait that takes too long: <c>fail</c> (default) or <c>continue</c>, with the result <c>{"timed_out": true}</c>.</summary>
    public string? OnTimeout { get; init; }

    /// <summary>After this time nothing of the step is begun any more and it fails; a call that is under way is never abandoned.</summary>
    public int? TimeoutSeconds { get; init; }

    /// <summary>In place of the registry entry's retry policy.</summary>
    public StepRetry? Retry { get; init; }
    public Reversibility? Reversibility { get; init; }
    public StepUndo? Undo { get; init; }

    /// <summary>For the estimated end; the registry entry's estimate when null.</summary>
    public int? EstimatedSeconds { get; init; }

    internal const int DefaultConcurrency = 5;

    internal bool IsAction => Type is StepType.Action or StepType.Approval;

    internal bool IsFinal => Reversibility == Definitions.Reversibility.Final;

    internal bool ContinuesOnTimeout => OnTimeout == "continue";
}

/// <summary>How often and how late a failed step is tried again: the words of the registry's retry policy.</summary>
public sealed record StepRetry(int? MaxRetries, BackoffStrategy? BackoffStrategy, int? InitialDelaySeconds, int? MaxDelaySeconds)
{
    internal RetryPolicy Over(RetryPolicy policy) => policy with
    {
        MaxRetries = MaxRetries ?? policy.MaxRetries,
        BackoffStrategy = BackoffStrategy ?? policy.BackoffStrategy,
        InitialDelaySeconds = InitialDelaySeconds ?? policy.InitialDelaySeconds,
        MaxDelaySeconds = MaxDelaySeconds ?? policy.MaxDelaySeconds,
    };
}

/// <summary>
/// The action that makes up for a step, of the same agent. Without a mapping it gets what the step was given and what it brought, the latter over the
/// former. Mappings also see <c>$.step.input</c> and <c>$.step.result</c>.
/// </summary>
public sealed record StepUndo(string Action, JsonElement? Input, StepRetry? Retry);

/// <summary>Definitions as JSON: unknown members are errors with their path.</summary>
internal static class DefinitionJson
{
    private static readonly JsonSerializerOptions Strict = Json.Configure(new JsonSerializerOptions(JsonSerializerDefaults.Web)
    {
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        AllowDuplicateProperties = false,
    });

    internal static Result<WorkflowDefinition> Read(JsonElement body)
    {
        try
        {
            return body.Deserialize<WorkflowDefinition>(Strict) is { } definition ? definition : Problem.Invalid("$", "Must be an object.");
        }
        catch (JsonException e)
        {
            return Problem.Invalid(e.Path ?? "$", e.Message.Contains("could not be mapped", StringComparison.Ordinal) ? "Is no member of a definition." : "Is not what is expected here.");
        }
    }

    internal static WorkflowDefinition Stored(JsonElement stored) => Json.Read<WorkflowDefinition>(stored);
}
