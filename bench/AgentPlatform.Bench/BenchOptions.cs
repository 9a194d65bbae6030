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

    /// <summary>Jobs of each throughput phase of <c>work</c>.</summary>
    internal int Jobs { get; private init; } = 50_000;

    /// <summary>Workflows of five steps of each throughput phase of <c>durable</c>.</summary>
    internal int Flows { get; private init; } = 4000;

    /// <summary>Instances that <c>durable</c> lets sleep.</summary>
    internal int Sleepers { get; private init; } = 100_000;

    /// <summary>How often the throughput phases are repeated, ours and the peers' in turn; the median counts.</summary>
    internal int Rounds { get; private init; } = 3;

    /// <summary>Seconds that <c>work</c> keeps an old snapshot open.</summary>
    internal int SnapshotSeconds { get; private init; } = 60;

    /// <summary>Items of one tenant that wait while <c>work</c> times another's.</summary>
    internal int Backlog { get; private init; } = 200_000;

    /// <summary>The only phase of <c>work</c>, <c>durable</c> or <c>intake</c> to measure; all when null, and only then is the page written.</summary>
    internal string? Only { get; private init; }

    /// <summary>Where the result page goes; nowhere when empty.</summary>
    internal static string? Page => Environment.GetEnvironmentVariable("AGENTPLATFORM_BENCH_PAGE");

    /// <summary>The folder of the peers' scripts.</summary>
    internal static string Peers => Required("AGENTPLATFORM_PEERS");

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
                "--jobs" => options with { Jobs = int.Parse(value, CultureInfo.InvariantCulture) },
                "--flows" => options with { Flows = int.Parse(value, CultureInfo.InvariantCulture) },
                "--sleepers" => options with { Sleepers = int.Parse(value, CultureInfo.InvariantCulture) },
                "--rounds" => options with { Rounds = int.Parse(value, CultureInfo.InvariantCulture) },
                "--snapshot" => options with { SnapshotSeconds = int.Parse(value, CultureInfo.InvariantCulture) },
                "--backlog" => options with { Backlog = int.Parse(value, CultureInfo.InvariantCulture) },
                "--only" => options with { Only = value },
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
            ./dev bench intake [--json FILE] [--clients 8] [--seconds 10] [--only flood]
                webhooks per second beside pgbench's single-insert commits, latency from webhook to provider call, memory of the idle host
            ./dev bench work [--json FILE] [--jobs 50000] [--rounds 3] [--snapshot 60] [--backlog 200000]
                  [--only throughput|latency|limits|snapshot|fairness]
                the work engine beside graphile-worker and pg-boss: batched and single jobs, bulk enqueue; idle latency, an old snapshot,
                limits, fairness and memory; writes docs/benchmarks.md
            ./dev bench durable [--json FILE] [--flows 4000] [--rounds 3] [--sleepers 100000] [--only steps|alone|fanout|sleep]
                the durable runtime beside DBOS Transact: workflows of five steps, one alone, a wide fan-out; sleeping instances; writes
                docs/benchmarks.md
            ./dev bench turn [--json FILE]
                a large agent's turns in process, without a language model, and their decisions alone; writes a section of docs/benchmarks.md
            """);
        return 2;
    }

    private static string Required(string name) =>
        Environment.GetEnvironmentVariable(name) ?? throw new InvalidOperationException($"{name} is not set: run this through ./dev bench.");
}
