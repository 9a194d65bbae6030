using System.ComponentModel.DataAnnotations;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Resilience;

public sealed class ResilienceOptions
{
    /// <summary>Failures of a service in a row that open its circuit. Default 5.</summary>
    [Range(1, 1000)]
    public int FailuresToOpen { get; set; } = 5;

    /// <summary>Seconds after a failure within which the next one counts as in a row with it. Default 60.</summary>
    [Range(1, 24 * 3600)]
    public int WindowSeconds { get; set; } = 60;

    /// <summary>Seconds for which an open circuit lets nothing through, before one call tries. Default 30.</summary>
    [Range(0.01, 3600)]
    public double CoolDownSeconds { get; set; } = 30;
}

public static class ResilienceModule
{
    public static IServiceCollection AddResilience(this IServiceCollection services)
    {
        services.AddOptions<ResilienceOptions>().BindConfiguration("Resilience").ValidateDataAnnotations().ValidateOnStart();
        return services.AddSingleton<LockKeeper>().AddSingleton<CircuitBreaker>();
    }

    /// <summary>Under <c>/api/v1</c>: locks, circuits.</summary>
    public static void MapResilience(this IEndpointRouteBuilder v1)
    {
        LocksApi.Map(v1);
        CircuitsApi.Map(v1);
    }
}
