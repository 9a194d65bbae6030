using System.Reflection;
using AgentPlatform.LocalHost.Http;
using AgentPlatform.Postgres;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace AgentPlatform.LocalHost.Hosting;

/// <summary>Runs before every other hosted service: migrates the app's modules and this host's own schema, then prepares the keys.</summary>
internal sealed class HostStartup(NpgsqlDataSource source, IServiceProvider services, HostKeys keys, ILogger<HostStartup> log) : IHostedService
{
    internal static readonly IReadOnlyList<(string Module, Assembly Assembly)> Schema =
        [("LocalHost", typeof(HostStartup).Assembly), ("Durable", typeof(HostStartup).Assembly)];

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        var applied = 0;
        if (services.GetService<Migrator>() is { } platform)
        {
            applied = (await platform.MigrateAsync(cancellationToken)).Count;
        }

        applied += (await new Migrator(source, MigrationSet.FromResources(Schema)).MigrateAsync(cancellationToken)).Count;
        if (applied > 0)
        {
            log.Migrated(applied);
        }

        await keys.PrepareAsync(cancellationToken);
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
