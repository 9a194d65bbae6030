using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Npgsql;

namespace AgentPlatform.Bench.Engine;

/// <summary>The other Postgres queues (bench/peers), each in a Node process of its own, on the same cluster.</summary>
internal static class Peers
{
    /// <summary>Jobs a second.</summary>
    internal static async Task<double> RateAsync(string peer, string phase, int jobs)
    {
        var target = new NpgsqlConnectionStringBuilder(BenchOptions.ConnectionString);
        var start = new ProcessStartInfo("node", [BenchOptions.PeersScript, peer, phase, jobs.ToString(CultureInfo.InvariantCulture)])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            Environment = { ["DATABASE_URL"] = $"postgres://{target.Username}:{target.Password}@{target.Host}:{target.Port}/{target.Database}" },
        };
        using var process = Process.Start(start)!;
        var errors = process.StandardError.ReadToEndAsync();
        var output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        return process.ExitCode == 0
            ? JsonDocument.Parse(output).RootElement.GetProperty("rate").GetDouble()
            : throw new InvalidOperationException($"{peer} {phase} failed: {await errors}");
    }
}
