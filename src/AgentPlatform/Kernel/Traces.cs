using System.Diagnostics;

namespace AgentPlatform.Kernel;

/// <summary>Traces that rest in a row between two processes, as a W3C traceparent.</summary>
internal static class Traces
{
    /// <summary>Goes on with the trace, also where nobody listens: what is stored and called from here still belongs to it.</summary>
    internal static Activity GoOn(this ActivitySource source, string name, string? traceParent)
    {
        if (source.StartActivity(name, ActivityKind.Consumer, traceParent) is { } heard)
        {
            return heard;
        }

        var unheard = new Activity(name);
        return (traceParent is null ? unheard : unheard.SetParentId(traceParent)).Start();
    }
}
