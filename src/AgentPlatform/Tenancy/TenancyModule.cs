using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Tenancy;

public static class TenancyModule
{
    public static IServiceCollection AddTenancy(this IServiceCollection services)
    {
        services.AddSingleton<AgentDirectory>();
        services.AddSingleton<TenantProvisioning>();
        return services;
    }
}
