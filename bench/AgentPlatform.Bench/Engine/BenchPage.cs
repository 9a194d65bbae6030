using System.Globalization;
using System.Text;
using Npgsql;

namespace AgentPlatform.Bench.Engine;

/// <summary>The results as a page of the documentation: the engine's come first, the turn's have a section of their own, and either is replaced alone.</summary>
internal static class BenchPage
{
    private const string TurnSection = "\n## Turns\n";

    internal static async Task WriteAsync(string file, BenchOptions options, IReadOnlyList<Figure> figures)
    {
        var page = new StringBuilder();
        page.Append(CultureInfo.InvariantCulture, $"""
            # Benchmarks

            Written by `./dev bench work`. The work engine and its peers (graphile-worker and pg-boss, versions in `bench/peers/package.json`) run in
            turn on one fresh Postgres cluster with its default durability, on the same machine, which they share with it: compare the ratios and not
            the figures. Ours is a host's own engine with the options it ships with; graphile-worker runs 24 jobs at a time as in its own performance
            test, pg-boss fetches and completes in two loops without a pause. Medians of {options.Rounds} rounds of {options.Jobs:N0} jobs (a fifth of that
            where each job commits).

            {await MachineAsync()}

            """);
        Append(page, figures);
        var (_, turns) = await PartsAsync(file);
        await File.WriteAllTextAsync(file, page + turns);
    }

    internal static async Task WriteTurnAsync(string file, IReadOnlyList<Figure> figures)
    {
        var section = new StringBuilder(TurnSection);
        section.Append(CultureInfo.InvariantCulture, $"""

            Written by `./dev bench turn`. An agent of 1,000 rules, 500 actions (five phrases each), 50 scenarios and 20 variables answers one message after
            the other, without a language model and before its classifier is trained; Postgres runs beside it. A turn is its handler's run in the work engine:
            load, decide, apply and commit. An agent that has nothing hears the same messages: what its turns take is the database's part, whatever an agent
            has. A decision is a turn without I/O, for a talk's first message.

            {await MachineAsync()}

            """);
        Append(section, figures);
        var (engine, _) = await PartsAsync(file);
        await File.WriteAllTextAsync(file, engine + section);
    }

    private static async Task<(string Engine, string Turns)> PartsAsync(string file)
    {
        var page = File.Exists(file) ? await File.ReadAllTextAsync(file) : "";
        var at = page.IndexOf(TurnSection, StringComparison.Ordinal);
        return at < 0 ? (page, "") : (page[..at], page[at..]);
    }

    private static void Append(StringBuilder page, IReadOnlyList<Figure> figures)
    {
        page.Append("\n| what | measured | goal |\n|---|---:|---|\n");
        foreach (var figure in figures)
        {
            var value = figure.Value.ToString(Math.Abs(figure.Value) >= 1000 ? "N0" : "0.##", CultureInfo.InvariantCulture);
            var goal = figure.Goal is null ? "" : string.Create(CultureInfo.InvariantCulture, $"{(figure.AtLeast ? "≥" : "≤")} {figure.Goal} {figure.Unit}: {(figure.Holds == true ? "met" : "missed")}");
            page.Append(CultureInfo.InvariantCulture, $"| {figure.Name} | {value} {figure.Unit} | {goal} |\n");
        }
    }

    private static async Task<string> MachineAsync()
    {
        await using var source = NpgsqlDataSource.Create(BenchOptions.AdminConnectionString);
        await using var version = source.CreateCommand("SHOW server_version");
        var postgres = ((string)(await version.ExecuteScalarAsync())!).Split(' ')[0];
        return string.Create(CultureInfo.InvariantCulture, $"Machine: {Environment.ProcessorCount} cores, {MemoryGigabytes()} GB of memory, Postgres {postgres}, .NET {Environment.Version}.");
    }

    private static int MemoryGigabytes() => (int)Math.Round(GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 1073741824.0);
}
