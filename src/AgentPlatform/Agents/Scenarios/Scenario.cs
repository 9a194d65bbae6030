using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Kernel;

namespace AgentPlatform.Agents.Scenarios;

/// <summary>One version of a scenario: a talk that the agent leads step by step, beginning with the first step.</summary>
public sealed record Scenario(
    Guid Id, Guid AgentId, string Name, string? Description, int Version, string[] EntryCondition, JsonElement Steps, bool Enabled,
    DateTimeOffset CreatedAt, DateTimeOffset UpdatedAt)
{
    private readonly Lazy<ScenarioStep[]> _path = new(() => Json.Read<ScenarioStep[]>(Steps));

    /// <summary>The steps, read once.</summary>
    internal IReadOnlyList<ScenarioStep> Path => _path.Value;

    internal ScenarioStep? Step(string? name) => Path.FirstOrDefault(step => step.Name == name);

    internal ScenarioStep? Step(Guid? id) => Path.FirstOrDefault(step => step.Id == id);

    internal ScenarioStep? Collecting(string slot) => Path.FirstOrDefault(step => step.Collect?.Name == slot);

    /// <summary>
    /// A step's id follows from its scenario and its name, so that it is the same in every version: what refers to a step outlives a new
    /// version, and authors write names.
    /// </summary>
    internal static Guid StepId(Guid scenarioId, string name) =>
        new(SHA256.HashData(Encoding.UTF8.GetBytes($"{scenarioId:n}:{name}"))[..16]);
}

/// <summary>
/// A step says something, asks for a value, asks for an action, or any of these; then the first branch that holds leads on, else
/// <see cref="Next"/>; without either the scenario is over.
/// </summary>
public sealed record ScenarioStep
{
    /// <summary>Given by the platform.</summary>
    public Guid Id { get; init; }

    /// <summary>Unique in the scenario: <c>ask_email</c>.</summary>
    public string Name { get; init; } = "";

    /// <summary>A template over the session's variables.</summary>
    public string? Say { get; init; }

    public Slot? Collect { get; init; }

    /// <summary>The id of an action to ask for; variables of the names of its parameters go along.</summary>
    public string? Action { get; init; }

    public Branch[] Branches { get; init; } = [];

    /// <summary>The name of the step that follows.</summary>
    public string? Next { get; init; }

    internal IEnumerable<string> Leads => Branches.Select(branch => branch.To).Append(Next).OfType<string>();
}

/// <summary>Where to go when a condition over the session's variables holds: <c>{"when": {"path": "$.guests", "greater_than": 8}, "to": "large_party"}</c>.</summary>
public sealed record Branch(JsonElement When, string To);

/// <summary>A value to ask for; it becomes the session's variable of that name.</summary>
public sealed record Slot
{
    public static readonly string[] Types = ["text", "email", "number", "date", "choice"];

    public string Name { get; init; } = "";

    /// <summary>text, email, number, date or choice.</summary>
    public string Type { get; init; } = "text";

    /// <summary>What may be chosen; only, and always, with choice.</summary>
    public string[]? Choices { get; init; }

    public string Prompt { get; init; } = "";

    /// <summary>What to say to a value that does not fit.</summary>
    public string? Message { get; init; }

    public decimal? Minimum { get; init; }

    public decimal? Maximum { get; init; }

    /// <summary>The same, in the words of the registry, whose reader and rules serve slots too.</summary>
    internal ParameterRule Rule => new()
    {
        Type = Type is "text" or "choice" ? "string" : Type,
        Enum = Type == "choice" ? Choices : null,
        Minimum = Type == "number" ? Minimum : null,
        Maximum = Type == "number" ? Maximum : null,
        Prompt = Prompt,
        Message = Message,
        Extract = Type == "text" ? [$"my {Name.Replace('_', ' ')} is {{value}}", $"the {Name.Replace('_', ' ')} is {{value}}"] : [],
    };
}
