using AgentPlatform.Kernel;
using Npgsql;

namespace AgentPlatform.LocalHost.Queues;

/// <summary>A queue in <c>localhost.queue_messages</c>. Times are the injected clock's, so that hosts and tests agree on them.</summary>
internal sealed class PostgresQueue(string name, NpgsqlDataSource source, QueueSignals signals, TimeProvider clock) : IMessageQueue
{
    // What a storage queue does when the sender says nothing.
    private static readonly TimeSpan TimeToLive = TimeSpan.FromDays(7);

    public string Name => name;

    public Task PrepareAsync(CancellationToken ct) => ExecuteAsync(Sql.Prune, [clock.GetUtcNow()], ct);

    public async Task SendAsync(string text, CancellationToken ct)
    {
        var now = clock.GetUtcNow();
        await ExecuteAsync(Sql.Send, [clock.NewId(), name, text, clock.NewId(), now, now + TimeToLive], ct);
        signals.Pulse(name);
    }

    public async Task<IReadOnlyList<RawMessage>> ReceiveAsync(int max, TimeSpan hidden, CancellationToken ct)
    {
        var now = clock.GetUtcNow();
        var messages = new List<RawMessage>();
        await using var command = Command(Sql.Receive, [name, now, max, now + hidden]);
        await using var reader = await command.ExecuteReaderAsync(ct);
        while (await reader.ReadAsync(ct))
        {
            messages.Add(new RawMessage(
                reader.GetGuid(0).ToString(), reader.GetGuid(1).ToString(), reader.GetString(2), reader.GetInt32(3),
                reader.GetFieldValue<DateTimeOffset>(4), reader.GetFieldValue<DateTimeOffset>(5), reader.GetFieldValue<DateTimeOffset>(6)));
        }

        return messages;
    }

    public async Task<string?> HideAsync(RawMessage message, TimeSpan hidden, CancellationToken ct)
    {
        await using var command = Command(Sql.Hide, [Guid.Parse(message.Id), Guid.Parse(message.PopReceipt), clock.GetUtcNow() + hidden]);
        var held = await command.ExecuteScalarAsync(ct) is not null;
        if (held && hidden == TimeSpan.Zero)
        {
            signals.Pulse(name);
        }

        return held ? message.PopReceipt : null;
    }

    public async Task<bool> DeleteAsync(RawMessage message, CancellationToken ct) =>
        await ExecuteAsync(Sql.Delete, [Guid.Parse(message.Id), Guid.Parse(message.PopReceipt)], ct) == 1;

    public async Task MoveAsync(RawMessage message, string target, CancellationToken ct)
    {
        await ExecuteAsync(Sql.Move, [Guid.Parse(message.Id), Guid.Parse(message.PopReceipt), target, clock.NewId(), clock.GetUtcNow()], ct);
        signals.Pulse(target);
    }

    public Task WaitAsync(TimeSpan delay, CancellationToken ct) => signals.WaitAsync(name, delay, clock, ct);

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
            command.Parameters.Add(new NpgsqlParameter { Value = arg });
        }

        return command;
    }

    private static class Sql
    {
        internal const string Send =
            """
            INSERT INTO localhost.queue_messages (id, queue, body, pop_receipt, visible_at, inserted_at, expires_at)
            VALUES ($1, $2, $3, $4, $5, $5, $6)
            """;

        // The CTE locks exactly the rows that the limit keeps; rows another receiver is taking are skipped.
        internal const string Receive =
            """
            WITH due AS (
                SELECT id FROM localhost.queue_messages
                WHERE queue = $1 AND visible_at <= $2 AND expires_at > $2
                ORDER BY visible_at, id
                LIMIT $3
                FOR UPDATE SKIP LOCKED
            )
            UPDATE localhost.queue_messages AS m
            SET visible_at = $4, dequeue_count = m.dequeue_count + 1, pop_receipt = gen_random_uuid()
            FROM due
            WHERE m.id = due.id
            RETURNING m.id, m.pop_receipt, m.body, m.dequeue_count, m.visible_at, m.inserted_at, m.expires_at
            """;

        internal const string Hide = "UPDATE localhost.queue_messages SET visible_at = $3 WHERE id = $1 AND pop_receipt = $2 RETURNING id";

        internal const string Delete = "DELETE FROM localhost.queue_messages WHERE id = $1 AND pop_receipt = $2";

        internal const string Move =
            """
            UPDATE localhost.queue_messages
            SET queue = $3, pop_receipt = $4, visible_at = $5, dequeue_count = 0, expires_at = 'infinity'
            WHERE id = $1 AND pop_receipt = $2
            """;

        internal const string Prune = "DELETE FROM localhost.queue_messages WHERE expires_at <= $1";
    }
}
