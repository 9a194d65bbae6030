using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using AgentPlatform.Brain.Nlu;
using CsvHelper;

namespace AgentPlatform.Cli;

/// <summary>Measures the intent classifier on labelled texts of one's own.</summary>
internal static class NluCommand
{
    private static readonly JsonSerializerOptions Snake = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower, WriteIndented = true };

    internal static Command Create()
    {
        var train = new Option<FileInfo>("--train") { Description = "CSV with the columns text,intent: what is learned", Required = true };
        var test = new Option<FileInfo>("--test") { Description = "CSV with the columns text,intent: what is asked", Required = true };
        var outOfScope = new Option<string>("--oos-label") { Description = "The intent that marks texts out of scope", DefaultValueFactory = _ => "oos" };
        var seed = new Option<int>("--seed") { Description = "Another seed, another model", DefaultValueFactory = _ => 1 };
        var json = new Option<bool>("--json") { Description = "Print JSON" };
        var eval = new Command("eval", "Train on one file, measure on another") { train, test, outOfScope, seed, json };
        eval.Run((parsed, ct) =>
        {
            var label = parsed.GetValue(outOfScope)!;
            var result = IntentEvaluation.Run(Read(parsed.GetValue(train)!, label), Read(parsed.GetValue(test)!, label), parsed.GetValue(seed), ct);
            Print(result, parsed.GetValue(json));
            return Task.FromResult(0);
        });
        return new Command("nlu", "The intent classifier") { eval };
    }

    private static void Print(IntentEvaluation result, bool asJson)
    {
        if (asJson)
        {
            Console.WriteLine(JsonSerializer.Serialize(result, Snake));
            return;
        }

        Commands.Say($"In scope: {result.AccuracyInScope:P2} recognised, macro F1 {result.MacroF1:P2}");
        Commands.Say($"Out of scope: {result.OosRecall:P2} rejected; {result.OosPrecision:P2} of what is rejected is out of scope");
        Commands.Say($"An utterance: {result.P50Us:0} µs (p50), {result.P99Us:0} µs (p99). Training: {result.TrainSeconds:0.0} s. The model: {result.ModelBytes / 1024:N0} KiB");
    }

    private static List<LabelledUtterance> Read(FileInfo file, string outOfScope)
    {
        if (!file.Exists)
        {
            throw new CommandException($"{file.FullName} does not exist.");
        }

        using var csv = new CsvReader(file.OpenText(), CultureInfo.InvariantCulture);
        if (!csv.Read() || !csv.ReadHeader() || !csv.HeaderRecord!.Contains("text", StringComparer.Ordinal) || !csv.HeaderRecord!.Contains("intent", StringComparer.Ordinal))
        {
            throw new CommandException($"{file.Name} must begin with a line that names the columns text and intent.");
        }

        var rows = new List<LabelledUtterance>();
        try
        {
            while (csv.Read())
            {
                var intent = csv.GetField("intent");
                rows.Add(new LabelledUtterance(csv.GetField("text")!, intent == outOfScope ? null : intent));
            }
        }
        catch (CsvHelperException)
        {
            throw new CommandException($"{file.Name}: line {csv.Parser.Row} is not a text and its intent.");
        }

        return rows;
    }
}
