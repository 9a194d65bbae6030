using AgentPlatform.Events.Live;
using AgentPlatform.Operations;
using AgentPlatform.Postgres;
using AgentPlatform.Work;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Events;

public sealed class EventsOptions
{
    /// <summary>Between signs of life on a silent stream. Default 15 seconds.</summary>
    public TimeSpan Heartbeat { get; set; } = TimeSpan.FromSeconds(15);

    /// <summary>Between looks for events although none was announced. Default 5 seconds.</summary>
    public TimeSpan Poll { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>A stream older than this ends, and its client comes back with its key. Default 15 minutes.</summary>
    public TimeSpan MaxStreamAge { get; set; } = TimeSpan.FromMinutes(15);

    /// <summary>Days that events are kept in the archive, where they come when they are ninety days old; 0 for ever. Default 365.</summary>
    [KeepDays]
    public int ArchiveRetentionDays { get; set; } = 365;
}

public static class EventsModule
{
    public static IServiceCollection AddEvents(this IServiceCollection services)
    {
        services.AddSingleton<IKeepsPersonalData, KeptOfContacts>();
        services.AddSingleton<IKeepsTraces, KeptOfContacts>();
        services.AddOptions<EventsOptions>().BindConfiguration("Events").ValidateDataAnnotations()
            .Validate(o => o.Heartbeat > TimeSpan.Zero && o.Poll > TimeSpan.Zero && o.MaxStreamAge > TimeSpan.Zero, "Durations of Events must be positive.")
            .ValidateOnStart();
        services.AddSingleton<IHealthSource, EventHealth>();
        services.AddSingleton<IActionsLogSource, EventsInLog>();
        services.AddSingleton<EventConsumers>();
        services.AddSingleton<EventAnnouncer>();
        services.AddSingleton(p => new EventStore(
            p.GetRequiredService<WorkQueue>(), p.GetRequiredService<EventConsumers>(), p.GetRequiredService<EventAnnouncer>(), p.GetRequiredService<TimeProvider>()));
        services.AddSingleton<EventArchive>();
        services.AddSingleton<EventListener>();
        services.AddSingleton<LiveNotes>();
        services.AddSingleton(p => new EventSignals(p.GetRequiredService<EventListener>(), p.GetRequiredService<IOptions<EventsOptions>>(), p.GetRequiredService<TimeProvider>()));
        services.AddSingleton<ReadEvents>();
        services.AddSingleton<ManageConsumers>();
        services.AddSingleton<StreamEvents>();
        services.AddWorkHandler<ConsumeEvents>(ConsumeEvents.Kind, kind =>
        {
            kind.MaxAttempts = 1000;
            kind.ForgetDone = true;
        });
        return services;
    }

    public static void MapEvents(this IEndpointRouteBuilder v1) => EventsApi.Map(v1);
}
