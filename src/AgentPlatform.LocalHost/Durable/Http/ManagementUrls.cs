using AgentPlatform.LocalHost.Http;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;

namespace AgentPlatform.LocalHost.Durable;

/// <summary>
/// The addresses of the management endpoints. They carry the key of this machine's key file; a host that did not create the keys, and has
/// no such file, gives the addresses without.
/// </summary>
internal sealed class ManagementUrls(IServer server, KeyFile keys)
{
    internal const string Root = "/runtime/webhooks/durabletask";

    internal HttpManagementPayload Of(string instance)
    {
        var host = server.Features.Get<IServerAddressesFeature>()?.Addresses.FirstOrDefault()?.Replace("127.0.0.1", "localhost", StringComparison.Ordinal)
            ?? throw new InvalidOperationException("The host does not listen yet.");
        var url = $"{host}{Root}/instances/{Uri.EscapeDataString(instance)}";
        var code = keys.Find(HostKeys.Durable) is { } key ? $"code={Uri.EscapeDataString(key)}" : "";
        return new HttpManagementPayload
        {
            Id = instance,
            StatusQueryGetUri = With(url, code),
            PurgeHistoryDeleteUri = With(url, code),
            SendEventPostUri = With($"{url}/raiseEvent/{{eventName}}", code),
            TerminatePostUri = With($"{url}/terminate", "reason={text}", code),
            SuspendPostUri = With($"{url}/suspend", "reason={text}", code),
            ResumePostUri = With($"{url}/resume", "reason={text}", code),
            RewindPostUri = With($"{url}/rewind", "reason={text}", code),
            RestartPostUri = With($"{url}/restart", code),
        };
    }

    private static string With(string url, params string[] query) => query.Where(q => q.Length > 0).ToArray() is { Length: > 0 } some ? $"{url}?{string.Join('&', some)}" : url;
}
