using System.CommandLine;
using System.Globalization;
using AgentPlatform.Kernel;
using AgentPlatform.Work.Simulate;
using Microsoft.Extensions.DependencyInjection;
using Spectre.Console;

namespace AgentPlatform.Cli;

/// <summary>Plays the work of a period again under another policy, in memory; see docs/work.md.</summary>
internal static class SimulateCommand
{
    /// <summary>What fits into memory beside everything else.</summary>
    private const int Most = 2_000_000;

    internal static Command Create()
    {
        var policy = new Option<FileInfo>("--policy") { Description = "The policy to try, as JSON", Required = true };
        var from = Moment("--from", "Work that fell due from then on");
        var to = Moment("--to", "and before then");
        var json = new Option<bool>("--json") { Description = "Print JSON" };
        var command = new Command("simulate", "What recorded work would have waited under another policy; the queue itself is only read") { policy, from, to, json };
        command.Run(async (parsed, ct) =>
        {
            var (since, until) = (parsed.GetValue(from), parsed.GetValue(to));
            if (since >= until)
            {
                throw new CommandException("--from lies before --to.");
            }

            var tried = Read(parsed.GetValue(policy)!);
            await using var services = CliServices.Build();
            var recorded = await new WorkHistory(services.GetRequiredService<Postgres.Database>()).ReadAsync(since, until, Most + 1, ct);
            if (recorded.Count > Most)
            {
                throw new CommandException($"More than {Most:#,0} items fell due in that time: choose a shorter one.");
            }

            Print(SimulationReport.For(tried, recorded), parsed.GetValue(json));
            return 0;
        });
        return command;
    }

    /// <summary>A moment without an offset is meant in UTC, as everything the platform prints.</summary>
    private static Option<DateTimeOffset> Moment(string name, string description) => new(name)
    {
        Description = $"{description}, e.g. 2026-03-01T08:00Z",
        Required = true,
        CustomParser = result =>
        {
            if (!DateTimeOffset.TryParse(result.Tokens[0].Value, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var at))
            {
                result.AddError($"{name} '{result.Tokens[0].Value}' is no moment such as 2026-03-01T08:00Z.");
            }

            return at;
        },
    };

    private static SimulationPolicy Read(FileInfo file)
    {
        if (!file.Exists)
        {
            throw new CommandException($"{file.FullName} does not exist.");
        }

        try
        {
            return SimulationPolicy.Parse(File.ReadAllText(file.FullName));
        }
        catch (PolicyException e)
        {
            throw new CommandException($"{file.Name} is no policy: {e.Message}");
        }
    }

    private static void Print(SimulationReport report, bool asJson)
    {
        if (asJson)
        {
            Console.WriteLine(Json.Text(report));
            return;
        }

        AnsiConsole.Write(Table("", [report.All]));
        AnsiConsole.Write(Table("kind", report.Kinds));
        AnsiConsole.Write(Table("tenant", report.Tenants));
        Commands.Say($"Fairness between tenants: {report.RecordedFairness:0.00} recorded, {report.ProposedFairness:0.00} proposed (1: all wait alike).");
        if (report.Unmeasured + report.Withdrawn > 0)
        {
            Commands.Say($"Left out: {report.Withdrawn} items that were over before they started, {report.Unmeasured} of kinds of which no run was measured.");
        }

        foreach (var kind in report.UnknownKinds)
        {
            Commands.Say($"[yellow]The policy names {kind}, and no work of that kind fell due.[/]");
        }
    }

    private static Table Table(string of, IReadOnlyList<Comparison> rows)
    {
        var table = new Table().Border(TableBorder.Markdown).AddColumns(of, "", "items", "started", "waiting", "expired", "refused", "merged", "p50", "p95", "p99", "max");
        foreach (var row in rows)
        {
            Add(table, row.Name, "recorded", row.Recorded);
            Add(table, "", "proposed", row.Proposed);
        }

        return table;
    }

    private static void Add(Table table, string name, string side, Figures f) => table.AddRow(
        Markup.Escape(name), side, N(f.Items), N(f.Started), N(f.Waiting), N(f.Expired), N(f.Refused), N(f.Merged), S(f.P50Seconds), S(f.P95Seconds), S(f.P99Seconds), S(f.MaxSeconds));

    private static string N(int? count) => count?.ToString("#,0", CultureInfo.InvariantCulture) ?? "?";

    private static string S(double? seconds) => seconds is { } s ? $"{s.ToString("#,0.00", CultureInfo.InvariantCulture)} s" : "–";
}
