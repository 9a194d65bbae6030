using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json;
using AgentPlatform.Chaos.Flows;
using AgentPlatform.Chaos.Reports;

namespace AgentPlatform.Chaos;

/// <summary><c>./dev chaos</c>: runs, prints, writes the page, and fails when a promise was not kept.</summary>
internal static class ChaosCommand
{
    private const string Jobs = "jobs";
    private const string Workflows = "workflows";

    internal static async Task<int> RunAsync(string[] args)
    {
        var options = new ChaosOptions(Required("AGENTPLATFORM_PGBIN"));
        string? json = null;
        string? only = null;
        for (var i = 0; i < args.Length; i += 2)
        {
            var value = i + 1 < args.Length ? args[i + 1] : throw new ArgumentException($"{args[i]} needs a value.");
            switch (args[i])
            {
                case "--only" when value is Jobs or Workflows: only = value; break;
                case "--jobs": options = options with { Jobs = int.Parse(value, CultureInfo.InvariantCulture) }; break;
                case "--rounds": options = options with { Rounds = int.Parse(value, CultureInfo.InvariantCulture) }; break;
                case "--workflows": options = options with { Workflows = int.Parse(value, CultureInfo.InvariantCulture) }; break;
                case "--seed": options = options with { Seed = int.Parse(value, CultureInfo.InvariantCulture) }; break;
                case "--lease": options = options with { LeaseSeconds = int.Parse(value, CultureInfo.InvariantCulture) }; break;
                case "--json": json = value; break;
                default: return Usage();
            }
        }

        using var stop = new CancellationTokenSource();
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, context => Stop(context, stop));
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, context => Stop(context, stop));
        var parts = new List<IChaosPart>();
        if (only is null or Jobs)
        {
            parts.Add(Report(await new ChaosRun(options, TimeProvider.System, Console.WriteLine).RunAsync(stop.Token)));
        }

        if (only is null or Workflows)
        {
            parts.Add(Report(await new FlowRun(options, Required("AGENTPLATFORM_HOST"), TimeProvider.System, Console.WriteLine).RunAsync(stop.Token)));
        }

        if (json is not null)
        {
            await File.WriteAllTextAsync(json, JsonSerializer.Serialize(parts.ToDictionary(part => part.Title, part => (object)part), JsonSerializerOptions.Web), stop.Token);
        }

        return parts.All(part => part.Violations.Count == 0) ? 0 : 1;
    }

    internal static int Usage()
    {
        Console.Error.WriteLine("./dev chaos [--only jobs|workflows] [--jobs 100000] [--rounds 4] [--workflows 2000] [--seed 1] [--lease 30] [--json FILE]");
        return 2;
    }

    private static IChaosPart Report(IChaosPart part)
    {
        ChaosPage.Write(Required("AGENTPLATFORM_CHAOS_PAGE"), part);
        Console.WriteLine(part.Markdown);
        return part;
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
