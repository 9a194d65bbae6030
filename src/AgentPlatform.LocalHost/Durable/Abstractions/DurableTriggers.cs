namespace AgentPlatform.LocalHost;

/// <summary>Starts an orchestrator: on the <see cref="TaskOrchestrationContext"/> of a function; its other parameters read the input.</summary>
public sealed class OrchestrationTriggerAttribute : TriggerBindingAttribute
{
    /// <summary>The orchestrator's name when it is not the function's.</summary>
    public string? Orchestration { get; set; }
}

/// <summary>Starts an activity: on the parameter that takes its input.</summary>
public sealed class ActivityTriggerAttribute : TriggerBindingAttribute
{
    /// <summary>The activity's name when it is not the function's.</summary>
    public string? Activity { get; set; }
}

/// <summary>Binds a <see cref="DurableTaskClient"/> in any function.</summary>
[AttributeUsage(AttributeTargets.Parameter)]
public sealed class DurableClientAttribute : Attribute
{
    /// <summary>The task hub; there is one here.</summary>
    public string? TaskHub { get; set; }

    /// <summary>The setting with the task hub's connection; here it is always the platform's database.</summary>
    public string? ConnectionName { get; set; }
}
