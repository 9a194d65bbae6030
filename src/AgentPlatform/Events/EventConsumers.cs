using AgentPlatform.Postgres;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Events;

/// <summary>
/// Reacts to events, in order, one at a time per tenant. What it writes through <paramref name="tx"/> commits together with its
/// cursor, so it happens once; whatever else it does must bear a repetition.
/// </summary>
public interface IEventConsumer
{
    Task HandleAsync(StoredEvent e, Transaction tx, CancellationToken ct);
}

/// <summary>A consumer's name (the key of its cursor, so it never changes) and the event types it wants; none named means all.</summary>
public sealed record EventConsumer(string Name, Type Handler, IReadOnlySet<string> EventTypes)
{
    /// <summary>Attempts at one event before the consumer stops and waits for a person. Default 8.</summary>
    public int MaxAttempts { get; init; } = 8;

    public bool Wants(string eventType) => EventTypes.Count == 0 || EventTypes.Contains(eventType);
}

/// <summary>The consumers this process knows.</summary>
public sealed class EventConsumers(IEnumerable<EventConsumer> registered)
{
    private readonly Dictionary<string, EventConsumer> _byName = registered.ToDictionary(c => c.Name, StringComparer.Ordinal);

    public IReadOnlyCollection<EventConsumer> All => _byName.Values;

    public EventConsumer? Find(string name) => _byName.GetValueOrDefault(name);

    internal IEnumerable<EventConsumer> Of(string eventType) => _byName.Values.Where(c => c.Wants(eventType));
}

public static class EventConsumerRegistration
{
    /// <summary>Registers a consumer under <paramref name="name"/> for the given event types (all when none is given).</summary>
    public static IServiceCollection AddEventConsumer<T>(this IServiceCollection services, string name, params string[] eventTypes)
        where T : class, IEventConsumer
    {
        services.AddSingleton(new EventConsumer(name, typeof(T), eventTypes.ToHashSet(StringComparer.Ordinal)));
        services.AddScoped<T>();
        return services;
    }
}
