namespace AgentPlatform.Workflows.Definitions;

/// <summary>Pure: which steps come before which. Steps on a cycle, and those behind one, come nowhere.</summary>
internal sealed class StepGraph
{
    private readonly Dictionary<string, HashSet<string>> _before = new(StringComparer.Ordinal);

    internal StepGraph(IReadOnlyList<StepDefinition> steps)
    {
        var direct = new Dictionary<string, string[]>(StringComparer.Ordinal);
        for (var i = 0; i < steps.Count; i++)
        {
            direct.TryAdd(steps[i].Id, Direct(steps, i));
        }

        // As long as one more step has all of its predecessors behind it.
        while (direct.FirstOrDefault(step => !_before.ContainsKey(step.Key) && step.Value.All(_before.ContainsKey)) is { Key: { } next } found)
        {
            _before[next] = [.. found.Value, .. found.Value.SelectMany(before => _before[before])];
        }

        OnCycle = direct.Keys.Where(id => !_before.ContainsKey(id) && Reaches(direct, id, id)).ToHashSet(StringComparer.Ordinal);
        Unreachable = direct.Keys.Where(id => !_before.ContainsKey(id) && !OnCycle.Contains(id)).ToHashSet(StringComparer.Ordinal);
    }

    internal IReadOnlySet<string> OnCycle { get; }

    /// <summary>Behind a cycle, or behind a step that is not there.</summary>
    internal IReadOnlySet<string> Unreachable { get; }

    /// <summary>All steps that are over before this one begins.</summary>
    internal IReadOnlySet<string> Before(string id) => _before.GetValueOrDefault(id) ?? [];

    /// <summary>The step and all that come after it.</summary>
    internal IReadOnlySet<string> From(string id) => _before.Where(step => step.Key == id || step.Value.Contains(id)).Select(step => step.Key).ToHashSet(StringComparer.Ordinal);

    /// <summary>What a step waits for: what it says, or the step before it in the list.</summary>
    internal static string[] Direct(IReadOnlyList<StepDefinition> steps, int place) =>
        steps[place].After is { } named ? [.. named.Distinct(StringComparer.Ordinal)] : place == 0 ? [] : [steps[place - 1].Id];

    private static bool Reaches(Dictionary<string, string[]> direct, string from, string to)
    {
        var (seen, open) = (new HashSet<string>(StringComparer.Ordinal), new Stack<string>([from]));
        while (open.TryPop(out var at))
        {
            foreach (var before in direct.GetValueOrDefault(at, []))
            {
                if (before == to)
                {
                    return true;
                }

                if (seen.Add(before))
                {
                    open.Push(before);
                }
            }
        }

        return false;
    }
}
