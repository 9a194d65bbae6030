using AgentPlatform.Kernel;
using Azure.Core;
using Azure.Identity;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace AgentPlatform.Postgres;

public static class PostgresModule
{
    /// <summary>What Azure Database for PostgreSQL takes for a password.</summary>
    internal static readonly TokenRequestContext PostgresScope = new(["https://ossrdbms-aad.database.windows.net/.default"]);

    /// <summary>
    /// The data source of <c>ConnectionStrings:AgentPlatform</c>, <see cref="Database"/> over it, and the migrator. <c>Postgres:Pooler</c>
    /// says what stands between: none (default), or a pooler of transactions. <c>Postgres:Login</c> says how to log in: with the
    /// connection string's password (default), or with Entra tokens of the identity this process runs as.
    /// </summary>
    public static IServiceCollection AddPostgres(this IServiceCollection services)
    {
        services.TryAddSingleton<TokenCredential>(_ => new DefaultAzureCredential());
        services.AddSingleton(provider => Connect(provider));
        services.AddSingleton<Database>();
        services.AddSingleton<Migrator>();
        services.AddSingleton<SchemaInventory>();
        services.AddSingleton(provider => new AppLogin(provider.GetRequiredService<NpgsqlDataSource>(), () => Connect(provider, "postgres")));
        return services;
    }

    /// <summary>For a host: it does not start over a database of another build, or one whose clock differs.</summary>
    public static IServiceCollection AddDatabaseCheck(this IServiceCollection services) => services.AddHostedService<DatabaseCheck>();

    private static NpgsqlDataSource Connect(IServiceProvider services, string? database = null)
    {
        var configuration = services.GetRequiredService<IConfiguration>();
        var text = configuration.GetConnectionString("AgentPlatform");
        if (string.IsNullOrWhiteSpace(text))
        {
            throw new InvalidOperationException("The setting ConnectionStrings__AgentPlatform is missing.");
        }

        var builder = new NpgsqlDataSourceBuilder(text) { Name = "AgentPlatform" };
        builder.ConnectionStringBuilder.ApplicationName ??= "AgentPlatform";
        builder.ConnectionStringBuilder.Database = database ?? builder.ConnectionStringBuilder.Database;
        Pool(builder.ConnectionStringBuilder, configuration["Postgres:Pooler"] ?? "none");
        LogIn(builder, configuration["Postgres:Login"] ?? "password", services);

        // Parameters stay out of logs: they hold what people wrote.
        return builder.UseLoggerFactory(services.GetRequiredService<ILoggerFactory>()).EnableParameterLogging(false).Build();
    }

    private static void LogIn(NpgsqlDataSourceBuilder builder, string login, IServiceProvider services)
    {
        switch (login)
        {
            case "password":
                break;
            case "entra":
                var credential = services.GetRequiredService<TokenCredential>();
                // A token lives for an hour or more; connections that are open outlive it.
                builder.UsePeriodicPasswordProvider(
                    async (_, ct) => (await credential.GetTokenAsync(PostgresScope, ct)).Token, TimeSpan.FromMinutes(30), TimeSpan.FromSeconds(5));
                break;
            default:
                throw new InvalidOperationException($"The setting Postgres__Login is '{login}'; it may be 'password' or 'entra'.");
        }
    }

    /// <summary>What the way to the server allows. What the connection string itself says wins.</summary>
    private static void Pool(NpgsqlConnectionStringBuilder connection, string pooler)
    {
        // Few connections that stay warm (their statements prepared, their plans cached) serve faster than many cold ones.
        Default(connection, "Maximum Pool Size", 32);
        // Role and actor are set for a transaction only, so there is nothing to reset: it would cost six statements a transaction.
        Default(connection, "No Reset On Close", true);
        switch (pooler)
        {
            case "none":
                // Statements are prepared on the server once seen a few times; Npgsql looks through more than 256 of them too slowly.
                Default(connection, "Max Auto Prepare", 256);
                Default(connection, "Auto Prepare Min Usages", 2);
                break;
            case "transaction":
                // The next transaction may meet another server connection, which knows no statement prepared in this one.
                Default(connection, "Max Auto Prepare", 0);
                break;
            default:
                throw new InvalidOperationException($"The setting Postgres__Pooler is '{pooler}'; it may be 'none' or 'transaction'.");
        }
    }

    private static void Default(NpgsqlConnectionStringBuilder connection, string keyword, object value)
    {
        if (!connection.ShouldSerialize(keyword))
        {
            connection[keyword] = value;
        }
    }
}
