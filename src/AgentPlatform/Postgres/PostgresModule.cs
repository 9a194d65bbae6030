using AgentPlatform.Kernel;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace AgentPlatform.Postgres;

public static class PostgresModule
{
    /// <summary>
    /// The data source of <c>ConnectionStrings:AgentPlatform</c>, <see cref="Database"/> over it, and the migrator. <c>Postgres:Pooler</c>
    /// says what stands between: none (default), or a pooler of transactions.
    /// </summary>
    public static IServiceCollection AddPostgres(this IServiceCollection services)
    {
        services.AddSingleton(provider => Connect(provider.GetRequiredService<IConfiguration>(), provider.GetRequiredService<ILoggerFactory>()));
        services.AddSingleton<Database>();
        services.AddSingleton<Migrator>();
        return services;
    }

    private static NpgsqlDataSource Connect(IConfiguration configuration, ILoggerFactory logs)
    {
        var text = configuration.GetConnectionString("AgentPlatform");
        if (string.IsNullOrWhiteSpace(text))
        {
            throw new InvalidOperationException("The setting ConnectionStrings__AgentPlatform is missing.");
        }

        var builder = new NpgsqlDataSourceBuilder(text) { Name = "AgentPlatform" };
        builder.ConnectionStringBuilder.ApplicationName ??= "AgentPlatform";
        Pool(builder.ConnectionStringBuilder, configuration["Postgres:Pooler"] ?? "none");

        // Parameters stay out of logs: they hold what people wrote.
        return builder.UseLoggerFactory(logs).EnableParameterLogging(false).Build();
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
                // Statements are prepared on the server once seen a few times.
                Default(connection, "Max Auto Prepare", 400);
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
