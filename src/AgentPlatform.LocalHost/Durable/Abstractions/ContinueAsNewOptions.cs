namespace AgentPlatform.LocalHost;

/// <summary>How an orchestration begins again.</summary>
public class ContinueAsNewOptions
{
    /// <summary>Its next input.</summary>
    public object? NewInput { get; set; }

    /// <summary>Whether events that nobody has waited for yet are kept.</summary>
    public bool PreserveUnprocessedEvents { get; set; } = true;

    /// <summary>The version it goes on with; the same when null.</summary>
    public string? NewVersion { get; set; }
}
