using AgentPlatform.Schemas;

namespace AgentPlatform.Functions;

/// <summary>Expired caches of what tenants' systems know about contacts are refreshed or removed.</summary>
public sealed class SchemaFunctions(ExpireSchemas expiry)
{
    [Function("SchemaExpiry")]
    public Task Expire([TimerTrigger("15 * * * * *", UseMonitor = false)] TimerInfo timer, CancellationToken ct) => expiry.RunAsync(ct);
}
