using AgentPlatform.Work;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Events;

public static class EventsModule
{
    public static IServiceCollection AddEvents(this IServiceCollection services)
    {
        services.AddSingleton<EventConsumers>();
        services.AddSingleton<EventStore>();
        services.AddWorkHandler<ConsumeEvents>(ConsumeEvents.Kind, kind => kind.MaxAttempts = 1000);
        return services;
    }

    public static void MapEvents(this IEndpointRouteBuilder v1)
    {
    }
}
