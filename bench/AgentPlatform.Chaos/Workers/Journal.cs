using System.Globalization;
using AgentPlatform.Work;

namespace AgentPlatform.Chaos.Workers;

/// <summary>A run that began: which item, under which claim, when.</summary>
internal sealed record Run(string Kind, string Key, long Fence, int Interruptions, DateTimeOffset At);

/// <summary>
/// What a worker began, in a file of its own: the kernel keeps each line even when the process is killed at once, and no lost transaction
/// can hide it.
/// </summary>
internal sealed class Journal(string path, TimeProvider clock) : IDisposable
{
    private readonly StreamWriter _file = new(new FileStream(path, FileMode.Append, FileAccess.Write, FileShare.Read, bufferSize: 0)) { AutoFlush = true };
    private readonly Lock _gate = new();

    internal static IEnumerable<Run> Read(string path) =>
        File.Exists(path)
            ? File.ReadLines(path).Select(line => line.Split(' ')).Where(parts => parts.Length == 5).Select(parts => new Run(
                parts[1], parts[2], long.Parse(parts[3], CultureInfo.InvariantCulture), int.Parse(parts[4], CultureInfo.InvariantCulture),
                new DateTimeOffset(long.Parse(parts[0], CultureInfo.InvariantCulture), TimeSpan.Zero)))
            : [];

    internal void Began(WorkItem item)
    {
        lock (_gate)
        {
            _file.Write(string.Create(CultureInfo.InvariantCulture, $"{clock.GetUtcNow().UtcTicks} {item.Kind} {item.Key} {item.Fence} {item.Interruptions}\n"));
        }
    }

    public void Dispose() => _file.Dispose();
}
