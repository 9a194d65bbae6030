using System.Text.Json;
using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Workflows.Definitions;

/// <summary>A workflow with the current version of its definition: a row of <c>automation_workflows</c>.</summary>
public sealed record Workflow
{
    public Guid Id { get; init; }
    public string WorkflowId { get; init; } = "";

    /// <summary>The member who owns it; null when the platform made it.</summary>
    public Guid? UserId { get; init; }
    public Guid AgentId { get; init; }
    public string Name { get; init; } = "";
    public string? Description { get; init; }
    public string Category { get; init; } = "";

    /// <summary>api, registry (the sequence of an agent's actions), copy or pattern.</summary>
    public string Source { get; init; } = "";
    public Guid? CopiedFrom { get; init; }

    /// <summary>The pattern whose blanks were filled.</summary>
    public Guid? MadeOf { get; init; }

    /// <summary>Everybody in the tenant sees it, and only its owner changes it; others make a copy.</summary>
    public bool IsTemplate { get; init; }
    public string[] Tags { get; init; } = [];

    /// <summary>Counts the changes of the definition, from 1.</summary>
    public int Version { get; init; }
    public bool IsActive { get; init; }

    /// <summary>An event of this type, about a conversation, starts it with the event's payload as input.</summary>
    public string? TriggerEvent { get; init; }

    /// <summary>A <see cref="Condition"/> on the event, which it sees as <c>$.input</c>.</summary>
    public JsonElement? TriggerWhen { get; init; }
    public int ExecutionCount { get; init; }
    public DateTimeOffset? LastExecutedAt { get; init; }

    /// <summary>A <see cref="WorkflowDefinition"/>.</summary>
    public JsonElement Definition { get; init; }
    public DateTimeOffset CreatedAt { get; init; }
    public DateTimeOffset UpdatedAt { get; init; }

    /// <summary>A template is its owner's; anything else also the owners' and admins' of the tenant.</summary>
    internal Problem? RefusesChangeBy(Actor actor) =>
        UserId is null || UserId == actor.UserId || actor.Role == "system" || (!IsTemplate && actor.Role is "owner" or "admin")
            ? null
            : Problem.Forbidden("workflow_not_yours", IsTemplate ? "A template is changed by its owner only; make a copy." : "The workflow belongs to another member.");
}

/// <summary>A version that was in force at some time.</summary>
public sealed record WorkflowVersion(int Version, JsonElement Definition, Guid? CreatedBy, DateTimeOffset CreatedAt);

/// <summary>A workflow to make, or what to change of one: then what is absent stays.</summary>
internal sealed record WorkflowBody
{
    public string? WorkflowId { get; init; }
    public Guid? AgentId { get; init; }
    public string? Name { get; init; }
    public string? Description { get; init; }
    public string? Category { get; init; }
    public bool? IsTemplate { get; init; }
    public string[]? Tags { get; init; }
    public bool? IsActive { get; init; }

    /// <summary>Empty: nothing starts it any more.</summary>
    public string? TriggerEvent { get; init; }
    public JsonElement? TriggerWhen { get; init; }
    public JsonElement? Definition { get; init; }

    internal Problem? ProblemAsNew => Rules(new Validation()
        .Text("workflow_id", WorkflowId, 100, required: true)
        .Check("workflow_id", WorkflowId is null || IsId(WorkflowId), "Must be lower-case letters, digits, hyphens and underscores.")
        .Check("agent_id", AgentId is not null, "Is required.")
        .Check("definition", Definition is not null, "Is required.")
        .Text("name", Name, 255, required: true)).Problem;

    internal Problem? ProblemAsChange => Rules(new Validation()
        .Check("workflow_id", WorkflowId is null, "Cannot be changed: make a copy.")
        .Check("agent_id", AgentId is null, "Cannot be changed: make a copy.")
        .Text("name", Name, 255, required: Name is not null)).Problem;

    internal static bool IsId(string id) => id.Length is >= 1 and <= 100 && char.IsAsciiLetterOrDigit(id[0]) && id.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c is '-' or '_');

    private Validation Rules(Validation rules) => (TriggerWhen is { } when ? Condition.Errors(when, "trigger_when", PathRules.InputOnly.Error) : [])
        .Aggregate(rules, (all, error) => all.Check(error.At, false, error.Message))
        .Text("description", Description, 10_000)
        .Text("category", Category, 50, required: Category is not null)
        .Check("tags", Tags is null || (Tags.Length <= 50 && Tags.All(tag => tag is { Length: >= 1 and <= 100 })), "Are at most 50, of 1 to 100 characters.")
        .Check("trigger_event", TriggerEvent is null or "" || Starting.EventStarts.Types.Contains(TriggerEvent), $"Must be one of {string.Join(", ", Starting.EventStarts.Types)}.");
}

/// <summary>What the copy is called.</summary>
internal sealed record CopyBody(string? WorkflowId, string? Name, Guid? AgentId)
{
    internal Problem? Problem => new Validation().Text("workflow_id", WorkflowId, 100, required: true)
        .Check("workflow_id", WorkflowId is null || WorkflowBody.IsId(WorkflowId), "Must be lower-case letters, digits, hyphens and underscores.")
        .Text("name", Name, 255, required: Name is not null).Problem;
}
