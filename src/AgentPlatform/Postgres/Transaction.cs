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
    private readonly NpgsqlDataSource _source;
    private readonly List<NpgsqlBatchCommand> _posted = [];

    /// <summary>The actor: how much is posted before the caller has said anything.</summary>
    private readonly int _preamble;

    /// <summary>Who reads the rows of the posted commands that return some, in their order.</summary>
    private readonly List<Func<NpgsqlDataReader, CancellationToken, Task>> _readers = [];

    /// <summary>Told once the answers are read and the connection is free again.</summary>
    private readonly List<TaskCompletionSource> _gathered = [];
    private readonly SemaphoreSlim _roundTrip = new(1, 1);
    private List<Action>? _beforeCommit;
    private List<Action>? _afterCommit;
    private NpgsqlConnection? _connection;
    private bool _gathering;

    /// <summary>All of it travels at once: what Postgres is sent in one batch is a transaction without being called one.</summary>
    private bool _isWhole;
    private State _state = State.Open;

    internal Transaction(NpgsqlDataSource source, string role, Actor? actor, string? bearer)
    {
        _source = source;
        Actor = actor;
        PostEnter(role, actor, bearer);
        _preamble = _posted.Count;
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

    /// <summary>The same for a call that is made for its effect: what it returns is not read.</summary>
    public void PostCall(string sql, params object?[] args)
    {
        Post(sql, args);
        _readers.Add((_, _) => Task.CompletedTask);
    }

    /// <summary>How many rows the command touched.</summary>
    public async Task<int> ExecuteAsync(string sql, object?[] args, CancellationToken ct)
    {
        var command = Command(sql, args);
        if (_gathering)
        {
            _posted.Add(command);
            await AnsweredAsync();
        }
        else
        {
            await SendAsync((command, ReturnsRows: false), ct);
        }

        return (int)command.RecordsAffected;
    }

    /// <summary>
    /// Questions from here on wait for <see cref="AskAsync"/>, and then share one round trip: for questions that do not depend on
    /// each other. Await their tasks after it.
    /// </summary>
    public void Gather() => _gathering = true;

    /// <summary>Asks what was gathered; a commit asks it too.</summary>
    public Task AskAsync(CancellationToken ct) => AskAsync(last: null, ct);

    /// <summary>Rows as <typeparamref name="T"/>: a record whose constructor parameters name the columns in their order, or a scalar.</summary>
    public async Task<IReadOnlyList<T>> QueryAsync<T>(string sql, object?[] args, CancellationToken ct)
    {
        var rows = new List<T>();
        _readers.Add((reader, token) => ReadRowsAsync(reader, rows, token));
        if (_gathering)
        {
            Post(sql, args);
            await AnsweredAsync();
        }
        else
        {
            await SendAsync((Command(sql, args), ReturnsRows: true), ct);
        }

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

    /// <summary>
    /// The commit is not waited for until it is on disk. A crash of Postgres in the next moment may undo it, though never without all that was committed
    /// after it: only for what is then begun again by itself, or may be forgotten, and has shown nothing to anybody outside.
    /// </summary>
    public void FlushLater() => PostCall(Sql.FlushLater);

    /// <summary>Runs when the caller has said all, before the commit is sent: to post at once what was gathered in between.</summary>
    public void BeforeCommit(Action action) => (_beforeCommit ??= []).Add(action);

    /// <summary>Runs once the commit has succeeded: nudges and other hints, never work that must not be lost.</summary>
    public void AfterCommit(Action action) => (_afterCommit ??= []).Add(action);

    /// <summary>Goes on as that actor: a gateway that found out whom its secret belongs to, a member's wish that the platform carries out.</summary>
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

        foreach (var action in _beforeCommit ?? [])
        {
            action();
        }

        if (_connection is not null)
        {
            await AskAsync((Command(Sql.Commit, []), ReturnsRows: false), ct);
        }
        else if (_posted.Count > _preamble)
        {
            _isWhole = true;
            await AskAsync(ct);
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
        // A question whose answer nobody wants any more is let end: its connection cannot go back to the pool before.
        await _roundTrip.WaitAsync();
        try
        {
            if (_connection is not null)
            {
                // One that goes back inside a transaction is rolled back by its reset.
                await _connection.DisposeAsync();
                _connection = null;
                _state = _state == State.Ended ? State.Ended : State.Failed;
            }
        }
        finally
        {
            _roundTrip.Release();
        }
    }

    private void PostEnter(string role, Actor? actor, string? bearer)
    {
        PostCall(Sql.Enter, role, actor?.TenantId.ToString() ?? "", actor?.UserId.ToString() ?? "", actor?.Role ?? "", bearer ?? "");
        if (actor?.Origin is { } origin)
        {
            PostCall(Sql.ComeFrom, Json.Storable(origin));
        }
    }

    /// <summary>Until <see cref="AskAsync(CancellationToken)"/> has the answers.</summary>
    private Task AnsweredAsync()
    {
        var answered = new TaskCompletionSource();
        _gathered.Add(answered);
        return answered.Task;
    }

    private async Task AskAsync((NpgsqlBatchCommand Command, bool ReturnsRows)? last, CancellationToken ct)
    {
        _gathering = false;
        var waiting = _gathered.ToArray();
        _gathered.Clear();
        try
        {
            await SendAsync(last, ct);
        }
        catch (Exception e)
        {
            Array.ForEach(waiting, w => w.SetException(e));
            throw;
        }

        Array.ForEach(waiting, w => w.SetResult());
    }

    /// <summary>One round trip: what was posted, then the last command.</summary>
    private async Task SendAsync((NpgsqlBatchCommand Command, bool ReturnsRows)? last, CancellationToken ct)
    {
        NpgsqlBatchCommand[] commands = [.. _posted, .. last is { } own ? [own.Command] : Array.Empty<NpgsqlBatchCommand>()];
        var readers = _readers.ToArray();
        _posted.Clear();
        _readers.Clear();
        // Of gathered questions more than one may go on to a further one: they take turns.
        await _roundTrip.WaitAsync(ct);
        try
        {
            if (_state != State.Open)
            {
                throw new InvalidOperationException("The transaction has failed or ended.");
            }

            var isFirst = _connection is null;
            _connection ??= await _source.OpenConnectionAsync(ct);
            await using var batch = new NpgsqlBatch(_connection);
            if (isFirst && !_isWhole)
            {
                batch.BatchCommands.Add(Command(Sql.Begin, []));
            }

            Array.ForEach(commands, batch.BatchCommands.Add);
            await using var reader = await batch.ExecuteReaderAsync(ct);
            await ReadAsync(reader, readers, mayReturnMore: last is { ReturnsRows: false }, ct);
        }
        catch
        {
            _state = _state == State.Ended ? State.Ended : State.Failed;
            throw;
        }
        finally
        {
            _roundTrip.Release();
        }
    }

    private static async Task ReadAsync(
        NpgsqlDataReader reader, Func<NpgsqlDataReader, CancellationToken, Task>[] readers, bool mayReturnMore, CancellationToken ct)
    {
        for (var i = 0; i < readers.Length; i++)
        {
            if (i > 0)
            {
                await reader.NextResultAsync(ct);
            }

            await readers[i](reader, ct);
        }

        // An executed command may return rows that nobody wants.
        if (await reader.NextResultAsync(ct) && (!mayReturnMore || await reader.NextResultAsync(ct)))
        {
            throw new InvalidOperationException("A posted command returned rows; query it instead.");
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
        var command = new NpgsqlBatchCommand(NullPattern.Text(sql, args));
        foreach (var arg in args)
        {
            command.Parameters.Add(arg switch
            {
                NpgsqlParameter parameter => parameter,
                JsonElement json => Json.Param(json),
                JsonNode json => Json.Param(json),
                string text => new NpgsqlParameter { Value = text.Storable() },
                IEnumerable<string?> texts => new NpgsqlParameter { Value = texts.Select(text => text?.Storable()).ToArray() },
                // The driver takes instants in UTC only; clients give them with the offset of where they are.
                DateTimeOffset at => new NpgsqlParameter { Value = at.ToUniversalTime() },
                _ => new NpgsqlParameter { Value = arg ?? DBNull.Value },
            });
        }

        return command;
    }

    private static class Sql
    {
        internal const string Begin = "BEGIN";

        internal const string Commit = "COMMIT";

        internal const string FlushLater = "SELECT set_config('synchronous_commit', 'off', true)";

        // Every text is prepared and finds its rows by keys: planning it anew for the values at hand took longer than running it. The one plan
        // must not be that of an empty table.
        internal const string Enter =
            """
            SELECT set_config('role', $1, true), set_config('app.tenant_id', $2, true), set_config('app.user_id', $3, true),
                   set_config('app.role', $4, true), set_config('app.bearer', $5, true), set_config('plan_cache_mode', 'force_generic_plan', true),
                   set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true)
            """;

        internal const string ComeFrom = "SELECT set_config('app.origin', $1, true)";
    }
}
