using System.Buffers.Text;
using System.Collections.Immutable;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;
using Npgsql;
using NpgsqlTypes;

namespace AgentPlatform.LocalHost.Durable;

/// <summary>Reads instances as clients see them.</summary>
internal sealed class InstanceReader(NpgsqlDataSource source)
{
    internal async Task<OrchestrationMetadata?> FindAsync(string instance, bool withPayloads, CancellationToken ct)
    {
        await using var command = source.Sql(Sql.Find, instance, withPayloads);
        await using var reader = await command.ExecuteReaderAsync(ct);
        return await reader.ReadAsync(ct) ? Read(reader, withPayloads) : null;
    }

    internal AsyncPageable<OrchestrationMetadata> List(OrchestrationQuery query) => new Pages(this, query);

    internal async Task<Page<OrchestrationMetadata>> PageAsync(OrchestrationQuery query, string? token, int size, CancellationToken ct)
    {
        var (after, afterId) = Parse(token);
        var found = new List<OrchestrationMetadata>();
        await using var command = source.Sql(
            Sql.List, Time(query.CreatedFrom), Time(query.CreatedTo), Statuses(query.Statuses), Commands.Text(query.InstanceIdPrefix), Time(after),
            Commands.Text(afterId), size + 1, query.FetchInputsAndOutputs);
        await using var reader = await command.ExecuteReaderAsync(ct);
        while (await reader.ReadAsync(ct))
        {
            found.Add(Read(reader, query.FetchInputsAndOutputs));
        }

        if (found.Count <= size)
        {
            return new Page<OrchestrationMetadata>(found);
        }

        found.RemoveAt(size);
        return new Page<OrchestrationMetadata>(found, Token(found[^1]));
    }

    internal static NpgsqlParameter Time(DateTimeOffset? time) =>
        new() { Value = time?.UtcDateTime ?? (object)DBNull.Value, NpgsqlDbType = NpgsqlDbType.TimestampTz };

    internal static NpgsqlParameter Statuses(IEnumerable<OrchestrationRuntimeStatus>? statuses) => new()
    {
        Value = statuses?.Select(s => s.ToString()).ToArray() is { Length: > 0 } some ? some : DBNull.Value,
        NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Text,
    };

    private static OrchestrationMetadata Read(NpgsqlDataReader reader, bool withPayloads) => new(reader.GetString(1), reader.GetString(0))
    {
        RuntimeStatus = Enum.Parse<OrchestrationRuntimeStatus>(reader.GetString(2)),
        CreatedAt = reader.GetFieldValue<DateTimeOffset>(3),
        LastUpdatedAt = reader.GetFieldValue<DateTimeOffset>(4),
        Tags = reader.Text(5) is { } tags ? JsonSerializer.Deserialize<ImmutableDictionary<string, string>>(tags)! : ImmutableDictionary<string, string>.Empty,
        SerializedInput = reader.Text(6),
        SerializedOutput = reader.Text(7),
        SerializedCustomStatus = reader.Text(8),
        FailureDetails = reader.Text(9) is { } failure ? JsonSerializer.Deserialize<TaskFailureDetails>(failure) : null,
        DataConverter = withPayloads ? DurableJson.Instance : null,
    };

    private static string Token(OrchestrationMetadata last) =>
        Base64Url.EncodeToString(Encoding.UTF8.GetBytes($"{last.CreatedAt.UtcTicks.ToString(CultureInfo.InvariantCulture)} {last.InstanceId}"));

    private static (DateTimeOffset? Created, string? Id) Parse(string? token)
    {
        if (string.IsNullOrEmpty(token))
        {
            return (null, null);
        }

        try
        {
            var parts = Encoding.UTF8.GetString(Base64Url.DecodeFromChars(token)).Split(' ', 2);
            return (new DateTimeOffset(long.Parse(parts[0], CultureInfo.InvariantCulture), TimeSpan.Zero), parts[1]);
        }
        catch (Exception e) when (e is FormatException or IndexOutOfRangeException or ArgumentOutOfRangeException or OverflowException)
        {
            throw new ArgumentException("This continuation token was not given by this query.", nameof(token), e);
        }
    }

    private sealed class Pages(InstanceReader reader, OrchestrationQuery query) : AsyncPageable<OrchestrationMetadata>
    {
        public override IAsyncEnumerable<Page<OrchestrationMetadata>> AsPages(string? continuationToken = null, int? pageSizeHint = null) =>
            ReadAsync(continuationToken ?? query.ContinuationToken, pageSizeHint ?? query.PageSize, CancellationToken.None);

        private async IAsyncEnumerable<Page<OrchestrationMetadata>> ReadAsync(string? token, int size, [EnumeratorCancellation] CancellationToken ct)
        {
            do
            {
                var page = await reader.PageAsync(query, token, size, ct);
                token = page.ContinuationToken;
                yield return page;
            }
            while (token is not null);
        }
    }

    private static class Sql
    {
        internal const string Find =
            """
            SELECT instance_id, name, status, created_at, last_updated_at, tags,
                   CASE WHEN $2 THEN durable.payload(input) END, CASE WHEN $2 THEN durable.payload(output) END,
                   CASE WHEN $2 THEN durable.payload(custom_state) END, CASE WHEN $2 THEN failure END
            FROM durable.instances WHERE instance_id = $1
            """;

        internal const string List =
            """
            SELECT instance_id, name, status, created_at, last_updated_at, tags,
                   CASE WHEN $8 THEN durable.payload(input) END, CASE WHEN $8 THEN durable.payload(output) END,
                   CASE WHEN $8 THEN durable.payload(custom_state) END, CASE WHEN $8 THEN failure END
            FROM durable.instances
            WHERE ($1::timestamptz IS NULL OR created_at >= $1) AND ($2::timestamptz IS NULL OR created_at <= $2)
              AND ($3::text[] IS NULL OR status = ANY ($3)) AND ($4::text IS NULL OR starts_with(instance_id, $4))
              AND ($5::timestamptz IS NULL OR (created_at, instance_id) > ($5, $6::text))
            ORDER BY created_at, instance_id
            LIMIT $7
            """;
    }
}
