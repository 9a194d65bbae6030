using System.Net.Sockets;
using Npgsql;

namespace AgentPlatform.Postgres;

/// <summary>
/// Opens transactions. Nothing is sent until the first command: role and actor travel in its round trip, so that
/// row level security holds from the first statement and a pooled connection never carries an earlier actor.
/// </summary>
public sealed class Database(NpgsqlDataSource source)
{
    /// <summary>True when the connection or its server went away: nothing is known about the statement, and nobody here is to blame.</summary>
    public static bool IsAway(Exception e) => e switch
    {
        // Shut down, crashed, starting; or refused by a pooler that lost its server.
        PostgresException postgres => postgres.SqlState.StartsWith("57P", StringComparison.Ordinal) || postgres.SqlState.StartsWith("08", StringComparison.Ordinal),
        NpgsqlException npgsql => npgsql.InnerException is IOException or SocketException,
        _ => false,
    };

    /// <summary>A transaction that sees and writes one tenant's rows.</summary>
    public Transaction Begin(Actor actor) => new(source, "agentplatform_app", actor, bearer: null);

    /// <summary>
    /// A transaction that erases in one tenant: it may do what the platform may, and also delete and blank rows of logs and ledgers, which nobody else does.
    /// </summary>
    public Transaction BeginErasure(Guid tenantId) => new(source, "agentplatform_eraser", Actor.System(tenantId), bearer: null);

    /// <summary>A transaction that sees only the rows whose secret is <paramref name="bearer"/>; see <see cref="Transaction.Enter"/>.</summary>
    public Transaction BeginGateway(string bearer) => new(source, "agentplatform_app", actor: null, bearer);

    /// <summary>A transaction of the work engine, across tenants, over the <c>work</c> tables and the few published maintenance functions only.</summary>
    public Transaction BeginWorker() => new(source, "agentplatform_worker", actor: null, bearer: null);
}
