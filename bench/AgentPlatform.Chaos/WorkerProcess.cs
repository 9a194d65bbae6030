using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;

namespace AgentPlatform.Chaos;

/// <summary>A worker in a process of its own, and the signals it may get.</summary>
internal sealed class WorkerProcess : IDisposable
{
    private readonly Process _process;
    private readonly ConcurrentQueue<string> _output = new();
    private volatile bool _isDisposed;

    private WorkerProcess(Process process) => _process = process;

    internal bool HasExited => _isDisposed || _process.HasExited;

    /// <summary>What it printed last, for the list of violations.</summary>
    internal IEnumerable<string> Output => _output.TakeLast(5);

    /// <summary>A program of .NET with its arguments.</summary>
    internal static WorkerProcess Start(string directory, IReadOnlyDictionary<string, string> settings, params string[] command)
    {
        var start = new ProcessStartInfo("dotnet", command)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = directory,
        };
        foreach (var (key, value) in settings)
        {
            start.Environment[key] = value;
        }

        var worker = new WorkerProcess(Process.Start(start)!);
        worker._process.OutputDataReceived += worker.Record;
        worker._process.ErrorDataReceived += worker.Record;
        worker._process.BeginOutputReadLine();
        worker._process.BeginErrorReadLine();
        return worker;
    }

    internal void Kill()
    {
        _process.Kill();
        _process.WaitForExit();
    }

    internal void Pause() => Signal("STOP");

    internal void Resume() => Signal("CONT");

    /// <summary>SIGTERM, as a service manager stops it; its exit code once what ran has finished.</summary>
    internal async Task<int> StopAsync(TimeSpan patience)
    {
        Signal("TERM");
        try
        {
            await _process.WaitForExitAsync().WaitAsync(patience);
        }
        catch (TimeoutException)
        {
            return -1;
        }

        return _process.ExitCode;
    }

    public void Dispose()
    {
        if (!_process.HasExited)
        {
            Kill();
        }

        _isDisposed = true;
        _process.Dispose();
    }

    private void Signal(string name)
    {
        using var kill = Process.Start("kill", [$"-{name}", _process.Id.ToString(CultureInfo.InvariantCulture)]);
        kill.WaitForExit();
    }

    private void Record(object sender, DataReceivedEventArgs line)
    {
        _output.Enqueue(line.Data ?? "");
        while (_output.Count > 50 && _output.TryDequeue(out _))
        {
            // Only the last lines matter.
        }
    }
}
