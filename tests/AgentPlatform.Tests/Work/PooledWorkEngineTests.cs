using AgentPlatform.Chaos.Servers;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace AgentPlatform.Tests.Work;

/// <summary>The engine once more, with a real PgBouncer in transaction mode between it and Postgres.</summary>
public sealed class PooledWorkEngineTests : WorkEngineTests
{
    private PoolerServer? _pooler;

    public override async Task DisposeAsync()
    {
        await base.DisposeAsync();
        if (_pooler is not null)
        {
            await _pooler.DisposeAsync();
        }
    }

    private protected override async Task<TestPlatform> StartAsync(Action<IServiceCollection> configure)
    {
        var target = new NpgsqlConnectionStringBuilder(TestDatabase.Server);
        _pooler = await PoolerServer.StartAsync(target.Port, target.Username!, target.Password!);
        return await TestPlatform.StartBehindAsync(_pooler.Port, configure);
    }
}
