using System.Text.RegularExpressions;
using AgentPlatform.Kernel;

namespace AgentPlatform.Workflows.Running;

/// <summary>Pure: what runs that failed alike have in common: the step, the code, and the message without the numbers and names that differ.</summary>
internal static partial class ErrorSignature
{
    private const int MaxMessage = 160;

    internal static string Of(RunError error)
    {
        var message = Differing().Replace(error.Message, "…");
        return $"{error.StepId ?? "-"}:{error.Code}:{message.Clip(MaxMessage)}";
    }

    // Quoted text, ids and numbers.
    [GeneratedRegex("""("[^"]*"|'[^']*'|[0-9a-f]{8}-[0-9a-f-]{27}|\d[\w.:-]*)""", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture | RegexOptions.NonBacktracking)]
    private static partial Regex Differing();
}
