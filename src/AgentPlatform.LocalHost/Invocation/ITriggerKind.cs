using System.Reflection;

namespace AgentPlatform.LocalHost.Invocation;

/// <summary>Reads one parameter of a function from what started it.</summary>
internal delegate object? ParameterReader(TriggerData data, LocalFunctionContext context);

/// <summary>
/// One kind of trigger, recognised by its attribute. A new kind (orchestrations, activities) is a further entry of
/// <see cref="FunctionCatalog.Kinds"/> and a listener that takes its functions from the catalog.
/// </summary>
internal interface ITriggerKind
{
    /// <summary>The official binding type: <c>httpTrigger</c>.</summary>
    string Name { get; }

    /// <summary>The attribute on the trigger parameter.</summary>
    Type Attribute { get; }

    /// <summary>How to read the parameter the attribute stands on; null when its type cannot be bound.</summary>
    ParameterReader? BindTrigger(ParameterInfo parameter);

    /// <summary>How to read another parameter by its name; null when there is no such thing.</summary>
    ParameterReader? BindOther(ParameterInfo parameter);

    /// <summary>What a run by hand through <c>/admin/functions</c> starts from; null when functions of this kind have another way in.</summary>
    TriggerData? ByHand(string input, DateTimeOffset now) => null;
}

/// <summary>What started an execution: the request, message or timer, and named data of it.</summary>
internal sealed record TriggerData(object Source, IReadOnlyDictionary<string, object?> Named);
