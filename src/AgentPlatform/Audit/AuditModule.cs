using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Audit;

public static class AuditModule
{
    public static IServiceCollection AddAudit(this IServiceCollection services)
    {
        services.AddSingleton<IKeepsPersonalData, KeptOfContacts>();
        services.AddSingleton<IKeepsTraces, KeptOfContacts>();
        services.AddSingleton<SecurityLog>();
        services.AddSingleton<ThreatLog>();
        services.AddHostedService(provider => provider.GetRequiredService<ThreatLog>());
        services.AddSingleton<SecurityEvents>();
        services.AddSingleton<AuditRetention>();
        return services;
    }

    /// <summary>Around the authentication, whose refusals are logged too.</summary>
    internal static void UseAudit(IApplicationBuilder app) => app.UseMiddleware<SensitiveRequests>();

    public static void MapAudit(this IEndpointRouteBuilder v1) => AuditApi.Map(v1);
}
