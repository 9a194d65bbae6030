using AgentPlatform.Tenancy.Instances;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Tenancy;

public static class TenancyModule
{
    public static IServiceCollection AddTenancy(this IServiceCollection services)
    {
        services.AddSingleton<AgentDirectory>();
        services.AddSingleton<MemberDirectory>();
        services.AddSingleton<TenantProvisioning>();
        services.AddSingleton<ManageTenants>();
        services.AddSingleton<ManageMembers>();
        services.AddSingleton<ManageAgents>();
        services.AddSingleton<InstanceDirectory>();
        services.AddSingleton<ManageInstances>();
        return services;
    }

    public static void MapTenancy(this IEndpointRouteBuilder v1)
    {
        TenancyApi.MapTenants(v1);
        TenancyApi.MapMembers(v1);
        TenancyApi.MapAgents(v1);
        InstancesApi.Map(v1);
    }
}
