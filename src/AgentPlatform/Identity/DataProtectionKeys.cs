using System.Xml.Linq;
using AgentPlatform.Kernel;
using Microsoft.AspNetCore.DataProtection.Repositories;
using Npgsql;

namespace AgentPlatform.Identity;

/// <summary>
/// The key ring of ASP.NET Data Protection, in Postgres: it survives restarts and is shared by all hosts. Only hosts see it, as the
/// worker role; no tenant's transaction does. The interface is synchronous, so this is the one place that calls Postgres that way.
/// </summary>
public sealed class DataProtectionKeys(NpgsqlDataSource source, TimeProvider clock) : IXmlRepository
{
    public IReadOnlyCollection<XElement> GetAllElements()
    {
        using var connection = source.OpenConnection();
        using var tx = connection.BeginTransaction();
        Run(Sql.BecomeHost, connection);
        using var command = new NpgsqlCommand(Sql.All, connection);
        using var reader = command.ExecuteReader();
        var elements = new List<XElement>();
        while (reader.Read())
        {
            elements.Add(XElement.Parse(reader.GetString(0)));
        }

        return elements;
    }

    public void StoreElement(XElement element, string friendlyName)
    {
        using var connection = source.OpenConnection();
        using var tx = connection.BeginTransaction();
        Run(Sql.BecomeHost, connection);
        Run(Sql.Store, connection, clock.NewId(), friendlyName, element.ToString(SaveOptions.DisableFormatting), clock.GetUtcNow());
        tx.Commit();
    }

    private static void Run(string sql, NpgsqlConnection connection, params object[] args)
    {
        using var command = new NpgsqlCommand(sql, connection);
        Array.ForEach(args, arg => command.Parameters.Add(new NpgsqlParameter { Value = arg }));
        command.ExecuteNonQuery();
    }

    private static class Sql
    {
        internal const string BecomeHost = "SELECT set_config('role', 'agentplatform_worker', true)";

        internal const string All = "SELECT xml FROM identity.data_protection_keys ORDER BY id";

        internal const string Store = "INSERT INTO identity.data_protection_keys (id, friendly_name, xml, created_at) VALUES ($1, $2, $3, $4)";
    }
}
