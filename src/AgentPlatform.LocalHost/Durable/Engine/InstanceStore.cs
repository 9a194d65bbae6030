using Npgsql;

namespace AgentPlatform.LocalHost.Durable;

/// <summary>Claims of instances: which have something due, what it is, and what happened before.</summary>
internal sealed class InstanceStore(NpgsqlDataSource source, DurableSettings settings, TimeProvider clock)
{
    // Of an instance with very many due messages the first are enough to find it.
    private const int Looked = 1000;

    internal async Task<Claims<ClaimedInstance>> ClaimAsync(int max, CancellationToken ct)
    {
        var now = clock.GetUtcNow();
        await using var batch = source.CreateBatch();
        batch.Add(Commands.Claiming);
        batch.Add(Sql.Claim, now, now + settings.Lease, max, Looked);
        batch.Add(Sql.NextDue, now);
        await using var reader = await batch.ExecuteReaderAsync(ct);
        await reader.NextResultAsync(ct);
        var claimed = await ReadAsync(reader, ct);
        await reader.NextResultAsync(ct);
        return new Claims<ClaimedInstance>(claimed, await reader.ReadAsync(ct) ? reader.Time(0) : null);
    }

    internal async Task<(string? Input, IReadOnlyList<HistoryEvent> History)> LoadAsync(string instance, CancellationToken ct)
    {
        await using var batch = source.CreateBatch();
        batch.Add(Sql.Input, instance);
        batch.Add(Sql.History, instance);
        await using var reader = await batch.ExecuteReaderAsync(ct);
        await reader.ReadAsync(ct);
        var input = reader.Text(0);
        await reader.NextResultAsync(ct);
        var history = new List<HistoryEvent>();
        while (await reader.ReadAsync(ct))
        {
            history.Add(new HistoryEvent(
                Enum.Parse<HistoryKind>(reader.GetString(0)), reader.GetFieldValue<DateTimeOffset>(4), reader.Number(1), reader.Text(2), reader.Text(3),
                Payload: reader.Text(5)));
        }

        return (input, history);
    }

    /// <summary>Keeps what this host still steps.</summary>
    internal async Task RenewAsync(IReadOnlyCollection<InstanceHead> held, CancellationToken ct)
    {
        await using var command = source.Sql(
            Sql.Renew, held.Select(h => h.Id).ToArray(), held.Select(h => h.Fence).ToArray(), clock.GetUtcNow() + settings.Lease);
        await command.ExecuteNonQueryAsync(ct);
    }

    /// <summary>Gives a claim back; nothing of its step was written.</summary>
    internal async Task ReleaseAsync(InstanceHead head, CancellationToken ct)
    {
        await using var command = source.Sql(Sql.Release, head.Id, head.Fence);
        await command.ExecuteNonQueryAsync(ct);
    }

    private static async Task<List<ClaimedInstance>> ReadAsync(NpgsqlDataReader reader, CancellationToken ct)
    {
        var claimed = new List<ClaimedInstance>();
        List<Message>? messages = null;
        while (await reader.ReadAsync(ct))
        {
            var id = reader.GetString(0);
            if (claimed.Count == 0 || claimed[^1].Head.Id != id)
            {
                messages = [];
                claimed.Add(new ClaimedInstance(Head(reader), reader.Text(20), messages) { Taken = reader.IsDBNull(21) ? null : reader.GetFieldValue<long[]>(21) });
            }

            messages!.Add(ReadMessage(reader));
        }

        return claimed;
    }

    private static InstanceHead Head(NpgsqlDataReader reader) => new(
        reader.GetString(0), reader.GetGuid(1), reader.GetString(2), reader.GetString(3), reader.GetString(4), reader.GetInt64(5), reader.GetInt32(6),
        reader.GetBoolean(7),
        reader.IsDBNull(8) ? null : new ParentOrchestrationInstance(reader.GetString(9), reader.GetString(8)),
        reader.IsDBNull(10) ? null : reader.GetGuid(10), reader.Number(11));

    private static Message ReadMessage(NpgsqlDataReader reader)
    {
        var happened = new HistoryEvent(
            Enum.Parse<HistoryKind>(reader.GetString(14)), reader.GetFieldValue<DateTimeOffset>(19), reader.Number(15), reader.Text(16), Payload: reader.Text(18));
        return new Message(reader.GetInt64(12), reader.IsDBNull(13) ? null : reader.GetGuid(13), happened with { Stored = reader.Text(17) });
    }

    private static class Sql
    {
        // The innermost query walks due messages in their order and passes over those of instances that a host steps now, which may be many.
        // Locking the instances skips what another host is claiming. The messages are those of this statement's snapshot: should a step have
        // taken one of them since, durable.move refuses this one.
        internal const string Claim =
            """
            WITH waiting AS (
                SELECT d.instance_id, min(d.due_at) AS since
                FROM (
                    SELECT m.instance_id, m.due_at
                    FROM durable.messages m CROSS JOIN LATERAL (
                        SELECT FROM durable.instances i WHERE i.instance_id = m.instance_id AND (i.locked_until IS NULL OR i.locked_until <= $1) LIMIT 1
                    ) free
                    WHERE NOT m.parked AND m.due_at <= $1
                    ORDER BY m.due_at
                    LIMIT $4
                ) d
                GROUP BY d.instance_id
            ), due AS (
                SELECT free.instance_id
                FROM (SELECT instance_id FROM waiting ORDER BY since) w CROSS JOIN LATERAL (
                    SELECT i.instance_id FROM durable.instances i
                    WHERE i.instance_id = w.instance_id AND (i.locked_until IS NULL OR i.locked_until <= $1)
                    FOR NO KEY UPDATE SKIP LOCKED
                ) free
                LIMIT $3
            ), claimed AS (
                UPDATE durable.instances i SET locked_until = $2, fence = i.fence + 1
                WHERE i.instance_id = ANY (ARRAY(SELECT instance_id FROM due))
                RETURNING i.*
            )
            SELECT c.instance_id, c.execution_id, c.name, c.version, c.status, c.fence, c.next_sequence, coalesce(left(c.custom_state, 1) = '@', false),
                   c.parent_instance_id, c.parent_name, c.parent_execution_id, c.parent_task_id,
                   m.id, m.execution_id, m.kind, m.task_id, m.name, m.payload, durable.payload(m.payload), m.due_at,
                   CASE WHEN c.next_sequence = 0 THEN durable.payload(c.input) END, c.taken
            FROM claimed c CROSS JOIN LATERAL (
                SELECT * FROM durable.messages m WHERE m.instance_id = c.instance_id AND (m.parked OR m.due_at <= $1) OFFSET 0
            ) m
            ORDER BY c.instance_id, m.due_at, m.id
            """;

        // What is due already and being stepped by a host does not count.
        internal const string NextDue =
            """
            SELECT m.due_at
            FROM durable.messages m CROSS JOIN LATERAL (
                SELECT FROM durable.instances i
                WHERE i.instance_id = m.instance_id AND (m.due_at > $1 OR i.locked_until IS NULL OR i.locked_until <= $1) LIMIT 1
            ) free
            WHERE NOT m.parked
            ORDER BY m.due_at LIMIT 1
            """;

        internal const string Input = "SELECT durable.payload(input) FROM durable.instances WHERE instance_id = $1";

        // What a step decided need not be read: the code decides it again.
        internal const string History =
            """
            SELECT kind, task_id, name, target, happened_at,
                   CASE WHEN kind NOT IN ('TaskScheduled', 'SubOrchestrationCreated', 'EventSent') THEN durable.payload(payload) END
            FROM durable.history WHERE instance_id = $1 ORDER BY sequence
            """;

        internal const string Renew =
            """
            UPDATE durable.instances i SET locked_until = $3
            FROM unnest($1::text[], $2::bigint[]) AS held (instance_id, fence)
            WHERE i.instance_id = held.instance_id AND i.fence = held.fence AND i.locked_until IS NOT NULL
            """;

        internal const string Release = "UPDATE durable.instances SET locked_until = NULL WHERE instance_id = $1 AND fence = $2";
    }
}
