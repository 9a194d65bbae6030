using AgentPlatform.Api;
using Microsoft.AspNetCore.Builder;
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
        services.AddSingleton<KeySessions>();
        services.AddSingleton<DataProtectionKeys>();
        services.AddSingleton<IdempotencyStore>();
        services.AddSingleton<ManageKeys>();
        services.AddSingleton<ManageAccount>();
        services.AddSingleton<IdentityRetention>();
        services.AddSingleton<RequestLog>();
        services.AddHostedService(provider => provider.GetRequiredService<RequestLog>());
        return services;
    }

    /// <summary>Who calls, what it sends, and whether it did so before: after routing, in this order.</summary>
    internal static void UseIdentity(IApplicationBuilder app)
    {
        app.UseMiddleware<KeyAuthentication>();
        app.UseMiddleware<BodyReader>();
        app.UseMiddleware<IdempotentRequests>();
    }

    public static void MapIdentity(this IEndpointRouteBuilder v1)
    {
        IdentityApi.MapKeys(v1);
        IdentityApi.MapAccount(v1);
    }
}
