using System.Text.Json;
using AgentPlatform.Actions.Approvals;
using AgentPlatform.Actions.Execution;
using AgentPlatform.Kernel;

namespace AgentPlatform.Actions.Registry;

/// <summary>One action of an agent: a row of <c>action_registry</c>, as stored and as the API shows it.</summary>
public sealed record ActionDefinition
{
    public Guid Id { get; init; }
    public string ActionId { get; init; } = "";
    public Guid AgentId { get; init; }
    public string ActionName { get; init; } = "";
    public string? DisplayName { get; init; }
    public string? Description { get; init; }
    public string? Category { get; init; }

    /// <summary>Phrases that also name the action.</summary>
    public JsonElement Synonyms { get; init; } = Empty.List;

    /// <summary>Whole sentences that ask for the action, for the trained classifier to learn from; unlike synonyms they are not looked for word by word.</summary>
    public JsonElement Examples { get; init; } = Empty.List;

    /// <summary>Names, asked for in this order while they are missing.</summary>
    public JsonElement ParamsRequired { get; init; } = Empty.List;
    public JsonElement ParamsOptional { get; init; } = Empty.List;

    /// <summary>Per name: a <see cref="ParameterRule"/>.</summary>
    public JsonElement ParamValidation { get; init; } = Empty.Object;

    /// <summary><c>{"user_tier": [...], "requires_auth": true, "schema_dependencies": {"profile": {"required_keys": [...], "all_must_be": "complete"}}}</c></summary>
    public JsonElement EligibilityCriteria { get; init; } = Empty.Object;

    /// <summary>A list of <see cref="Blocker"/>.</summary>
    public JsonElement Blockers { get; init; } = Empty.List;

    /// <summary>Action ids that the contact must have completed before.</summary>
    public JsonElement Dependencies { get; init; } = Empty.List;

    /// <summary>Action ids whose waiting requests this action cancels, and the other way round.</summary>
    public JsonElement Opposites { get; init; } = Empty.List;

    public int TimeoutSeconds { get; init; } = 30;

    /// <summary>A <see cref="Actions.RetryPolicy"/>; what it leaves out is 3 tries, exponential from 2 s to 60 s, no jitter, transient errors only.</summary>
    public JsonElement RetryPolicy { get; init; } = Empty.Object;
    public bool RollbackPossible { get; init; }
    public string? RollbackActionId { get; init; }
    public bool RequiresUserAcknowledgement { get; init; }
    public int AcknowledgementTimeoutSeconds { get; init; } = 300;
    public int? EstimatedDurationSeconds { get; init; }

    /// <summary><c>http</c>, <c>reply</c>, <c>set_field</c> or <c>handoff</c>.</summary>
    public string ExecutionType { get; init; } = "reply";

    /// <summary>An http(s) URL; parameters in path and query are Handlebars expressions, the host is literal.</summary>
    public string? ApiEndpoint { get; init; }
    public string? ApiMethod { get; init; }

    /// <summary><c>none</c>, <c>bearer</c>, <c>basic</c> or <c>api_key</c>.</summary>
    public string ApiAuthType { get; init; } = "none";

    /// <summary><c>{"secret": "name in settings", "header_name": "X-Api-Key"}</c>; never the secret itself.</summary>
    public JsonElement ApiAuth { get; init; } = Empty.Object;
    public JsonElement ApiHeaders { get; init; } = Empty.Object;

    /// <summary>The JSON body; every string in it is a Handlebars template, and one that is a single expression keeps the value's type.</summary>
    public JsonElement? ApiBody { get; init; }

    /// <summary>The endpoint honours our Idempotency-Key header: the same call twice does what it does once.</summary>
    public bool ApiIdempotent { get; init; }

    /// <summary>
    /// How to learn whether a call whose answer was lost was carried out: <c>{"method": "GET", "endpoint": "https://…/{{idempotency_key}}",
    /// "happened": {"status_codes": [200]}, "not_happened": {"status_codes": [404]}}</c>. Its answer is then the action's result.
    /// </summary>
    public JsonElement? Probe { get; init; }

    /// <summary>
    /// One call per element of a list parameter: <c>{"param": "guests", "every": 10, "phase": "region", "extract": {"tickets": "id"}}</c>. The templates
    /// of a call see <c>item</c> and <c>step</c>; a body that is not configured is the element.
    /// </summary>
    public JsonElement? ForEach { get; init; }

    /// <summary><c>text</c>, <c>list</c> (a numbered list that the contact can pick from) or <c>none</c>.</summary>
    public string ResponseType { get; init; } = "text";

    /// <summary>Handlebars over <c>params</c>, <c>result</c> and <c>contact</c>. For a list it is the head line.</summary>
    public string? ResponseTemplate { get; init; }
    public string? WorkflowId { get; init; }
    public int? SequenceId { get; init; }
    public bool TriggersWorkflow { get; init; }
    public JsonElement? SuccessCriteria { get; init; }
    public JsonElement? FailureCriteria { get; init; }

    /// <summary>When a person must allow the action: an <see cref="Approvals.ApprovalPolicy"/>.</summary>
    public JsonElement? Approval { get; init; }

    /// <summary>Where it is reported when it was given up: an <see cref="Aftermath.EscalationPolicy"/>.</summary>
    public JsonElement? Escalation { get; init; }

    /// <summary><c>low</c>, <c>normal</c>, <c>high</c> or <c>critical</c>; see <see cref="QueuePriority"/>.</summary>
    public string Priority { get; init; } = "normal";
    public bool IsActive { get; init; } = true;
    public DateTimeOffset CreatedAt { get; init; }
    public DateTimeOffset UpdatedAt { get; init; }

    internal bool Activated { get; init; }

    internal JsonElement PolicyOverrides { get; init; } = Empty.Object;

    /// <summary>With what its activation says.</summary>
    internal ActionDefinition ForAgent => Registry.PolicyOverrides.Over(this, PolicyOverrides) with { IsActive = IsActive && Activated };

    internal string Title => DisplayName ?? ActionName;

    internal IReadOnlyList<string> Required => Strings(ParamsRequired);

    internal IReadOnlyList<string> Optional => Strings(ParamsOptional);

    internal IReadOnlyList<string> SynonymPhrases => Strings(Synonyms);

    internal IReadOnlyList<string> ExampleSentences => Strings(Examples);

    internal IReadOnlyList<string> DependsOn => Strings(Dependencies);

    internal IReadOnlyList<string> OppositeOf => Strings(Opposites);

    internal ParameterRule Rule(string name) =>
        ParamValidation.ValueKind == JsonValueKind.Object && ParamValidation.TryGetProperty(name, out var rule)
            ? Json.Read<ParameterRule>(rule)
            : ParameterRule.Anything;

    internal RetryPolicy Policy => Json.Read<RetryPolicyJson>(RetryPolicy).Whole;

    internal ApprovalPolicy? ApprovalPolicy => Approval is { ValueKind: JsonValueKind.Object } approval ? Json.Read<ApprovalPolicy>(approval) : null;

    private static string[] Strings(JsonElement list) => list.ValueKind == JsonValueKind.Array ? Json.Read<string[]>(list) : [];

    internal static class Empty
    {
        internal static readonly JsonElement List = JsonDocument.Parse("[]").RootElement;
        internal static readonly JsonElement Object = JsonDocument.Parse("{}").RootElement;
    }
}

/// <summary>A retry policy as written, where every part may be left out.</summary>
internal sealed record RetryPolicyJson(
    int? MaxRetries, BackoffStrategy? BackoffStrategy, int? InitialDelaySeconds, int? MaxDelaySeconds, string[]? RetryOnErrors, double? Jitter)
{
    internal RetryPolicy Whole => new(
        MaxRetries ?? RetryPolicy.Default.MaxRetries,
        BackoffStrategy ?? RetryPolicy.Default.BackoffStrategy,
        InitialDelaySeconds ?? RetryPolicy.Default.InitialDelaySeconds,
        MaxDelaySeconds ?? RetryPolicy.Default.MaxDelaySeconds,
        RetryOnErrors ?? RetryPolicy.Default.RetryOnErrors,
        Jitter ?? RetryPolicy.Default.Jitter);
}
