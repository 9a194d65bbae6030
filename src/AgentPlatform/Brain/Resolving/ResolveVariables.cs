using System.Text.Json;
using AgentPlatform.Actions.Execution;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Agents.Variables;
using AgentPlatform.Conversations;
using AgentPlatform.Kernel;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Brain.Resolving;

/// <summary>Variables to ask for before a turn can be decided, with what the tools are told.</summary>
internal sealed record ToResolve(IReadOnlyList<(Variable Variable, ActionDefinition? Tool)> Variables, JsonElement Data, Guid SessionId);

/// <summary>
/// Variables that the talk has not set are told by their resolvers, tools of the agent. A turn that lacks some ends its transaction, asks, and is taken
/// again; what it learned rests in the session. Where no tool answers, the default holds.
/// </summary>
internal sealed class ResolveVariables(ReadAction read, IOptions<BrainOptions> options, TimeProvider clock)
{
    /// <summary>Characters of a value.</summary>
    private const int LongestValue = 10_000;

    /// <summary>The turn with what is known by now; older answers have had their time.</summary>
    internal TurnInput Know(TurnInput input, IReadOnlyDictionary<string, ResolvedVariable> learned)
    {
        var known = new Dictionary<string, ResolvedVariable>(input.State.Resolved, StringComparer.Ordinal);
        foreach (var (name, variable) in learned)
        {
            known[name] = variable;
        }

        return input with
        {
            State = input.State with { Resolved = known },
            Declared = input.Declared.Knowing(known.Where(k => k.Value.Value is not null && Holds(k.Value)).ToDictionary(k => k.Key, k => k.Value.Value!.Value, StringComparer.Ordinal)),
        };
    }

    /// <summary>Null when the turn can go on. Words like STOP wait for nobody.</summary>
    internal ToResolve? Lacking(TurnInput input, Guid sessionId)
    {
        if (input.Instance is null || input.OptedOut || !input.Declared.HasResolvers || TurnDecision.IsControl(input))
        {
            return null;
        }

        var lacking = input.Declared.Resolved
            .Where(variable => !input.Variables.ContainsKey(variable.Name) && !(input.State.Resolved.TryGetValue(variable.Name, out var known) && known.Tool == variable.ResolverToolId && Holds(known)))
            .Select(variable => (variable, input.FindAction(variable.ResolverToolId!))).ToList();
        return lacking.Count == 0 ? null : new(lacking, Rules.RuleTurn.Data(input), sessionId);
    }

    /// <summary>All at once, each in its time. A tool that fails is an answer too: it is not asked again at once.</summary>
    internal async Task<IReadOnlyDictionary<string, ResolvedVariable>> AskAsync(Guid tenantId, ToResolve lacking, CancellationToken ct)
    {
        var asking = lacking.Variables.Select(async one => (one.Variable.Name, await AskAsync(tenantId, one.Variable, one.Tool, lacking, ct)));
        return (await Task.WhenAll(asking)).ToDictionary(StringComparer.Ordinal);
    }

    private async Task<ResolvedVariable> AskAsync(Guid tenantId, Variable variable, ActionDefinition? tool, ToResolve lacking, CancellationToken ct)
    {
        var answer = tool is not null && ReadAction.OnlyReads(tool)
            ? await read.AskAsync(tenantId, tool, lacking.Data, $"variable:{lacking.SessionId:n}:{variable.Name}", options.Value.ResolveSeconds, ct)
            : new(null, "The agent has no such tool that only reads.");
        var value = answer.Body is { } body ? ValueOf(variable.Name, body) : null;
        return new()
        {
            Tool = variable.ResolverToolId!,
            Value = value,
            Error = value is null ? answer.Error ?? $"The answer has no '{variable.Name}' of at most {LongestValue} characters." : null,
            ResolvedAt = clock.GetUtcNow(),
        };
    }

    /// <summary>What the answer calls by the variable's name, or <c>value</c>; an answer that is no object is the value.</summary>
    private static JsonElement? ValueOf(string name, JsonElement body)
    {
        JsonElement? value = body.ValueKind != JsonValueKind.Object ? body
            : body.TryGetProperty(name, out var own) ? own
            : body.TryGetProperty("value", out var any) ? any
            : null;
        return value is { ValueKind: not (JsonValueKind.Null or JsonValueKind.Undefined) } found && found.GetRawText().Length <= LongestValue ? found : null;
    }

    private bool Holds(ResolvedVariable known) =>
        known.ResolvedAt.AddMinutes(known.Value is null ? options.Value.ResolveAgainMinutes : options.Value.ResolvedMinutes) > clock.GetUtcNow();
}
