namespace AgentPlatform.LocalHost;

/// <summary>Marks a method as a function. <paramref name="name"/> is unique in the app.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class FunctionAttribute(string name) : Attribute
{
    /// <summary>The unique name of the function.</summary>
    public string Name { get; } = name;
}

/// <summary>Base of the attributes that say what starts a function.</summary>
[AttributeUsage(AttributeTargets.Parameter)]
public abstract class TriggerBindingAttribute : Attribute;
