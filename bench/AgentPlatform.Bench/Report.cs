using System.Globalization;
using System.Text.Json;

namespace AgentPlatform.Bench;

/// <summary>A figure, and what it should be: at least or at most <see cref="Goal"/>, or no goal.</summary>
internal sealed record Figure(string Name, double Value, string Unit, double? Goal = null, bool AtLeast = false)
{
    internal bool? Holds => Goal is null ? null : AtLeast ? Value >= Goal : Value <= Goal;
}

internal static class Report
{
    /// <summary>Prints the figures as a table and writes them as JSON. Exit code 1 when a goal is missed.</summary>
    internal static int Write(string verb, IReadOnlyList<Figure> figures, string? jsonFile)
    {
        var width = figures.Max(f => f.Name.Length);
        foreach (var figure in figures)
        {
            var goal = figure.Goal is null ? "" : string.Create(CultureInfo.InvariantCulture, $"goal {(figure.AtLeast ? "≥" : "≤")} {figure.Goal:0.##} {(figure.Holds == true ? "✓" : "✗ missed")}");
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  {figure.Name.PadRight(width)}  {figure.Value,10:0.##} {figure.Unit,-6}  {goal}").TrimEnd());
        }

        if (jsonFile is not null)
        {
            var json = new { bench = verb, processors = Environment.ProcessorCount, figures = figures.Select(f => new { name = f.Name, value = Math.Round(f.Value, 3), unit = f.Unit, goal = f.Goal, holds = f.Holds }) };
            File.WriteAllText(jsonFile, JsonSerializer.Serialize(json, JsonSerializerOptions.Web));
        }

        return figures.Any(f => f.Holds == false) ? 1 : 0;
    }

    internal static double Percentile(IEnumerable<double> values, double percent)
    {
        var sorted = values.Order().ToArray();
        return sorted.Length == 0 ? double.NaN : sorted[Math.Clamp((int)Math.Ceiling(percent / 100 * sorted.Length) - 1, 0, sorted.Length - 1)];
    }
}
