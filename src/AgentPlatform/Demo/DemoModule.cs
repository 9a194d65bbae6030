using AgentPlatform.Actions;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Postgres;
using AgentPlatform.Tenancy;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Demo;

public static class DemoModule
{
    public static IServiceCollection AddDemo(this IServiceCollection services)
    {
        services.AddSingleton<JobBoard>().AddSingleton<DemoChannels>();
        services.AddSingleton(p => new DemoSeeder(
            p.GetRequiredService<Database>(), p.GetRequiredService<TenantProvisioning>(), p.GetRequiredService<ManageAgents>(), p.GetRequiredService<AgentDirectory>(),
            p.GetRequiredService<ActionRegistry>(), p.GetRequiredService<DemoChannels>(), p.GetRequiredService<JobBoard>(), p.GetRequiredService<IConfiguration>(),
            p.GetRequiredService<TimeProvider>()));
        return services;
    }
}
