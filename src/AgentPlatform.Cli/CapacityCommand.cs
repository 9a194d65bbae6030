using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Spectre.Console;

namespace AgentPlatform.Cli;

/// <summary>What a rate of messages needs, from what <c>./dev bench intake --json FILE</c> measured; see docs/scaling.md.</summary>
internal static class CapacityCommand
{
    private static readonly double[] Decades = [1, 10, 100, 1_000, 10_000];

    private static readonly JsonSerializerOptions Snake = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower, WriteIndented = true };

    internal static Command Create()
    {
        var bench = new Option<FileInfo>("--bench") { Description = "Figures of ./dev bench intake --json FILE", Required = true };
        var rates = new Option<double[]>("--messages-per-second") { Description = "One or more rates; 1 to 10,000 in tens when left out", AllowMultipleArgumentsPerToken = true };
        var retention = new Option<int>("--retention-days") { Description = "Days that messages are kept", DefaultValueFactory = _ => new Assumptions().RetentionDays };
        var pool = new Option<int>("--pool-size") { Description = "Connections a host may open: Maximum Pool Size of its connection string, postgresPoolSize on Azure", DefaultValueFactory = _ => new Assumptions().PoolSize };
        var json = new Option<bool>("--json") { Description = "Print JSON" };
        var command = new Command("capacity", "Hosts, database, connections and storage for a rate of messages") { bench, rates, retention, pool, json };
        command.Run((parsed, _) =>
        {
            var asked = parsed.GetValue(rates) is { Length: > 0 } own ? own : Decades;
            if (asked.Any(rate => rate is not (> 0 and < 1e7)) || parsed.GetValue(retention) < 1 || parsed.GetValue(pool) < 1)
            {
                throw new CommandException("Rates lie above 0 and below 10,000,000 messages a second, retention is at least a day, and a pool has at least a connection.");
            }

            var cost = Read(parsed.GetValue(bench)!);
            var assumptions = new Assumptions { RetentionDays = parsed.GetValue(retention), PoolSize = parsed.GetValue(pool) };
            Print([.. asked.Select(rate => CapacityPlan.For(rate, cost, assumptions))], parsed.GetValue(json));
            return Task.FromResult(0);
        });
        return command;
    }

    private static void Print(IReadOnlyList<CapacityPlan> plans, bool asJson)
    {
        if (asJson)
        {
            Console.WriteLine(JsonSerializer.Serialize(plans, Snake));
            return;
        }

        var table = new Table().Border(TableBorder.Markdown).AddColumns(
            "messages/s", "hosts", "database cores", "cells", "pool connections", "server connections", "commits/s", "GB/day", "TB kept", "what is met first");
        foreach (var plan in plans)
        {
            table.AddRow(
                N(plan.MessagesPerSecond), N(plan.Hosts), plan.DatabaseCores.ToString("0.0", CultureInfo.InvariantCulture), N(plan.Cells), N(plan.ClientConnections),
                N(plan.ServerConnections), N(plan.CommitsPerSecond), plan.StoredGbPerDay.ToString("0.0", CultureInfo.InvariantCulture),
                plan.StoredTb.ToString("0.00", CultureInfo.InvariantCulture), plan.First);
        }

        AnsiConsole.Write(table);
    }

    private static string N(double value) => value.ToString("#,0.##", CultureInfo.InvariantCulture);

    private static MessageCost Read(FileInfo file)
    {
        if (!file.Exists)
        {
            throw new CommandException($"{file.FullName} does not exist. Make it with: ./dev bench intake --json {file.Name}");
        }

        try
        {
            var report = JsonSerializer.Deserialize<BenchReport>(File.ReadAllText(file.FullName), JsonSerializerOptions.Web);
            var figures = (report?.Figures ?? []).ToDictionary(f => f.Name, f => f.Value, StringComparer.Ordinal);
            return new MessageCost(
                figures["host CPU per message"], figures["database CPU per message"], figures["stored per message"], figures["pgbench single insert"]);
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException)
        {
            throw new CommandException($"{file.Name} is not a report of ./dev bench intake --json: {e.Message}");
        }
    }

    private sealed record BenchReport(IReadOnlyList<BenchFigure> Figures);

    private sealed record BenchFigure(string Name, double Value);
}
