using System.Diagnostics;
using System.Globalization;
using Npgsql;

namespace AgentPlatform.Bench;

/// <summary>Milliseconds of processor time for one message.</summary>
internal sealed record CpuUse(double Host, double Bench, double Database);

/// <summary>Who computes, from its making on: by process, so that others on the machine do not count.</summary>
internal sealed class CpuMeter
{
    /// <summary>Ticks a second of <c>/proc/PID/stat</c>: the kernel's, for every program.</summary>
    private const double Ticks = 100;

    private readonly HostProcess _host;
    private readonly int _postmaster;
    private readonly CpuUse _before;

    private CpuMeter(HostProcess host, int postmaster)
    {
        (_host, _postmaster) = (host, postmaster);
        _before = Now();
    }

    internal static async Task<CpuMeter> StartAsync(HostProcess host, NpgsqlDataSource database)
    {
        await using var command = database.CreateCommand("SELECT pg_backend_pid()");
        var backend = Fields((int)(await command.ExecuteScalarAsync())!);
        return new CpuMeter(host, int.Parse(backend[Field.Parent], CultureInfo.InvariantCulture));
    }

    internal CpuUse PerMessage(int messages)
    {
        var now = Now();
        return new((now.Host - _before.Host) / messages, (now.Bench - _before.Bench) / messages, (now.Database - _before.Database) / messages);
    }

    private CpuUse Now()
    {
        using var self = Process.GetCurrentProcess();
        return new CpuUse(_host.Cpu.TotalMilliseconds, self.TotalProcessorTime.TotalMilliseconds, Postgres());
    }

    /// <summary>The postmaster, the processes it has, and those it had.</summary>
    private double Postgres()
    {
        var parent = _postmaster.ToString(CultureInfo.InvariantCulture);
        var ticks = Sum(Fields(_postmaster), Field.User, Field.System, Field.EndedUser, Field.EndedSystem);
        foreach (var directory in Directory.EnumerateDirectories("/proc"))
        {
            if (int.TryParse(Path.GetFileName(directory), NumberStyles.None, CultureInfo.InvariantCulture, out var id) && Fields(id) is { Length: > 0 } fields
                && fields[Field.Parent] == parent)
            {
                ticks += Sum(fields, Field.User, Field.System);
            }
        }

        return ticks / Ticks * 1000;
    }

    private static double Sum(string[] fields, params ReadOnlySpan<int> which)
    {
        var sum = 0.0;
        foreach (var field in which)
        {
            sum += double.Parse(fields[field], CultureInfo.InvariantCulture);
        }

        return sum;
    }

    /// <summary>What follows the program's name, which may hold anything; nothing when the process has ended.</summary>
    private static string[] Fields(int process)
    {
        try
        {
            var text = File.ReadAllText($"/proc/{process}/stat");
            return text[(text.LastIndexOf(')') + 2)..].Split(' ');
        }
        catch (IOException)
        {
            return [];
        }
    }

    /// <summary>Places in <c>/proc/PID/stat</c> after the name.</summary>
    private static class Field
    {
        internal const int Parent = 1;
        internal const int User = 11;
        internal const int System = 12;
        internal const int EndedUser = 13;
        internal const int EndedSystem = 14;
    }
}
