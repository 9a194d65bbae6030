using Npgsql;

namespace AgentPlatform.Postgres;

/// <summary>
/// Opens transactions. Nothing is sent until the first command: BEGIN, role and actor travel in its round trip, so that
/// row level security holds from the first statement and a pooled connection never carries an earlier actor.
/// </summary>
public sealed class Database(NpgsqlDataSource source)
{
    /// <summary>A transaction that sees and writes one tenant's rows.</summary>
    public Transaction Begin(Actor actor) => new(source, "agentplatform_app", actor, bearer: null);

    /// <summary>A transaction that sees only the rows whose secret is <paramref name="bearer"/>; see <see cref="Transaction.Enter"/>.</summary>
    public Transaction BeginGateway(string bearer) => new(source, "agentplatform_app", actor: null, bearer);

    /// <summary>A transaction of the work engine, across tenants, over the <c>work</c> tables and the few published maintenance functions only.</summary>
    public Transaction BeginWorker() => new(source, "agentplatform_worker", actor: null, bearer: null);
}
