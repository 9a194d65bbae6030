using System.Globalization;
using AgentPlatform.Kernel;

namespace AgentPlatform.Alerts;

/// <summary>Pure: what an alert says.</summary>
internal static class AlertWords
{
    private const int LongestTitle = 250;
    private const int MostLines = 10;

    /// <summary>Rule: its name; null when a task's own settings want it told.</summary>
    internal static string Title(string? rule, IReadOnlyList<AlertedRun> runs, int matches)
    {
        var what = matches == 1 ? Gist(runs[0]) : $"{matches} runs";
        var title = rule is null ? what : $"{rule}: {what}";
        return Clip(title, LongestTitle);
    }

    internal static string Message(IReadOnlyList<AlertedRun> runs, int matches)
    {
        var lines = runs.Take(MostLines).Select(Sentence);
        return string.Join('\n', matches > MostLines ? lines.Append($"… and {matches - MostLines} more.") : lines);
    }

    /// <summary>Never in the middle of a character that takes two.</summary>
    internal static string Clip(string text, int most) => text.Clip(most, "…");

    private static string Sentence(AlertedRun run)
    {
        var streak = run.FailureStreak > 1 ? $" ({run.FailureStreak} in a row)" : "";
        var why = run.Error is null ? "" : $": {run.Error}";
        return string.Create(CultureInfo.InvariantCulture, $"{Gist(run)} after {run.Duration / 1000.0:0.#} s at {run.EndedAt.UtcDateTime:yyyy-MM-dd HH:mm} UTC{streak}{why}");
    }

    private static string Gist(AlertedRun run) => $"{run.TaskName} {run.Status switch { "success" => "succeeded", "timeout" => "took too long", _ => "failed" }}";
}
