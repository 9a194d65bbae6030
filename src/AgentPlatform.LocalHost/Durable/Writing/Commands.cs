using Npgsql;
using NpgsqlTypes;

namespace AgentPlatform.LocalHost.Durable;

/// <summary>Positional parameters and nullable columns.</summary>
internal static class Commands
{
    /// <summary>
    /// First of a batch that finds every row by a key. Plans are made once and kept for long, and those made while a table was small must not read
    /// all of it later.
    /// </summary>
    internal const string ByIndex = "SELECT set_config('enable_seqscan', 'off', true), set_config('plan_cache_mode', 'force_generic_plan', true)";

    /// <summary>
    /// First of a batch that only claims, and need not wait for the disk: a claim that a crash of the server forgets was never there, and what its
    /// holder then writes is refused, or finds everything as it was.
    /// </summary>
    internal const string Claiming = ByIndex + ", set_config('synchronous_commit', 'off', true)";

    /// <summary>A text that may be null.</summary>
    internal static NpgsqlParameter Text(string? value) => new() { Value = value ?? (object)DBNull.Value, NpgsqlDbType = NpgsqlDbType.Text };

    /// <summary>Times of which some may be null.</summary>
    internal static NpgsqlParameter Times(IEnumerable<DateTimeOffset?> values) => new()
    {
        Value = values.Select(v => v?.UtcDateTime).ToArray(),
        NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.TimestampTz,
    };

    internal static NpgsqlCommand Sql(this NpgsqlDataSource source, string sql, params object[] args)
    {
        var command = source.CreateCommand(sql);
        Fill(command.Parameters, args);
        return command;
    }

    internal static void Add(this NpgsqlBatch batch, string sql, params object[] args)
    {
        var command = new NpgsqlBatchCommand(sql);
        Fill(command.Parameters, args);
        batch.BatchCommands.Add(command);
    }

    internal static string? Text(this NpgsqlDataReader reader, int column) => reader.IsDBNull(column) ? null : reader.GetString(column);

    internal static int? Number(this NpgsqlDataReader reader, int column) => reader.IsDBNull(column) ? null : reader.GetInt32(column);

    internal static DateTimeOffset? Time(this NpgsqlDataReader reader, int column) =>
        reader.IsDBNull(column) ? null : reader.GetFieldValue<DateTimeOffset>(column);

    private static void Fill(NpgsqlParameterCollection parameters, object[] args)
    {
        foreach (var arg in args)
        {
            parameters.Add(arg as NpgsqlParameter ?? new NpgsqlParameter { Value = arg });
        }
    }
}
