using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Identity;

public static class IdentityModule
{
    public static IServiceCollection AddIdentity(this IServiceCollection services)
    {
        services.AddSingleton<UserDirectory>();
        services.AddSingleton<KeyRing>();
        return services;
    }
}
