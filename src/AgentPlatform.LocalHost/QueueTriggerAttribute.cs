namespace AgentPlatform.LocalHost;

/// <summary>Runs the function once for each message of a queue.</summary>
public sealed class QueueTriggerAttribute(string queueName) : TriggerBindingAttribute
{
    /// <summary>The queue; <c>%Setting%</c> is replaced by that setting.</summary>
    public string QueueName { get; } = queueName;

    /// <summary>The setting that names the storage account; <c>AzureWebJobsStorage</c> when null.</summary>
    public string? Connection { get; set; }
}
