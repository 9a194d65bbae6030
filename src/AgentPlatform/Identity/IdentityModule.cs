using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Identity;

public static class IdentityModule
{
    public static IServiceCollection AddIdentity(this IServiceCollection services)
    {
        services.AddSingleton<UserDirectory>();
        services.AddSingleton<KeyRing>();
        services.AddSingleton<Authenticator>();
        services.AddSingleton<IdempotencyStore>();
        services.AddSingleton<RequestLog>();
        services.AddHostedService(provider => provider.GetRequiredService<RequestLog>());
        return services;
    }

    public static void MapIdentity(this IEndpointRouteBuilder v1)
    {
    }
}
