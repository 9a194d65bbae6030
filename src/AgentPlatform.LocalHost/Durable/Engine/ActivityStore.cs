using Npgsql;

namespace AgentPlatform.LocalHost.Durable;

/// <summary>An activity this host may run until its lease is over. <paramref name="Claim"/> counts its claims and is the fence.</summary>
internal sealed record ClaimedActivity(string Instance, Guid Execution, int Task, string Name, string? Input, int Claim);

internal sealed class ActivityStore(NpgsqlDataSource source, TimeProvider clock)
{
    internal async Task<IReadOnlyList<ClaimedActivity>> ClaimAsync(int max, CancellationToken ct)
    {
        var now = clock.GetUtcNow();
        var claimed = new List<ClaimedActivity>();
        await using var command = source.Sql(Sql.Claim, now, now + DurableSettings.Lease, max);
        await using var reader = await command.ExecuteReaderAsync(ct);
        while (await reader.ReadAsync(ct))
        {
            claimed.Add(new ClaimedActivity(reader.GetString(0), reader.GetGuid(1), reader.GetInt32(2), reader.GetString(3), reader.Text(4), reader.GetInt32(5)));
        }

        return claimed;
    }

    internal async Task<DateTimeOffset?> NextDueAsync(CancellationToken ct)
    {
        await using var command = source.Sql(Sql.NextDue);
        return await command.ExecuteScalarAsync(ct) is DateTime next ? new DateTimeOffset(next) : null;
    }

    /// <summary>Turns the activity into its answer. False when another host has claimed it since, or nobody waits for it any more.</summary>
    internal async Task<bool> AnswerAsync(ClaimedActivity activity, HistoryKind kind, string? payload, CancellationToken ct)
    {
        await using var command = source.Sql(
            Sql.Answer, activity.Instance, activity.Execution, activity.Task, activity.Claim, kind.ToString(), Commands.Text(payload), clock.GetUtcNow());
        return await command.ExecuteNonQueryAsync(ct) == 1;
    }

    internal async Task RenewAsync(IReadOnlyCollection<ClaimedActivity> held, CancellationToken ct)
    {
        await using var command = Held(Sql.Hide, held, clock.GetUtcNow() + DurableSettings.Lease);
        await command.ExecuteNonQueryAsync(ct);
    }

    /// <summary>Gives it back at once.</summary>
    internal async Task ReleaseAsync(ClaimedActivity activity, CancellationToken ct)
    {
        await using var command = Held(Sql.Hide, [activity], clock.GetUtcNow());
        await command.ExecuteNonQueryAsync(ct);
    }

    private NpgsqlCommand Held(string sql, IReadOnlyCollection<ClaimedActivity> held, DateTimeOffset until) => source.Sql(
        sql, held.Select(a => a.Instance).ToArray(), held.Select(a => a.Execution).ToArray(), held.Select(a => a.Task).ToArray(),
        held.Select(a => a.Claim).ToArray(), until);

    private static class Sql
    {
        // The CTE locks exactly the rows that the limit keeps; rows another host is claiming are skipped.
        internal const string Claim =
            """
            WITH due AS (
                SELECT instance_id, execution_id, task_id FROM durable.activities
                WHERE visible_at <= $1 ORDER BY visible_at LIMIT $3 FOR UPDATE SKIP LOCKED
            )
            UPDATE durable.activities a SET visible_at = $2, claims = a.claims + 1
            FROM due
            WHERE a.instance_id = due.instance_id AND a.execution_id = due.execution_id AND a.task_id = due.task_id
            RETURNING a.instance_id, a.execution_id, a.task_id, a.name, durable.payload(a.input), a.claims
            """;

        internal const string NextDue = "SELECT min(visible_at) FROM durable.activities";

        internal const string Answer =
            """
            WITH done AS (
                DELETE FROM durable.activities
                WHERE instance_id = $1 AND execution_id = $2 AND task_id = $3 AND claims = $4
                RETURNING name
            )
            INSERT INTO durable.messages (instance_id, execution_id, kind, task_id, name, payload, due_at)
            SELECT $1, $2, $5, $3, done.name, durable.keep($1, $6), $7
            FROM done JOIN durable.instances i ON i.instance_id = $1 AND i.execution_id = $2 AND i.completed_at IS NULL
            """;

        internal const string Hide =
            """
            UPDATE durable.activities a SET visible_at = $5
            FROM unnest($1::text[], $2::uuid[], $3::integer[], $4::integer[]) AS held (instance_id, execution_id, task_id, claims)
            WHERE a.instance_id = held.instance_id AND a.execution_id = held.execution_id AND a.task_id = held.task_id AND a.claims = held.claims
            """;
    }
}
