using System.Globalization;
using Microsoft.Extensions.Hosting;
using Npgsql;

namespace AgentPlatform.Postgres;

/// <summary>The host must not start over this database. The message is one line for its operator.</summary>
public sealed class DatabaseCheckException(string message) : Exception(message);

/// <summary>
/// Runs before the host serves: a database without the migrations of this build would fail request by request, and with clocks that
/// differ signatures, leases and schedules would be early or late by as much.
/// </summary>
internal sealed class DatabaseCheck(NpgsqlDataSource source, Migrator migrator, TimeProvider clock) : IHostedService
{
    private static readonly TimeSpan MaxSkew = TimeSpan.FromSeconds(30);

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        if (await migrator.PendingAsync(cancellationToken) is { Count: > 0 } pending)
        {
            throw new DatabaseCheckException(
                $"The database lacks {pending.Count} of this build's migrations, the first is {pending[0].Name}. Apply them with: AgentPlatform.Cli migrate");
        }

        await using var command = source.CreateCommand(Sql.Now);
        var asked = clock.GetTimestamp();
        var theirs = new DateTimeOffset((DateTime)(await command.ExecuteScalarAsync(cancellationToken))!);
        var skew = clock.GetUtcNow() - theirs;
        if (skew.Duration() > MaxSkew + clock.GetElapsedTime(asked))
        {
            var seconds = skew.Duration().TotalSeconds.ToString("0", CultureInfo.InvariantCulture);
            throw new DatabaseCheckException($"This machine's clock is {seconds} s {(skew > TimeSpan.Zero ? "ahead of" : "behind")} the database's. Set both by NTP.");
        }
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    private static class Sql
    {
        internal const string Now = "SELECT clock_timestamp()";
    }
}
