using System.Globalization;

namespace AgentPlatform.Chaos.Reports;

/// <summary>A part of the run, which is a section of the page.</summary>
internal interface IChaosPart
{
    string Title { get; }

    string Markdown { get; }

    IReadOnlyList<string> Violations { get; }
}

internal static class Verdict
{
    internal static string Of(IReadOnlyList<string> violations, string promise) => violations.Count == 0
        ? $"**No violation**: {promise}."
        : string.Create(CultureInfo.InvariantCulture, $"**{violations.Count} violations**:\n\n{string.Join('\n', violations.Take(50).Select(v => $"- {v}"))}");
}

/// <summary>The results as a page of the documentation; a part that was run replaces its section.</summary>
internal static class ChaosPage
{
    private const string Head =
        """
        # Chaos

        Each section is written by the command it names, from a run on a private Postgres cluster and a private PgBouncer.

        """;

    internal static void Write(string file, IChaosPart part)
    {
        var sections = File.Exists(file)
            ? File.ReadAllText(file).Split("\n## ").Skip(1).ToDictionary(s => s.Split('\n')[0].Trim(), s => $"## {s.Trim()}\n", StringComparer.Ordinal)
            : [];
        sections[part.Title] = $"## {part.Title}\n\n{part.Markdown.Trim()}\n";
        File.WriteAllText(file, Head + string.Concat(sections.OrderBy(s => s.Key, StringComparer.Ordinal).Select(s => $"\n{s.Value}")));
    }
}
