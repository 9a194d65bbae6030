using System.Reflection;
using System.Text.Json;
using AgentPlatform.LocalHost.Invocation;

namespace AgentPlatform.LocalHost.Durable;

internal sealed class OrchestrationTriggerKind : ITriggerKind
{
    public string Name => "orchestrationTrigger";

    public Type Attribute => typeof(OrchestrationTriggerAttribute);

    public ParameterReader? BindTrigger(ParameterInfo parameter) =>
        parameter.ParameterType == typeof(TaskOrchestrationContext) ? static (data, _) => data.Source : null;

    /// <summary>The input.</summary>
    public ParameterReader? BindOther(ParameterInfo parameter)
    {
        var type = parameter.ParameterType;
        return (data, _) => ((ReplayContext)data.Source).Input(type);
    }
}

internal sealed class ActivityTriggerKind : ITriggerKind
{
    public string Name => "activityTrigger";

    public Type Attribute => typeof(ActivityTriggerAttribute);

    /// <summary>The input, or the context of an activity that takes none.</summary>
    public ParameterReader? BindTrigger(ParameterInfo parameter)
    {
        var type = parameter.ParameterType;
        return type == typeof(FunctionContext)
            ? static (_, context) => context
            : (data, _) => Input((ClaimedActivity)data.Source, type);
    }

    /// <summary>The id of the calling instance, by its official name.</summary>
    public ParameterReader? BindOther(ParameterInfo parameter) =>
        parameter.ParameterType == typeof(string) && string.Equals(parameter.Name, "instanceId", StringComparison.OrdinalIgnoreCase)
            ? static (data, _) => ((ClaimedActivity)data.Source).Instance
            : null;

    internal static TriggerData Data(ClaimedActivity activity) => new(activity, new Dictionary<string, object?>(StringComparer.OrdinalIgnoreCase)
    {
        ["instanceId"] = activity.Instance,
        ["name"] = activity.Name,
    });

    private static object? Input(ClaimedActivity activity, Type type)
    {
        try
        {
            return DurableJson.Instance.Deserialize(activity.Input, type)
                ?? (type.IsValueType && Nullable.GetUnderlyingType(type) is null ? Activator.CreateInstance(type) : null);
        }
        catch (JsonException)
        {
            throw new BindingException($"The input of activity {activity.Name} does not fit {type.Name}.");
        }
    }
}
