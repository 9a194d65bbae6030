using System.Text.Json.Serialization;
using AgentPlatform.LocalHost.Durable;

namespace AgentPlatform.LocalHost;

/// <summary>The addresses at which one instance is watched and steered. They carry the key: who has one may use it.</summary>
public class HttpManagementPayload
{
    /// <summary>The instance.</summary>
    [JsonPropertyName("id")]
    public string Id { get; internal set; } = "";

    /// <summary>GET: where it stands.</summary>
    [JsonPropertyName("statusQueryGetUri")]
    public string StatusQueryGetUri { get; internal set; } = "";

    /// <summary>POST: raises an event; its name goes where <c>{eventName}</c> stands.</summary>
    [JsonPropertyName("sendEventPostUri")]
    public string SendEventPostUri { get; internal set; } = "";

    /// <summary>POST: ends it.</summary>
    [JsonPropertyName("terminatePostUri")]
    public string TerminatePostUri { get; internal set; } = "";

    /// <summary>POST: takes it back to before it failed.</summary>
    [JsonPropertyName("rewindPostUri")]
    public string RewindPostUri { get; internal set; } = "";

    /// <summary>DELETE: removes it.</summary>
    [JsonPropertyName("purgeHistoryDeleteUri")]
    public string PurgeHistoryDeleteUri { get; internal set; } = "";

    /// <summary>POST: starts it again.</summary>
    [JsonPropertyName("restartPostUri")]
    public string RestartPostUri { get; internal set; } = "";

    /// <summary>POST: suspends it.</summary>
    [JsonPropertyName("suspendPostUri")]
    public string SuspendPostUri { get; internal set; } = "";

    /// <summary>POST: resumes it.</summary>
    [JsonPropertyName("resumePostUri")]
    public string ResumePostUri { get; internal set; } = "";
}

/// <summary>Addresses of instances.</summary>
public static class DurableTaskClientExtensions
{
    /// <summary>The addresses at which the instance is watched and steered.</summary>
    public static HttpManagementPayload CreateHttpManagementPayload(this DurableTaskClient client, string instanceId)
    {
        ArgumentException.ThrowIfNullOrEmpty(instanceId);
        return client is PostgresDurableClient local
            ? local.Urls.Of(instanceId)
            : throw new InvalidOperationException("This client does not know its host's address.");
    }
}
