using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Npgsql;

namespace AgentPlatform.Bench.Engine;

/// <summary>The peers (bench/peers), each phase in a Node process of its own, on the same cluster.</summary>
internal static class Peers
{
    /// <summary>Jobs a second.</summary>
    internal static Task<double> RateAsync(string peer, string phase, int jobs) => FigureAsync("peers.mjs", peer, phase, jobs);

    /// <summary>What a phase of a script measured.</summary>
    internal static async Task<double> FigureAsync(string script, string peer, string phase, int count)
    {
        var target = new NpgsqlConnectionStringBuilder(BenchOptions.ConnectionString);
        var start = new ProcessStartInfo("node", [Path.Combine(BenchOptions.Peers, script), peer, phase, count.ToString(CultureInfo.InvariantCulture)])
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
            ? JsonDocument.Parse(output).RootElement.GetProperty("figure").GetDouble()
            : throw new InvalidOperationException($"{peer} {phase} failed: {await errors}");
    }
}
