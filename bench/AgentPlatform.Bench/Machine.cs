using System.Globalization;

namespace AgentPlatform.Bench;

/// <summary>The machine's own account of its processors.</summary>
internal static class Machine
{
    /// <summary>Ticks a second of <c>/proc/stat</c>: the kernel's, for every program.</summary>
    private const double Ticks = 100;

    /// <summary>What all processors together have worked since the machine's start.</summary>
    internal static TimeSpan Busy
    {
        get
        {
            // user nice system idle iowait irq softirq: all but the fourth and fifth are work.
            var fields = File.ReadLines("/proc/stat").First().Split(' ', StringSplitOptions.RemoveEmptyEntries).Skip(1).Take(7)
                .Select(f => double.Parse(f, CultureInfo.InvariantCulture)).ToArray();
            return TimeSpan.FromSeconds((fields.Sum() - fields[3] - fields[4]) / Ticks);
        }
    }
}
