using System.Globalization;
using System.Text;
using Npgsql;

namespace AgentPlatform.Bench.Engine;

/// <summary>One bench's part of the page.</summary>
internal sealed record BenchSection(string Title, string Introduction);

/// <summary>The results as a page of the documentation, a section for each bench; a run replaces its own.</summary>
internal static class BenchPage
{
    private const string Head =
        """
        # Benchmarks

        Each section is written by the bench it names. Ours and its peers (versions in `bench/peers/package.json`) run in turn on one fresh Postgres
        cluster with its default durability, on the same machine, which they share with it: compare the ratios and not the figures. Checkpoints are put
        off, so that none falls into one round and not into another. Ours runs with the options that a host ships with.

        """;

    internal static BenchSection Work(BenchOptions options) => new(
        "The work engine",
        string.Create(CultureInfo.InvariantCulture, $"""
        Written by `./dev bench work`. graphile-worker runs 24 jobs at a time as in its own performance test, pg-boss fetches and completes in two
        loops without a pause. graphile-worker deletes a job that is done, pg-boss keeps it, ours does either by kind: it deletes where nothing else is said here.
        Medians of {options.Rounds} rounds of {options.Jobs:N0} jobs (a fifth of that where each job commits).
        """));

    internal static BenchSection Durable(BenchOptions options) => new(
        "The durable runtime",
        string.Create(CultureInfo.InvariantCulture, $"""
        Written by `./dev bench durable`. DBOS Transact for TypeScript runs the same workflows in one process with a pool of 32 connections. A step
        does nothing: what is measured is keeping it. Medians of {options.Rounds} short rounds of {options.Flows:N0} workflows (a quarter of that for DBOS).
        """));

    internal static BenchSection Intake(BenchOptions options) => new(
        "The front door",
        string.Create(CultureInfo.InvariantCulture, $"""
        Written by `./dev bench intake`. A host as it ships takes text messages as Twilio sends them, signed, and answers them through a fake of Twilio's
        API; the sender, the fake, the host and Postgres share the machine. Intake: {options.Clients} clients send for {options.Seconds} s, and a request is over once its message is
        committed; pgbench's limit is a transaction with a single insert, by as many clients. The turns that follow are taken beside it, one at a time.
        """));

    internal static BenchSection Turn { get; } = new(
        "Turns",
        """
        Written by `./dev bench turn`. An agent of 1,000 rules, 500 actions (five phrases each), 50 scenarios and 20 variables answers one message after
        the other, without a language model and before its classifier is trained; Postgres runs beside it. A turn is its handler's run in the work engine:
        load, decide, apply and commit. An agent that has nothing hears the same messages: what its turns take is the database's part, whatever an agent
        has. A decision is a turn without I/O, for a talk's first message.
        """);

    internal static async Task WriteAsync(string file, BenchSection section, IReadOnlyList<Figure> figures)
    {
        await using var source = NpgsqlDataSource.Create(BenchOptions.AdminConnectionString);
        await using var version = source.CreateCommand("SHOW server_version");
        var postgres = ((string)(await version.ExecuteScalarAsync())!).Split(' ')[0];
        var body = new StringBuilder();
        body.Append(CultureInfo.InvariantCulture, $"""
            ## {section.Title}

            {section.Introduction}

            Machine: {Environment.ProcessorCount} cores, {MemoryGigabytes()} GB of memory, Postgres {postgres}, .NET {Environment.Version}.

            | what | measured | goal |
            |---|---:|---|

            """);
        foreach (var figure in figures)
        {
            body.Append(CultureInfo.InvariantCulture, $"| {figure.Name} | {Text(figure.Value)} {figure.Unit} | {Goal(figure)} |\n");
        }

        var others = File.Exists(file) ? Sections(await File.ReadAllTextAsync(file)) : [];
        others[section.Title] = body.ToString();
        await File.WriteAllTextAsync(file, Head + string.Concat(others.Values.Select(s => "\n" + s.Trim() + "\n")));
    }

    private static string Text(double value) => value.ToString(Math.Abs(value) >= 1000 ? "N0" : "0.##", CultureInfo.InvariantCulture);

    private static string Goal(Figure figure) => figure.Goal is not { } goal
        ? ""
        : string.Create(CultureInfo.InvariantCulture, $"{(figure.AtLeast ? "≥" : "≤")} {goal:0.##} {figure.Unit}: {(figure.Holds == true ? "met" : "missed")}");

    private static SortedDictionary<string, string> Sections(string page)
    {
        var sections = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (var part in page.Split("\n## ").Skip(1))
        {
            sections[part.Split('\n')[0].Trim()] = "## " + part;
        }

        return sections;
    }

    private static int MemoryGigabytes() => (int)Math.Round(GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 1073741824.0);
}
