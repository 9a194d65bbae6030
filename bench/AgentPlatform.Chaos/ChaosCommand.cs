using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json;

namespace AgentPlatform.Chaos;

/// <summary><c>./dev chaos</c>: runs, prints, writes the page, and fails when a promise was not kept.</summary>
internal static class ChaosCommand
{
    internal static async Task<int> RunAsync(string[] args)
    {
        var options = new ChaosOptions(Required("AGENTPLATFORM_PGBIN"));
        var (json, page) = ((string?)null, Required("AGENTPLATFORM_CHAOS_PAGE"));
        for (var i = 0; i < args.Length; i += 2)
        {
            var value = i + 1 < args.Length ? args[i + 1] : throw new ArgumentException($"{args[i]} needs a value.");
            switch (args[i])
            {
                case "--jobs": options = options with { Jobs = int.Parse(value, CultureInfo.InvariantCulture) }; break;
                case "--rounds": options = options with { Rounds = int.Parse(value, CultureInfo.InvariantCulture) }; break;
                case "--seed": options = options with { Seed = int.Parse(value, CultureInfo.InvariantCulture) }; break;
                case "--lease": options = options with { LeaseSeconds = int.Parse(value, CultureInfo.InvariantCulture) }; break;
                case "--json": json = value; break;
                default: return Usage();
            }
        }

        using var stop = new CancellationTokenSource();
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, context => Stop(context, stop));
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, context => Stop(context, stop));
        return Report(await new ChaosRun(options, TimeProvider.System, Console.WriteLine).RunAsync(stop.Token), json, page);
    }

    internal static int Usage()
    {
        Console.Error.WriteLine("./dev chaos [--jobs 100000] [--rounds 4] [--seed 1] [--lease 30] [--json FILE]");
        return 2;
    }

    private static int Report(ChaosResult result, string? json, string page)
    {
        File.WriteAllText(page, result.Markdown());
        if (json is not null)
        {
            File.WriteAllText(json, JsonSerializer.Serialize(new { result.Kills, result.Figures, result.Violations }, JsonSerializerOptions.Web));
        }

        Console.WriteLine(result.Markdown());
        return result.Violations.Count == 0 ? 0 : 1;
    }

    /// <summary>The servers are stopped first.</summary>
    private static void Stop(PosixSignalContext context, CancellationTokenSource stop)
    {
        context.Cancel = true;
        stop.Cancel();
    }

    private static string Required(string name) =>
        Environment.GetEnvironmentVariable(name) ?? throw new InvalidOperationException($"{name} is not set: run this through ./dev chaos.");
}
