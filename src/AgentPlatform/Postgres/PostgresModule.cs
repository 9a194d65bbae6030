using AgentPlatform.Kernel;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace AgentPlatform.Postgres;

public static class PostgresModule
{
    /// <summary>The data source of <c>ConnectionStrings:AgentPlatform</c>, <see cref="Database"/> over it, and the migrator.</summary>
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
        // Statements are prepared on the server once seen a few times; a transaction pooler needs this set to 0 by its operator.
        if (!text.Contains("Max Auto Prepare", StringComparison.OrdinalIgnoreCase))
        {
            builder.ConnectionStringBuilder.MaxAutoPrepare = 200;
            builder.ConnectionStringBuilder.AutoPrepareMinUsages = 2;
        }

        // Few connections that stay warm (their statements prepared, their plans cached) serve faster than many cold ones.
        if (!text.Contains("Pool Size", StringComparison.OrdinalIgnoreCase))
        {
            builder.ConnectionStringBuilder.MaxPoolSize = 32;
        }

        // Role and actor are set for a transaction only, so there is nothing to reset: it would cost six statements a transaction.
        builder.ConnectionStringBuilder.NoResetOnClose = true;

        // Parameters stay out of logs: they hold what people wrote.
        return builder.UseLoggerFactory(logs).EnableParameterLogging(false).Build();
    }
}
