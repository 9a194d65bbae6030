using System.Reflection;
using System.Text.RegularExpressions;

namespace AgentPlatform.Tests.Rules;

/// <summary>The list of what stands for Azure Functions names tests: each of them is there.</summary>
public sealed partial class ConformanceRules
{
    [Fact]
    public void Every_test_that_the_conformance_list_names_exists()
    {
        var types = typeof(ConformanceRules).Assembly.GetTypes();
        var classes = types.Select(t => t.Name).ToHashSet(StringComparer.Ordinal);
        var methods = types.SelectMany(t => t.GetMethods(BindingFlags.Public | BindingFlags.Instance | BindingFlags.DeclaredOnly)).Select(m => m.Name).ToHashSet(StringComparer.Ordinal);
        var named = Quoted().Matches(File.ReadAllText(Path.Combine(Repository.Root, "docs", "functions-conformance.md"))).Select(m => m.Groups["text"].Value)
            .Where(text => TestName().IsMatch(text)).ToList();

        Assert.True(named.Count > 60, $"Only {named.Count} names were found.");
        Assert.Empty(named.Where(name => !name.Split('.').All(part => Exists(part, classes, methods))));
    }

    /// <summary>A name may be cut short at either end by an ellipsis.</summary>
    private static bool Exists(string part, HashSet<string> classes, HashSet<string> methods) =>
        classes.Contains(part) || methods.Contains(part)
        || part.EndsWith('…') && methods.Any(m => m.StartsWith(part.TrimEnd('…'), StringComparison.Ordinal))
        || part.StartsWith('…') && methods.Contains(part.TrimStart('…'));

    [GeneratedRegex("`(?<text>[^`]+)`", RegexOptions.ExplicitCapture)]
    private static partial Regex Quoted();

    [GeneratedRegex(@"^(…?[A-Z][A-Za-z]*Tests(\.…?\w+…?)?|…?[A-Z][A-Za-z]*_(?!_)\w*…?|MessageQueueConformance)$", RegexOptions.ExplicitCapture)]
    private static partial Regex TestName();
}
