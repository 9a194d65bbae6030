using System.Net;
using System.Net.Sockets;

namespace AgentPlatform.Chaos.Servers;

internal static class LoopbackPort
{
    internal static int Free()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
