using System.Diagnostics;
using System.Net.Sockets;
using AgentPlatform.Tests.EndToEnd;

namespace AgentPlatform.Tests.LocalHost;

/// <summary>Azurite's queue service, the official emulator, as a process of its own on a free port. A missing install fails.</summary>
public sealed class Azurite : IAsyncLifetime
{
    private readonly DirectoryInfo _data = Directory.CreateTempSubdirectory("agentplatform-azurite-");
    private readonly int _port = HostProcess.FreePort();
    private Process? _process;

    /// <summary>Its well-known development account.</summary>
    public string ConnectionString =>
        "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;"
        + "AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;"
        + $"QueueEndpoint=http://127.0.0.1:{_port}/devstoreaccount1;";

    public async Task InitializeAsync()
    {
        var program = Path.Combine(Root(), "tests", "witnesses", "node_modules", ".bin", "azurite-queue");
        Assert.True(File.Exists(program), $"{program} is missing; ./dev test installs it.");
        var start = new ProcessStartInfo(program)
        {
            ArgumentList = { "--queueHost", "127.0.0.1", "--queuePort", $"{_port}", "--location", _data.FullName, "--silent", "--skipApiVersionCheck", "--disableTelemetry" },
            UseShellExecute = false,
        };
        _process = Process.Start(start)!;
        Assert.True(await Eventually.SeeAsync(AnswersAsync, seen => seen, seconds: 60), "Azurite did not start.");
    }

    public Task DisposeAsync()
    {
        _process?.Kill(entireProcessTree: true);
        _process?.Dispose();
        _data.Delete(recursive: true);
        return Task.CompletedTask;
    }

    private static string Root()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "AgentPlatform.sln")))
        {
            folder = folder.Parent!;
        }

        return folder.FullName;
    }

    private async Task<bool> AnswersAsync()
    {
        Assert.False(_process!.HasExited, "Azurite ended at once.");
        using var client = new TcpClient();
        try
        {
            await client.ConnectAsync("127.0.0.1", _port);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
