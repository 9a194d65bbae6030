using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace AgentPlatform.Bench;

/// <summary>The functions app as a real process, as <c>./dev run</c> starts it.</summary>
internal sealed class HostProcess : IAsyncDisposable
{
    private readonly Process _process;
    private readonly ConcurrentQueue<string> _output = new();

    private HostProcess(Process process, Uri address) => (_process, Address) = (process, address);

    internal Uri Address { get; }

    /// <summary>Resident memory in MB, of the process and nothing else.</summary>
    internal double ResidentMegabytes
    {
        get
        {
            var line = File.ReadLines($"/proc/{_process.Id}/status").First(l => l.StartsWith("VmRSS:", StringComparison.Ordinal));
            return double.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture) / 1024;
        }
    }

    /// <summary>What the process has computed so far.</summary>
    internal TimeSpan Cpu
    {
        get
        {
            _process.Refresh();
            return _process.TotalProcessorTime;
        }
    }

    internal static async Task<HostProcess> StartAsync(string connectionString, string twilio, int port, TimeProvider clock)
    {
        var start = new ProcessStartInfo("dotnet", [BenchOptions.HostAssembly, "--port", port.ToString(CultureInfo.InvariantCulture)])
        {
            RedirectStandardOutput = true,
            WorkingDirectory = Directory.CreateTempSubdirectory("agentplatform-bench").FullName,
            Environment =
            {
                ["ConnectionStrings__AgentPlatform"] = connectionString,
                ["PublicBaseUrl"] = $"http://localhost:{port}",
                ["Channels__Twilio__ApiBaseUrl"] = twilio,
                ["Logging__LogLevel__Default"] = "Warning",
            },
        };
        var process = Process.Start(start)!;
        var host = new HostProcess(process, new Uri($"http://localhost:{port}"));
        process.OutputDataReceived += (_, line) => host._output.Enqueue(line.Data ?? "");
        process.BeginOutputReadLine();
        await host.ReadyAsync(clock);
        return host;
    }

    /// <summary>What the host has logged: warnings and worse.</summary>
    internal IEnumerable<string> Warnings => _output.Where(line => line.Contains("warn:", StringComparison.Ordinal) || line.Contains("fail:", StringComparison.Ordinal));

    internal static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            using var term = Process.Start("kill", ["-TERM", _process.Id.ToString(CultureInfo.InvariantCulture)]);
            using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(20));
            try
            {
                await _process.WaitForExitAsync(patience.Token);
            }
            catch (OperationCanceledException)
            {
                _process.Kill();
            }
        }

        _process.Dispose();
    }

    private async Task ReadyAsync(TimeProvider clock)
    {
        using var client = new HttpClient { BaseAddress = Address };
        var deadline = clock.GetTimestamp();
        while (clock.GetElapsedTime(deadline) < TimeSpan.FromSeconds(60))
        {
            if (_process.HasExited)
            {
                throw new InvalidOperationException($"The host ended with exit code {_process.ExitCode} before it was ready.");
            }

            try
            {
                if ((await client.GetAsync("/health/ready")).IsSuccessStatusCode)
                {
                    return;
                }
            }
            catch (HttpRequestException)
            {
                // Not listening yet.
            }

            await Task.Delay(TimeSpan.FromMilliseconds(200), clock);
        }

        throw new TimeoutException("The host was not ready within 60 s.");
    }
}
