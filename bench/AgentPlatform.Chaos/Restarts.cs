using AgentPlatform.Chaos.Workers;

namespace AgentPlatform.Chaos;

internal static class Restarts
{
    /// <summary>Seconds from a SIGKILL to the next run of each item the killed worker had begun and that was run again.</summary>
    internal static IReadOnlyList<double> Measure(IReadOnlyList<string> journals, IEnumerable<Death> deaths)
    {
        var runs = journals.SelectMany(Journal.Read).ToLookup(r => r.Key, StringComparer.Ordinal);
        return
        [
            .. from death in deaths
               from last in Journal.Read(death.Journal).GroupBy(r => r.Key, StringComparer.Ordinal).Select(g => g.MaxBy(r => r.Fence)!)
               // The next claim of the same attempt: a retry on purpose is a claim that was not an interruption.
               let next = runs[last.Key].Where(r => r.Fence > last.Fence && r.Interruptions > last.Interruptions).MinBy(r => r.Fence)
               where next is not null && next.At > death.At
               select (next.At - death.At).TotalSeconds,
        ];
    }
}
