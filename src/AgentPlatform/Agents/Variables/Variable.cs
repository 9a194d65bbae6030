using System.Text.Json;
using AgentPlatform.Conversations;
using AgentPlatform.Kernel;

namespace AgentPlatform.Agents.Variables;

/// <summary>
/// A variable of an agent's talks. <see cref="DefaultValue"/>: what it is while a talk has not set it. <see cref="UpdatePolicy"/>: REPLACE, APPEND or MERGE.
/// <see cref="ResolverToolId"/>: an action of the agent that tells its value while a talk has not set it; the default holds where that fails.
/// </summary>
public sealed record Variable(
    Guid Id, Guid AgentId, string Name, string? Description, string? DefaultValue, string UpdatePolicy, string? ResolverToolId, DateTimeOffset CreatedAt, DateTimeOffset UpdatedAt)
{
    internal static readonly string[] Policies = ["REPLACE", "APPEND", "MERGE"];

    internal VariableUpdatePolicy Policy => UpdatePolicy switch
    {
        "APPEND" => VariableUpdatePolicy.Append,
        "MERGE" => VariableUpdatePolicy.Merge,
        _ => VariableUpdatePolicy.Replace,
    };
}

/// <summary>A variable to declare, or what to change of one: then null leaves a field as it is, and an empty <c>resolver_tool_id</c> removes it.</summary>
public sealed record VariableInput(string? Name, string? Description, string? DefaultValue, string? UpdatePolicy, string? ResolverToolId = null);

/// <summary>An agent's variables. One that is not declared has no default, and is replaced.</summary>
public sealed class DeclaredVariables
{
    public static readonly DeclaredVariables None = new([]);

    private readonly Dictionary<string, Variable> _byName;
    private readonly IReadOnlyDictionary<string, JsonElement> _known;

    public DeclaredVariables(IReadOnlyList<Variable> all)
        : this(all.ToDictionary(variable => variable.Name, StringComparer.Ordinal), new Dictionary<string, JsonElement>(StringComparer.Ordinal))
    {
    }

    private DeclaredVariables(Dictionary<string, Variable> byName, IReadOnlyDictionary<string, JsonElement> known) => (_byName, _known) = (byName, known);

    /// <summary>Those that have a resolver.</summary>
    internal IEnumerable<Variable> Resolved => _byName.Values.Where(variable => variable.ResolverToolId is not null);

    internal bool HasResolvers => Resolved.Any();

    /// <summary>The same, with what resolvers told of some.</summary>
    internal DeclaredVariables Knowing(IReadOnlyDictionary<string, JsonElement> known) => new(_byName, known);

    internal IReadOnlyCollection<string> Names => _byName.Keys;

    /// <summary>Whether a new value takes the place of the old one.</summary>
    internal bool Replaces(string name) => Policy(name) == VariableUpdatePolicy.Replace;

    /// <summary>The variables with new values, each by its policy.</summary>
    internal Dictionary<string, JsonElement> Update(IReadOnlyDictionary<string, JsonElement> variables, IEnumerable<KeyValuePair<string, JsonElement>> values)
    {
        var updated = new Dictionary<string, JsonElement>(variables, StringComparer.Ordinal);
        foreach (var (name, value) in values)
        {
            updated[name] = SessionVariables.Combine(updated.TryGetValue(name, out var old) ? old : null, value, Policy(name));
        }

        return updated;
    }

    /// <summary>The variables; and of those that are not set what their resolvers told, or else their defaults.</summary>
    internal Dictionary<string, JsonElement> Resolve(IReadOnlyDictionary<string, JsonElement> variables)
    {
        var resolved = new Dictionary<string, JsonElement>(variables, StringComparer.Ordinal);
        foreach (var variable in Resolved.Where(variable => _known.ContainsKey(variable.Name)))
        {
            resolved.TryAdd(variable.Name, _known[variable.Name]);
        }

        foreach (var variable in _byName.Values.Where(variable => variable.DefaultValue is not null))
        {
            resolved.TryAdd(variable.Name, Json.Of(variable.DefaultValue));
        }

        return resolved;
    }

    private VariableUpdatePolicy Policy(string name) => _byName.TryGetValue(name, out var variable) ? variable.Policy : VariableUpdatePolicy.Replace;
}
