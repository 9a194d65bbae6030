using System.Diagnostics;
using System.Globalization;
using Npgsql;

namespace AgentPlatform.Bench;

/// <summary>What this machine's Postgres commits when a transaction is one insert: the yardstick, taken in the same run.</summary>
internal static class Pgbench
{
    internal static async Task<double> SingleInsertsPerSecondAsync(string connectionString, int clients, int seconds)
    {
        var target = new NpgsqlConnectionStringBuilder(connectionString);
        await using (var source = NpgsqlDataSource.Create(connectionString))
        {
            await using var create = source.CreateCommand("CREATE TABLE IF NOT EXISTS public.bench_inserts (id uuid PRIMARY KEY, at timestamptz NOT NULL DEFAULT now(), body text NOT NULL)");
            await create.ExecuteNonQueryAsync();
        }

        var script = Path.GetTempFileName();
        await File.WriteAllTextAsync(script, $"INSERT INTO public.bench_inserts (id, body) VALUES (gen_random_uuid(), '{new string('x', 120)}');\n");
        var start = new ProcessStartInfo(
            Path.Combine(BenchOptions.PostgresTools, "pgbench"),
            ["-n", "-M", "prepared", "-f", script, "-c", Text(clients), "-j", "2", "-T", Text(seconds), "-h", target.Host!, "-p", Text(target.Port), "-U", target.Username!, target.Database!])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            Environment = { ["PGPASSWORD"] = target.Password },
        };
        using var process = Process.Start(start)!;
        var errors = process.StandardError.ReadToEndAsync();
        var output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        File.Delete(script);
        var line = output.Split('\n').FirstOrDefault(l => l.StartsWith("tps = ", StringComparison.Ordinal))
            ?? throw new InvalidOperationException($"pgbench failed: {await errors}");
        return double.Parse(line.Split(' ')[2], CultureInfo.InvariantCulture);
    }

    private static string Text(int value) => value.ToString(CultureInfo.InvariantCulture);
}
