using System.Text.RegularExpressions;
using AgentPlatform.LocalHost.Hosting;
using AgentPlatform.LocalHost.Invocation;
using Microsoft.Extensions.Configuration;
using Npgsql;

namespace AgentPlatform.LocalHost.Queues;

/// <summary>Decides where a queue lives: in the storage account its trigger or <c>AzureWebJobsStorage</c> names, else in Postgres.</summary>
internal sealed partial class QueueFactory(IConfiguration configuration, NpgsqlDataSource source, QueueSignals signals, TimeProvider clock)
{
    internal const string PoisonSuffix = "-poison";

    internal IMessageQueue Open(LocalFunction function, QueueTriggerAttribute trigger)
    {
        var where = $"Function {function.Name}";
        var name = configuration.Resolve(trigger.QueueName, where).ToLowerInvariant();
        if (!QueueName().IsMatch(name))
        {
            throw new SettingException($"{where}: '{name}' is no queue name (3 to 63 letters, digits and single dashes).");
        }

        return Connection(where, trigger.Connection) is { } connection
            ? OpenStorage(where, name, connection)
            : new PostgresQueue(name, source, signals, clock);
    }

    private string? Connection(string where, string? setting)
    {
        if (setting is null)
        {
            return configuration["AzureWebJobsStorage"] is { Length: > 0 } storage ? storage : null;
        }

        // The official host looks for the name with its own prefix first.
        return configuration[$"AzureWebJobs{setting}"] is { Length: > 0 } prefixed ? prefixed
            : configuration[setting] is { Length: > 0 } plain ? plain
            : throw new SettingException($"{where}: the setting {setting} (a storage connection string) is missing.");
    }

    private StorageQueue OpenStorage(string where, string name, string connection)
    {
        try
        {
            return new StorageQueue(name, connection, clock);
        }
        catch (FormatException)
        {
            // The message of the exception may repeat the account key.
            throw new SettingException($"{where}: its storage connection string cannot be read.");
        }
    }

    [GeneratedRegex("^(?=.{3,63}$)[a-z0-9]+(-[a-z0-9]+)*$", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex QueueName();
}
