using AgentPlatform.LocalHost.Http;
using AgentPlatform.LocalHost.Invocation;

namespace AgentPlatform.LocalHost.Hosting;

/// <summary>The list of functions a developer sees at start, in the form Core Tools print it.</summary>
internal static class StartupTable
{
    internal static void Write(TextWriter output, FunctionCatalog catalog, string address, string prefix)
    {
        output.WriteLine();
        output.WriteLine("Functions:");
        foreach (var function in catalog.All.OrderBy(f => f.Trigger is not HttpTriggerAttribute).ThenBy(f => f.Name, StringComparer.OrdinalIgnoreCase))
        {
            output.WriteLine();
            output.WriteLine($"\t{function.Name}: {Describe(function, address, prefix)}");
        }

        output.WriteLine();
        output.Flush();
    }

    private static string Describe(LocalFunction function, string address, string prefix)
    {
        if (function.Trigger is not HttpTriggerAttribute http)
        {
            return function.Kind.Name;
        }

        var methods = http.Methods is { Length: > 0 } some ? $"[{string.Join(',', some.Select(m => m.ToUpperInvariant()))}] " : "";
        return $"{methods}{address}/{HttpFunctions.Route(function, http, prefix)}";
    }
}
