using System.Collections.Immutable;
using System.Reflection;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.LocalHost.Invocation;

/// <summary>A function found in the app: its trigger, and how to bind, create and call it.</summary>
internal sealed class LocalFunction : FunctionDefinition
{
    private readonly MethodInfo _method;
    private readonly MethodInvoker _invoker;
    private readonly ObjectFactory? _factory;
    private readonly ParameterReader[] _readers;

    internal LocalFunction(string name, MethodInfo method, ITriggerKind kind, TriggerBindingAttribute trigger, ParameterReader[] readers)
    {
        Name = name;
        _method = method;
        _invoker = MethodInvoker.Create(method);
        _factory = method.IsStatic ? null : ActivatorUtilities.CreateFactory(method.DeclaringType!, Type.EmptyTypes);
        _readers = readers;
        Kind = kind;
        Trigger = trigger;
        EntryPoint = $"{method.DeclaringType!.FullName}.{method.Name}";
        Parameters = [.. method.GetParameters().Select(p => new FunctionParameter(p.Name!, p.ParameterType))];
        var bound = method.GetParameters().Single(p => p.IsDefined(kind.Attribute)).Name!;
        InputBindings = ImmutableDictionary<string, BindingMetadata>.Empty.Add(bound, new Binding(bound, kind.Name));
    }

    public override string Name { get; }

    public override string Id => Name;

    public override string EntryPoint { get; }

    public override string PathToAssembly => _method.DeclaringType!.Assembly.Location;

    public override ImmutableArray<FunctionParameter> Parameters { get; }

    public override IImmutableDictionary<string, BindingMetadata> InputBindings { get; }

    internal ITriggerKind Kind { get; }

    internal TriggerBindingAttribute Trigger { get; }

    /// <summary>Binds, creates the function's class for this execution, calls it and awaits what it returns.</summary>
    internal async Task<object?> CallAsync(LocalFunctionContext context)
    {
        var arguments = new object?[_readers.Length];
        for (var i = 0; i < arguments.Length; i++)
        {
            arguments[i] = _readers[i](context.Data, context);
        }

        var instance = _factory?.Invoke(context.InstanceServices, null);
        try
        {
            return await Awaited.ResultAsync(_invoker.Invoke(instance, arguments.AsSpan()));
        }
        finally
        {
            switch (instance)
            {
                case IAsyncDisposable disposable:
                    await disposable.DisposeAsync();
                    break;
                case IDisposable disposable:
                    disposable.Dispose();
                    break;
            }
        }
    }

    private sealed class Binding(string name, string type) : BindingMetadata
    {
        public override string Name => name;

        public override string Type => type;
    }
}
