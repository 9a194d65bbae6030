using AgentPlatform.Kernel;
using Npgsql;
using NpgsqlTypes;

namespace AgentPlatform.LocalHost.Timers;

/// <summary>A timer as recorded: when it last ran and is next due.</summary>
internal sealed record TimerState(string Name, DateTimeOffset? LastAt, DateTimeOffset NextAt, DateTimeOffset StatusAt);

/// <summary>
/// <c>localhost.timers</c>: schedule status that survives restarts, and the lease that makes one of several hosts run a timer. Every
/// statement of this host carries its own fresh owner id, so that a host that lost its lease changes nothing.
/// </summary>
internal sealed class TimerStore(NpgsqlDataSource source, TimeProvider clock)
{
    internal static readonly TimeSpan Lease = TimeSpan.FromSeconds(15);

    private readonly Guid _owner = clock.NewId();

    /// <summary>Records the timer; a changed schedule starts anew.</summary>
    internal Task RegisterAsync(string name, string schedule, DateTimeOffset next, CancellationToken ct) =>
        ExecuteAsync(Sql.Register, [name, schedule, next, clock.GetUtcNow()], ct);

    /// <summary>Renews what this host holds and takes what nobody does; all it then holds.</summary>
    internal async Task<IReadOnlyList<TimerState>> HoldAsync(string[] names, CancellationToken ct)
    {
        var now = clock.GetUtcNow();
        var held = new List<TimerState>();
        await using var command = Command(Sql.Hold, [_owner, names, now, now + Lease]);
        await using var reader = await command.ExecuteReaderAsync(ct);
        while (await reader.ReadAsync(ct))
        {
            held.Add(new TimerState(
                reader.GetString(0), reader.IsDBNull(1) ? null : reader.GetFieldValue<DateTimeOffset>(1), reader.GetFieldValue<DateTimeOffset>(2),
                reader.GetFieldValue<DateTimeOffset>(3)));
        }

        return held;
    }

    /// <summary>Renews one lease just before a run; false when another host has it.</summary>
    internal async Task<bool> ConfirmAsync(string name, CancellationToken ct)
    {
        var now = clock.GetUtcNow();
        return await ExecuteAsync(Sql.Confirm, [_owner, name, now + Lease], ct) == 1;
    }

    /// <summary>Records a run, or with no <paramref name="last"/> only the next occurrence.</summary>
    internal Task RecordAsync(string name, DateTimeOffset? last, DateTimeOffset next, CancellationToken ct) =>
        ExecuteAsync(Sql.Record, [_owner, name, new NpgsqlParameter { Value = last ?? (object)DBNull.Value, NpgsqlDbType = NpgsqlDbType.TimestampTz }, next, clock.GetUtcNow()], ct);

    /// <summary>Gives every lease back, so that another host need not wait for it to run out.</summary>
    internal Task ReleaseAsync(CancellationToken ct) => ExecuteAsync(Sql.Release, [_owner], ct);

    private async Task<int> ExecuteAsync(string sql, object[] args, CancellationToken ct)
    {
        await using var command = Command(sql, args);
        return await command.ExecuteNonQueryAsync(ct);
    }

    private NpgsqlCommand Command(string sql, object[] args)
    {
        var command = source.CreateCommand(sql);
        foreach (var arg in args)
        {
            command.Parameters.Add(arg as NpgsqlParameter ?? new NpgsqlParameter { Value = arg });
        }

        return command;
    }

    private static class Sql
    {
        internal const string Register =
            """
            INSERT INTO localhost.timers AS t (name, schedule, next_at, status_at) VALUES ($1, $2, $3, $4)
            ON CONFLICT (name) DO UPDATE SET schedule = excluded.schedule, next_at = excluded.next_at, status_at = excluded.status_at
            WHERE t.schedule <> excluded.schedule
            """;

        internal const string Hold =
            """
            UPDATE localhost.timers SET owner = $1, lease_until = $4
            WHERE name = ANY ($2) AND (owner IS NULL OR owner = $1 OR lease_until < $3)
            RETURNING name, last_at, next_at, status_at
            """;

        internal const string Confirm = "UPDATE localhost.timers SET lease_until = $3 WHERE owner = $1 AND name = $2";

        internal const string Record =
            "UPDATE localhost.timers SET last_at = coalesce($3, last_at), next_at = $4, status_at = $5 WHERE owner = $1 AND name = $2";

        internal const string Release = "UPDATE localhost.timers SET owner = NULL, lease_until = NULL WHERE owner = $1";
    }
}
