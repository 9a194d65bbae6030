using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Work;

/// <summary>One kind of work: who handles it, how often it is tried, and how long one try may take.</summary>
public sealed class WorkKind(string name, Type handler)
{
    public string Name { get; } = name;

    public Type Handler { get; } = handler;

    /// <summary>Attempts before the item is dead. Default 10.</summary>
    public int MaxAttempts { get; set; } = 10;

    /// <summary>A run longer than this is cancelled and counts as a failed attempt. Default 2 minutes.</summary>
    public TimeSpan Timeout { get; set; } = TimeSpan.FromMinutes(2);

    /// <summary>
    /// What is done leaves no row. For work that only says that there is something to do, each time under a key of its own: elsewhere the row is what keeps a
    /// key from being enqueued again. Default false.
    /// </summary>
    public bool ForgetDone { get; set; }
}

/// <summary>The kinds of work this process knows.</summary>
public sealed class WorkKinds(IEnumerable<WorkKind> kinds)
{
    private readonly Dictionary<string, WorkKind> _kinds = kinds.ToDictionary(k => k.Name, StringComparer.Ordinal);

    /// <summary>What this process may claim: a newer version's kinds are left to the newer version.</summary>
    public string[] Names => [.. _kinds.Keys];

    public WorkKind Find(string kind) =>
        _kinds.TryGetValue(kind, out var found) ? found : throw new InvalidOperationException($"No handler is registered for work of kind '{kind}'.");
}

public static class WorkKindRegistration
{
    public static IServiceCollection AddWorkHandler<THandler>(this IServiceCollection services, string kind, Action<WorkKind>? configure = null)
        where THandler : class, IWorkHandler
    {
        var description = new WorkKind(kind, typeof(THandler));
        configure?.Invoke(description);
        services.AddSingleton(description);
        services.AddScoped<THandler>();
        return services;
    }
}
