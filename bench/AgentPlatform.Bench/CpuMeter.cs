using System.Diagnostics;

namespace AgentPlatform.Bench;

/// <summary>Milliseconds of processor time for one message. What neither the host nor the bench used, on a machine that does nothing else, was Postgres.</summary>
internal sealed record CpuUse(double Host, double Bench, double Database);

/// <summary>Who computes, from its making on.</summary>
internal sealed class CpuMeter(HostProcess host)
{
    private readonly (TimeSpan Host, TimeSpan Bench, TimeSpan Machine) _before = Now(host);

    internal CpuUse PerMessage(int messages)
    {
        var now = Now(host);
        var (ours, own) = (now.Host - _before.Host, now.Bench - _before.Bench);
        return new(ours.TotalMilliseconds / messages, own.TotalMilliseconds / messages, (now.Machine - _before.Machine - ours - own).TotalMilliseconds / messages);
    }

    private static (TimeSpan Host, TimeSpan Bench, TimeSpan Machine) Now(HostProcess host)
    {
        using var self = Process.GetCurrentProcess();
        return (host.Cpu, self.TotalProcessorTime, Machine.Busy);
    }
}
