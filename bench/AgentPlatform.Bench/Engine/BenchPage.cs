using System.Globalization;
using System.Text;
using Npgsql;

namespace AgentPlatform.Bench.Engine;

/// <summary>The result as a page of the documentation.</summary>
internal static class BenchPage
{
    internal static async Task WriteAsync(string file, BenchOptions options, IReadOnlyList<Figure> figures)
    {
        await using var source = NpgsqlDataSource.Create(BenchOptions.AdminConnectionString);
        await using var version = source.CreateCommand("SHOW server_version");
        var postgres = ((string)(await version.ExecuteScalarAsync())!).Split(' ')[0];
        var page = new StringBuilder();
        page.Append(CultureInfo.InvariantCulture, $"""
            # Benchmarks

            Written by `./dev bench work`. The work engine and its peers (graphile-worker and pg-boss, versions in `bench/peers/package.json`) run in
            turn on one fresh Postgres cluster with its default durability, on the same machine, which they share with it: compare the ratios and not
            the figures. Ours is a host's own engine with the options it ships with; graphile-worker runs 24 jobs at a time as in its own performance
            test, pg-boss fetches and completes in two loops without a pause. Medians of {options.Rounds} rounds of {options.Jobs:N0} jobs (a fifth of that
            where each job commits).

            Machine: {Environment.ProcessorCount} cores, {MemoryGigabytes()} GB of memory, Postgres {postgres}, .NET {Environment.Version}.

            | what | measured | goal |
            |---|---:|---|

            """);
        foreach (var figure in figures)
        {
            var value = figure.Value.ToString(Math.Abs(figure.Value) >= 1000 ? "N0" : "0.##", CultureInfo.InvariantCulture);
            var goal = figure.Goal is null ? "" : string.Create(CultureInfo.InvariantCulture, $"{(figure.AtLeast ? "≥" : "≤")} {figure.Goal} {figure.Unit}: {(figure.Holds == true ? "met" : "missed")}");
            page.Append(CultureInfo.InvariantCulture, $"| {figure.Name} | {value} {figure.Unit} | {goal} |\n");
        }

        await File.WriteAllTextAsync(file, page.ToString());
    }

    private static int MemoryGigabytes() => (int)Math.Round(GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 1073741824.0);
}
