using AgentPlatform.Actions;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Identity;
using AgentPlatform.Postgres;
using AgentPlatform.Tenancy;
using AgentPlatform.Workflows;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Demo;

public static class DemoModule
{
    public static IServiceCollection AddDemo(this IServiceCollection services)
    {
        services.AddSingleton<JobBoard>().AddSingleton<ApplicationDesk>().AddSingleton<DemoChannels>().AddSingleton<DemoGuidance>();
        services.AddSingleton(p => new DemoSeeder(
            p.GetRequiredService<Database>(), p.GetRequiredService<TenantProvisioning>(), p.GetRequiredService<ManageAgents>(), p.GetRequiredService<AgentDirectory>(),
            p.GetRequiredService<ActionRegistry>(), p.GetRequiredService<DemoChannels>(), p.GetRequiredService<JobBoard>(), p.GetRequiredService<WorkflowEngine>(), p.GetRequiredService<DemoGuidance>(),
            p.GetRequiredService<MemberDirectory>(), p.GetRequiredService<ManageAccount>(), p.GetRequiredService<IConfiguration>(),
            p.GetRequiredService<TimeProvider>()));
        return services;
    }
}
