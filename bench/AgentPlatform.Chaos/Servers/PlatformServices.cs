using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Chaos.Servers;

/// <summary>The platform's modules in this process, behind the pooler like everybody else.</summary>
internal static class PlatformServices
{
    internal static IServiceCollection Behind(PoolerServer pooler, PostgresServer postgres)
    {
        var configuration = new ConfigurationBuilder()
            .AddInMemoryCollection([new("ConnectionStrings:AgentPlatform", postgres.ConnectionThrough(pooler.Port, seconds: 30)), new("Postgres:Pooler", "transaction")])
            .Build();
        return new ServiceCollection().AddSingleton<IConfiguration>(configuration).AddLogging().AddAgentPlatform(configuration);
    }
}
