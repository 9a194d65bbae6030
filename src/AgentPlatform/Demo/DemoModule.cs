using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Demo;

public static class DemoModule
{
    public static IServiceCollection AddDemo(this IServiceCollection services)
    {
        services.AddSingleton<JobBoard>();
        return services;
    }
}
