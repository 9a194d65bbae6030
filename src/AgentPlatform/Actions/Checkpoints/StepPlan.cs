using System.Text.Json;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Kernel;

namespace AgentPlatform.Actions.Checkpoints;

/// <summary>
/// The registry's word that an action makes one call per element of a list. <see cref="Param"/>: the parameter that is the list.
/// <see cref="Every"/>: an <c>auto</c> checkpoint after that many steps, default 1. <see cref="Phase"/>: a path into the element that names its
/// phase; neighbours of one name are one phase, and without it the whole list is. <see cref="Extract"/>: what to collect from the answers, name to path.
/// </summary>
internal sealed record ForEach(string? Param, int? Every, string? Phase, Dictionary<string, string>? Extract)
{
    internal static ForEach? Of(ActionDefinition action) =>
        action.ForEach is { ValueKind: JsonValueKind.Object } json ? Json.Read<ForEach>(json) : null;

    internal static IEnumerable<(string Field, string Message)> Errors(ActionDefinition action)
    {
        if (action.ForEach is not { ValueKind: not JsonValueKind.Null } json)
        {
            yield break;
        }

        if (RegistryRules.TryRead<ForEach>(json) is not { } each)
        {
            yield return ("for_each", "Must be an object with param, every, phase and extract.");
        }
        else if (action.ExecutionType != "http")
        {
            yield return ("for_each", "Is for actions of execution_type http.");
        }
        else if (each.Param is not { } name || !action.Required.Concat(action.Optional).Contains(name, StringComparer.Ordinal)
            || RegistryRules.TryRead<Dictionary<string, ParameterRule>>(action.ParamValidation)?.GetValueOrDefault(name)?.Type != "array")
        {
            yield return ("for_each", "param must name a parameter of type array.");
        }
        else if (each.Every is < 1 or > ParameterRule.MostItems)
        {
            yield return ("for_each", $"every must be between 1 and {ParameterRule.MostItems}.");
        }
    }
}

/// <summary>The steps that a request's list makes, and the phases they fall into. Pure.</summary>
internal sealed class StepPlan
{
    private readonly ForEach _each;
    private readonly IReadOnlyList<StepPhase> _phases;

    private StepPlan(ForEach each, IReadOnlyList<JsonElement> elements) =>
        (_each, Elements, _phases) = (each, elements, [.. Phases(each, elements)]);

    internal IReadOnlyList<JsonElement> Elements { get; }

    /// <summary>Null when the action is a single call.</summary>
    internal static StepPlan? Of(ActionDefinition action, JsonElement parameters) => ForEach.Of(action) is { } each
        ? new(each, JsonPath.Find(parameters, each.Param!) is { ValueKind: JsonValueKind.Array } list ? [.. list.EnumerateArray()] : [])
        : null;

    /// <summary>The reason for a checkpoint after so many completed steps, or null when none is due.</summary>
    internal string? Due(int completed) =>
        _phases.Any(phase => phase.End == completed) ? "phase_complete"
        : completed % (_each.Every ?? 1) == 0 ? "auto"
        : null;

    /// <summary>Where a request stands that has these results.</summary>
    internal StepSnapshot At(IReadOnlyList<JsonElement> results)
    {
        var next = _phases.FirstOrDefault(phase => phase.End > results.Count) ?? (_phases.Count > 0 ? _phases[^1] : null);
        return new(
            results.Count, next?.Id, next?.Name,
            Json.Of(Enumerable.Range(0, results.Count).Select(step => new { step, phase = _phases.FirstOrDefault(phase => phase.End > step)?.Name })),
            Json.Of(_phases.Where(phase => phase.End <= results.Count).Select(phase => new { phase = phase.Id, name = phase.Name })),
            Json.Of(results.Select((result, step) => (result, step)).ToDictionary(r => $"{r.step}", r => r.result, StringComparer.Ordinal)),
            Extracted(results));
    }

    /// <summary>What the request brought, once every step has.</summary>
    internal JsonElement Result(IReadOnlyList<JsonElement> results) => Json.Of(new { count = results.Count, items = results, extracted = Extracted(results) });

    private JsonElement Extracted(IReadOnlyList<JsonElement> results) =>
        Json.Of((_each.Extract ?? []).ToDictionary(e => e.Key, e => results.Select(r => JsonPath.Find(r, e.Value)).Where(found => found is not null), StringComparer.Ordinal));

    private static IEnumerable<StepPhase> Phases(ForEach each, IReadOnlyList<JsonElement> elements)
    {
        var names = elements.Select(element => each.Phase is { } path ? JsonPath.Find(element, path)?.ToString() ?? "" : each.Param!).ToList();
        for (int step = 0, id = 1; step < names.Count; step++)
        {
            if (step + 1 == names.Count || names[step + 1] != names[step])
            {
                yield return new(id++, names[step], step + 1);
            }
        }
    }
}

/// <summary>A run of neighbouring steps; <see cref="End"/> is the first step after it.</summary>
internal sealed record StepPhase(int Id, string Name, int End);

/// <summary>The columns of a checkpoint that say how far it is.</summary>
internal sealed record StepSnapshot(
    int StepIndex, int? PhaseId, string? PhaseName, JsonElement CompletedSteps, JsonElement CompletedPhases, JsonElement PartialResults, JsonElement ExtractedData)
{
    internal static readonly StepSnapshot Start = new(0, null, null, ActionDefinition.Empty.List, ActionDefinition.Empty.List, Parameters.None, Parameters.None);

    internal static StepSnapshot Of(ExecutionCheckpoint c) =>
        new(c.StepIndex, c.PhaseId, c.PhaseName, c.CompletedSteps, c.CompletedPhases, c.PartialResults, c.ExtractedData);
}
