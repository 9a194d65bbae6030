using System.Reflection;
using AgentPlatform.LocalHost.Durable;
using AgentPlatform.LocalHost.Hosting;
using AgentPlatform.LocalHost.Http;
using AgentPlatform.LocalHost.Queues;
using AgentPlatform.LocalHost.Timers;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.LocalHost.Invocation;

/// <summary>The functions of the app, found by their attributes. A function that cannot be bound stops the host before anything runs.</summary>
internal sealed class FunctionCatalog(IReadOnlyList<LocalFunction> functions)
{
    /// <summary>Every kind of trigger this host knows.</summary>
    internal static readonly IReadOnlyList<ITriggerKind> Kinds =
        [new HttpTriggerKind(), new QueueTriggerKind(), new TimerTriggerKind(), new OrchestrationTriggerKind(), new ActivityTriggerKind()];

    internal IReadOnlyList<LocalFunction> All { get; } = functions;

    internal IEnumerable<(LocalFunction Function, T Trigger)> Of<T>()
        where T : TriggerBindingAttribute => All.Where(f => f.Trigger is T).Select(f => (f, (T)f.Trigger));

    internal static FunctionCatalog Find(IEnumerable<Type> types)
    {
        const BindingFlags Anything = BindingFlags.Public | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly;
        var found = types.SelectMany(t => t.GetMethods(Anything))
            .Select(m => (Method: m, m.GetCustomAttribute<FunctionAttribute>()?.Name))
            .Where(m => m.Name is not null)
            .Select(m => Describe(m.Name!, m.Method))
            .OrderBy(f => f.Name, StringComparer.Ordinal)
            .ToArray();
        var twice = found.GroupBy(f => f.Name, StringComparer.OrdinalIgnoreCase).FirstOrDefault(g => g.Count() > 1);
        return twice is null
            ? new FunctionCatalog(found)
            : throw new SettingException($"Two functions are named {twice.Key}: {string.Join(", ", twice.Select(f => f.EntryPoint))}.");
    }

    private static LocalFunction Describe(string name, MethodInfo method)
    {
        // Read once: two readings at a time may give two objects for one parameter.
        var parameters = method.GetParameters();
        var triggers = parameters
            .SelectMany(p => p.GetCustomAttributes<TriggerBindingAttribute>().Select(a => (Parameter: p, Attribute: a)))
            .ToArray();
        if (triggers.Length != 1)
        {
            throw new SettingException($"Function {name} must have exactly one trigger; it has {triggers.Length}.");
        }

        var (parameter, trigger) = triggers[0];
        var kind = Kinds.FirstOrDefault(k => k.Attribute == trigger.GetType())
            ?? throw new SettingException($"Function {name}: this host does not know {trigger.GetType().Name}.");
        var readers = parameters.Select(p => Reader(name, kind, p, p == parameter)).ToArray();
        return new LocalFunction(name, method, kind, trigger, readers);
    }

    private static ParameterReader Reader(string name, ITriggerKind kind, ParameterInfo parameter, bool isTrigger) =>
        (isTrigger ? kind.BindTrigger(parameter) : Ambient(parameter) ?? kind.BindOther(parameter))
        ?? throw new SettingException($"Function {name}: the parameter {parameter.Name} of type {parameter.ParameterType.Name} cannot be bound to {kind.Name}.");

    private static ParameterReader? Ambient(ParameterInfo parameter) =>
        parameter.ParameterType == typeof(FunctionContext) ? static (_, context) => context
        : parameter.ParameterType == typeof(CancellationToken) ? static (_, context) => context.CancellationToken
        : parameter.ParameterType == typeof(DurableTaskClient) && parameter.IsDefined(typeof(DurableClientAttribute))
            ? static (_, context) => context.InstanceServices.GetRequiredService<PostgresDurableClient>()
        : null;
}
