using Npgsql;

namespace AgentPlatform.LocalHost.Durable;

/// <summary>An activity this host may run until its lease is over. <paramref name="Claim"/> counts its claims and is the fence.</summary>
internal sealed record ClaimedActivity(string Instance, Guid Execution, int Task, string Name, string? Input, int Claim);

internal sealed class ActivityStore(NpgsqlDataSource source, DurableSettings settings, TimeProvider clock)
{
    internal async Task<Claims<ClaimedActivity>> ClaimAsync(int max, CancellationToken ct)
    {
        var now = clock.GetUtcNow();
        await using var batch = source.CreateBatch();
        batch.Add(Commands.Claiming);
        batch.Add(Sql.Claim, now, now + settings.Lease, max);
        batch.Add(Sql.NextDue);
        await using var reader = await batch.ExecuteReaderAsync(ct);
        await reader.NextResultAsync(ct);
        var claimed = new List<ClaimedActivity>();
        while (await reader.ReadAsync(ct))
        {
            claimed.Add(new ClaimedActivity(reader.GetString(0), reader.GetGuid(1), reader.GetInt32(2), reader.GetString(3), reader.Text(4), reader.GetInt32(5)));
        }

        await reader.NextResultAsync(ct);
        await reader.ReadAsync(ct);
        return new Claims<ClaimedActivity>(claimed, reader.Time(0));
    }

    /// <summary>
    /// Turns activities of one execution into their answers. Says how many: not those that another host has claimed since, or that nobody waits for
    /// any more.
    /// </summary>
    internal async Task<int> AnswerAsync(IReadOnlyList<Answer> answers, CancellationToken ct)
    {
        var (instance, execution) = (answers[0].Activity.Instance, answers[0].Activity.Execution);
        await using var command = source.Sql(
            Sql.Answer, instance, execution, answers.Select(a => a.Activity.Task).ToArray(), answers.Select(a => a.Activity.Claim).ToArray(),
            answers.Select(a => a.Kind.ToString()).ToArray(), answers.Select(a => a.Payload).ToArray(), clock.GetUtcNow());
        return await command.ExecuteNonQueryAsync(ct);
    }

    internal async Task RenewAsync(IReadOnlyCollection<ClaimedActivity> held, CancellationToken ct)
    {
        await using var command = Held(Sql.Hide, held, clock.GetUtcNow() + settings.Lease);
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
                DELETE FROM durable.activities a
                USING unnest($3::integer[], $4::integer[], $5::text[], $6::text[]) AS d (task_id, claims, kind, payload)
                WHERE a.instance_id = $1 AND a.execution_id = $2 AND a.task_id = d.task_id AND a.claims = d.claims
                RETURNING a.task_id, a.name, d.kind, d.payload
            )
            INSERT INTO durable.messages (instance_id, execution_id, kind, task_id, name, payload, due_at)
            SELECT $1, $2, done.kind, done.task_id, done.name, durable.keep($1, done.payload), $7
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
