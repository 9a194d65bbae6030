using System.Collections.Immutable;

namespace AgentPlatform.LocalHost;

/// <summary>One execution of a function, as functions and middleware see it.</summary>
public abstract class FunctionContext
{
    /// <summary>Unique to this execution.</summary>
    public abstract string InvocationId { get; }

    /// <summary>Unique to the function and stable across executions.</summary>
    public abstract string FunctionId { get; }

    /// <summary>The W3C trace this execution belongs to.</summary>
    public abstract TraceContext TraceContext { get; }

    /// <summary>Data of the trigger by name: route values, query values, message properties.</summary>
    public abstract BindingContext BindingContext { get; }

    /// <summary>Services scoped to this execution.</summary>
    public abstract IServiceProvider InstanceServices { get; set; }

    /// <summary>The function being executed.</summary>
    public abstract FunctionDefinition FunctionDefinition { get; }

    /// <summary>Data shared by middleware and function during this execution.</summary>
    public abstract IDictionary<object, object> Items { get; set; }

    /// <summary>Cancelled when the client goes away or the host's drain limit has passed.</summary>
    public virtual CancellationToken CancellationToken { get; }
}

/// <summary>W3C trace headers of an execution.</summary>
public abstract class TraceContext
{
    /// <summary>The <c>traceparent</c> value, or empty.</summary>
    public abstract string TraceParent { get; }

    /// <summary>The <c>tracestate</c> value, or empty.</summary>
    public abstract string TraceState { get; }
}

/// <summary>Data of the trigger.</summary>
public abstract class BindingContext
{
    /// <summary>Values by name.</summary>
    public abstract IReadOnlyDictionary<string, object?> BindingData { get; }
}

/// <summary>What a function is.</summary>
public abstract class FunctionDefinition
{
    /// <summary>Its parameters in order.</summary>
    public abstract ImmutableArray<FunctionParameter> Parameters { get; }

    /// <summary>The assembly that holds it.</summary>
    public abstract string PathToAssembly { get; }

    /// <summary>Full name of the method.</summary>
    public abstract string EntryPoint { get; }

    /// <summary>Unique and stable across executions.</summary>
    public abstract string Id { get; }

    /// <summary>The name given in <see cref="FunctionAttribute"/>.</summary>
    public abstract string Name { get; }

    /// <summary>Its bindings by parameter name.</summary>
    public abstract IImmutableDictionary<string, BindingMetadata> InputBindings { get; }
}

/// <summary>A parameter of a function.</summary>
public sealed class FunctionParameter(string name, Type type)
{
    /// <summary>Its name.</summary>
    public string Name { get; } = name;

    /// <summary>Its type.</summary>
    public Type Type { get; } = type;
}

/// <summary>A binding of a function.</summary>
public abstract class BindingMetadata
{
    /// <summary>The parameter's name.</summary>
    public abstract string Name { get; }

    /// <summary>The kind: <c>httpTrigger</c>, <c>queueTrigger</c>, <c>timerTrigger</c>.</summary>
    public abstract string Type { get; }
}
