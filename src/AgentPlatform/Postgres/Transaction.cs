using System.Data.Common;
using System.Text.Json;
using System.Text.Json.Nodes;
using AgentPlatform.Kernel;
using Npgsql;

namespace AgentPlatform.Postgres;

/// <summary>
/// One database transaction. Commands that need no answer are posted, and travel with the next query or with the commit, so a
/// use case costs as many round trips as it has questions. Disposing without a commit rolls back.
/// </summary>
public sealed class Transaction : IAsyncDisposable
{
    /// <summary>BEGIN and the actor: what is posted before the caller has said anything.</summary>
    private const int Preamble = 2;

    private readonly NpgsqlDataSource _source;
    private readonly List<NpgsqlBatchCommand> _posted = [];
    private List<Action>? _afterCommit;
    private NpgsqlConnection? _connection;
    private int _postedResults;
    private State _state = State.Open;

    internal Transaction(NpgsqlDataSource source, string role, Actor? actor, string? bearer)
    {
        _source = source;
        Actor = actor;
        Post(Sql.Begin);
        PostEnter(role, actor, bearer);
    }

    private enum State
    {
        Open,
        Failed,
        Ended,
    }

    /// <summary>Who acts; null in a gateway before <see cref="Enter"/> and in a worker's transaction.</summary>
    public Actor? Actor { get; private set; }

    /// <summary>The acting tenant; asking before there is one is a bug.</summary>
    public Guid TenantId => Actor?.TenantId ?? throw new InvalidOperationException("The transaction has no tenant yet.");

    /// <summary>Queues a command that returns no rows for the next round trip. A failure of it surfaces there.</summary>
    public void Post(string sql, params object?[] args) => _posted.Add(Command(sql, args));

    /// <summary>How many rows the command touched.</summary>
    public Task<int> ExecuteAsync(string sql, object?[] args, CancellationToken ct) => RunAsync(sql, args, read: null, ct);

    /// <summary>Rows as <typeparamref name="T"/>: a record whose constructor parameters name the columns in their order, or a scalar.</summary>
    public async Task<IReadOnlyList<T>> QueryAsync<T>(string sql, object?[] args, CancellationToken ct)
    {
        var rows = new List<T>();
        await RunAsync(sql, args, (reader, token) => ReadRowsAsync(reader, rows, token), ct);
        return rows;
    }

    /// <summary>The one row, or default when there is none.</summary>
    public async Task<T?> FindAsync<T>(string sql, object?[] args, CancellationToken ct) =>
        (await QueryAsync<T>(sql, args, ct)) switch
        {
            [] => default,
            [var row] => row,
            var rows => throw new InvalidOperationException($"Expected at most one row, found {rows.Count}."),
        };

    /// <summary>The one row; none or several is a bug.</summary>
    public async Task<T> SingleAsync<T>(string sql, object?[] args, CancellationToken ct) =>
        (await QueryAsync<T>(sql, args, ct)) switch
        {
            [var row] => row,
            var rows => throw new InvalidOperationException($"Expected one row, found {rows.Count}."),
        };

    /// <summary>Runs once the commit has succeeded: nudges and other hints, never work that must not be lost.</summary>
    public void AfterCommit(Action action) => (_afterCommit ??= []).Add(action);

    /// <summary>A gateway found out whom its secret belongs to, and goes on as that actor.</summary>
    public void Enter(Actor actor)
    {
        Actor = actor;
        PostEnter("agentplatform_app", actor, bearer: null);
    }

    public async Task CommitAsync(CancellationToken ct)
    {
        if (_state != State.Open)
        {
            throw new InvalidOperationException("The transaction has failed or ended; it cannot be committed.");
        }

        if (_connection is not null || _posted.Count > Preamble)
        {
            await ExecuteAsync(Sql.Commit, [], ct);
        }

        _state = State.Ended;
        // Back to the pool at once: a use case that goes on to a second transaction would otherwise hold two connections, and as many
        // use cases as the pool has connections would wait for each other.
        await DisposeAsync();
        foreach (var action in _afterCommit ?? [])
        {
            action();
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_connection is null)
        {
            return;
        }

        // A connection that goes back to the pool inside a transaction is rolled back by its reset.
        await _connection.DisposeAsync();
        _connection = null;
        _state = _state == State.Ended ? State.Ended : State.Failed;
    }

    private void PostEnter(string role, Actor? actor, string? bearer)
    {
        Post(Sql.Enter, role, actor?.TenantId.ToString() ?? "", actor?.UserId.ToString() ?? "", actor?.Role ?? "", bearer ?? "");
        _postedResults++;
    }

    private async Task<int> RunAsync(string sql, object?[] args, Func<NpgsqlDataReader, CancellationToken, Task>? read, CancellationToken ct)
    {
        if (_state != State.Open)
        {
            throw new InvalidOperationException("The transaction has failed or ended.");
        }

        try
        {
            _connection ??= await _source.OpenConnectionAsync(ct);
            await using var batch = new NpgsqlBatch(_connection);
            _posted.ForEach(batch.BatchCommands.Add);
            _posted.Clear();
            var command = Command(sql, args);
            batch.BatchCommands.Add(command);
            await using var reader = await batch.ExecuteReaderAsync(ct);
            for (; _postedResults > 0; _postedResults--)
            {
                await reader.NextResultAsync(ct);
            }

            if (read is not null)
            {
                await read(reader, ct);
            }

            if (await reader.NextResultAsync(ct))
            {
                throw new InvalidOperationException("A posted command returned rows; query it instead.");
            }

            return (int)command.RecordsAffected;
        }
        catch
        {
            _state = State.Failed;
            throw;
        }
    }

    private static async Task ReadRowsAsync<T>(NpgsqlDataReader reader, List<T> rows, CancellationToken ct)
    {
        Func<DbDataReader, T>? parse = null;
        while (await reader.ReadAsync(ct))
        {
            parse ??= RowParser.For<T>(reader);
            rows.Add(parse(reader));
        }
    }

    private static NpgsqlBatchCommand Command(string sql, object?[] args)
    {
        var command = new NpgsqlBatchCommand(sql);
        foreach (var arg in args)
        {
            command.Parameters.Add(arg switch
            {
                NpgsqlParameter parameter => parameter,
                JsonElement json => Json.Param(json),
                JsonNode json => Json.Param(json),
                // Postgres text cannot hold U+0000; it never carries meaning in a message.
                string text => new NpgsqlParameter { Value = text.Replace("\0", "", StringComparison.Ordinal) },
                _ => new NpgsqlParameter { Value = arg ?? DBNull.Value },
            });
        }

        return command;
    }

    private static class Sql
    {
        internal const string Begin = "BEGIN";

        internal const string Commit = "COMMIT";

        internal const string Enter =
            """
            SELECT set_config('role', $1, true), set_config('app.tenant_id', $2, true), set_config('app.user_id', $3, true),
                   set_config('app.role', $4, true), set_config('app.bearer', $5, true)
            """;
    }
}
