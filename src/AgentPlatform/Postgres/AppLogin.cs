using Npgsql;

namespace AgentPlatform.Postgres;

/// <summary>
/// Lets a login of its own run the app, where another owns the schema: member of the three roles that row level security knows, and of
/// nothing else.
/// </summary>
public sealed class AppLogin
{
    private readonly NpgsqlDataSource _source;
    private readonly Func<NpgsqlDataSource> _openServerDatabase;

    internal AppLogin(NpgsqlDataSource source, Func<NpgsqlDataSource> openServerDatabase) =>
        (_source, _openServerDatabase) = (source, openServerDatabase);

    /// <summary>
    /// Grants the roles to a login. With <paramref name="entra"/> the login is made first, if need be, for the Entra identity of that
    /// name; Azure keeps the function for it in the database <c>postgres</c>.
    /// </summary>
    /// <exception cref="PostgresException">There is no such login, or the caller may not grant.</exception>
    public async Task AllowAsync(string login, bool entra, CancellationToken ct)
    {
        if (entra && !await AskAsync<bool>(_source, Sql.Exists, login, ct))
        {
            await using var server = _openServerDatabase();
            await AskAsync<object>(server, Sql.CreatePrincipal, login, ct);
        }

        var grant = await AskAsync<string>(_source, Sql.Grant, login, ct);
        await using var command = _source.CreateCommand(grant);
        await command.ExecuteNonQueryAsync(ct);
    }

    private static async Task<T> AskAsync<T>(NpgsqlDataSource source, string sql, string login, CancellationToken ct)
    {
        await using var command = source.CreateCommand(sql);
        command.Parameters.Add(new NpgsqlParameter { Value = login });
        return (T)(await command.ExecuteScalarAsync(ct))!;
    }

    private static class Sql
    {
        internal const string Exists = "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)";

        internal const string CreatePrincipal = "SELECT pgaadauth_create_principal($1, false, false)";

        internal const string Grant = "SELECT format('GRANT agentplatform_app, agentplatform_worker, agentplatform_eraser TO %I', $1::text)";
    }
}
