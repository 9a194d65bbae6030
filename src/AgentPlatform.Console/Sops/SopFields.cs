using System.Text.Json;
using System.Text.RegularExpressions;
using AgentPlatform.Console.Workflows;
using AgentPlatform.Kernel;
using AgentPlatform.Workflows.Sops;

namespace AgentPlatform.Console.Sops;

/// <summary>Which fields a form has: the names that an SOP reads of its context, and of the results of its steps.</summary>
internal static partial class SopFields
{
    internal static IReadOnlyList<string> OfContext(Sop sop, IReadOnlyList<SopStep> steps) => StartRunEndpoints.InputsOf(Whole(sop, steps));

    /// <summary>What the step's criteria and other steps read of its result.</summary>
    internal static IReadOnlyList<string> OfResult(SopStep step, IReadOnlyList<SopStep> steps)
    {
        IEnumerable<Match> own = step.ValidationCriteria is { } criteria ? ResultPath().Matches(criteria.GetRawText()) : [];
        var others = StepPath().Matches(Json.Of(steps).GetRawText()).Where(path => path.Groups["step"].Value == $"{step.StepNumber}");
        return [.. own.Concat(others).Select(path => path.Groups["name"].Value).Distinct(StringComparer.Ordinal)];
    }

    private static JsonElement Whole(Sop sop, IReadOnlyList<SopStep> steps) => Json.Of(new { sop.Prerequisites, steps });

    [GeneratedRegex(@"\$\.step\.result\.(?<name>[A-Za-z_][A-Za-z0-9_]*)", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex ResultPath();

    [GeneratedRegex(@"\$\.steps\.(?<step>\d+)\.(?<name>[A-Za-z_][A-Za-z0-9_]*)", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex StepPath();
}
