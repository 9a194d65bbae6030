using System.Globalization;

namespace AgentPlatform.Chaos.Reports;

/// <summary>What the run amounted to. Times in seconds where no unit is named.</summary>
internal sealed record ChaosFigures(
    int Jobs, int Runs, int Interruptions, int Completions, int ProviderRequests, int Effects, int InterruptedByKill, double? RestartP99Seconds, TimeSpan Took);

internal sealed record ChaosResult(ChaosOptions Options, IReadOnlyDictionary<string, int> Kills, ChaosFigures Figures, IReadOnlyList<string> Violations) : IChaosPart
{
    public string Title => "Jobs";

    public string Markdown => string.Create(CultureInfo.InvariantCulture, $"""
        Written by `./dev chaos --only jobs --jobs {Figures.Jobs}`. {Options.Workers} worker processes with {Options.Concurrency} items each and a lease of {Options.LeaseSeconds} s worked off
        {Figures.Jobs} jobs over PgBouncer in transaction mode while these struck, seed {Options.Seed}:

        | kill | times |
        |---|---:|
        {string.Join('\n', Kills.Select(kill => string.Create(CultureInfo.InvariantCulture, $"| {kill.Key} | {kill.Value} |")))}

        Jobs that write a ledger in the transaction that completes them, jobs that leave their completion to the engine's batch, both also of kinds
        that leave no row, jobs in series, jobs that call a provider with an idempotency key and without one, and jobs that fail on purpose. Checked
        from the database, the providers' own logs and journals that the workers keep outside of the database:

        | | |
        |---|---:|
        | jobs | {Figures.Jobs} |
        | runs begun | {Figures.Runs} |
        | interruptions | {Figures.Interruptions} |
        | completions | {Figures.Completions} |
        | requests at the providers | {Figures.ProviderRequests} |
        | effects at the providers | {Figures.Effects} |
        | items that a SIGKILL interrupted | {Figures.InterruptedByKill} |
        | SIGKILL to their restart, p99 | {Figures.RestartP99Seconds:0.0} s (limit {Options.RestartLimit.TotalSeconds:0} s) |
        | the whole run | {Figures.Took.TotalSeconds:0} s |

        {Verdict.Of(Violations, "nothing lost, nothing completed twice, no effect twice, series in order, attempts unchanged by kills")}
        """);
}
