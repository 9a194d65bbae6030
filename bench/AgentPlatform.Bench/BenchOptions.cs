using System.Globalization;

namespace AgentPlatform.Bench;

/// <summary>What every verb takes. The database and the Postgres tools come from <c>./dev bench</c>, by environment.</summary>
internal sealed record BenchOptions
{
    internal string? JsonFile { get; private init; }

    /// <summary>Clients of the throughput phases, of ours and of pgbench alike.</summary>
    internal int Clients { get; private init; } = 8;

    /// <summary>Seconds of each measured phase.</summary>
    internal int Seconds { get; private init; } = 10;

    internal static string ConnectionString => Required("ConnectionStrings__AgentPlatform");

    /// <summary>The superuser of the throw-away cluster: counts what row level security hides.</summary>
    internal static string AdminConnectionString => Required("AGENTPLATFORM_BENCH_ADMIN");

    internal static string PostgresTools => Required("AGENTPLATFORM_PGBIN");

    internal static string HostAssembly => Required("AGENTPLATFORM_HOST");

    internal static BenchOptions Parse(string[] args)
    {
        var options = new BenchOptions();
        for (var i = 0; i < args.Length; i += 2)
        {
            var value = i + 1 < args.Length ? args[i + 1] : throw new ArgumentException($"{args[i]} needs a value.");
            options = args[i] switch
            {
                "--json" => options with { JsonFile = value },
                "--clients" => options with { Clients = int.Parse(value, CultureInfo.InvariantCulture) },
                "--seconds" => options with { Seconds = int.Parse(value, CultureInfo.InvariantCulture) },
                _ => throw new ArgumentException($"Unknown option {args[i]}."),
            };
        }

        return options;
    }

    internal static int Usage()
    {
        Console.Error.WriteLine(
            """
            ./dev bench intake [--json FILE] [--clients 8] [--seconds 10]
                webhooks per second beside pgbench's single-insert commits, latency from webhook to provider call, memory of the idle host
            """);
        return 2;
    }

    private static string Required(string name) =>
        Environment.GetEnvironmentVariable(name) ?? throw new InvalidOperationException($"{name} is not set: run this through ./dev bench.");
}
