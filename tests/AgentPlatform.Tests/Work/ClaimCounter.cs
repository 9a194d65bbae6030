using System.Diagnostics.Metrics;
using AgentPlatform.Work;

namespace AgentPlatform.Tests.Work;

/// <summary>How many items of a kind the process of a platform has claimed since: also of those that leave no row.</summary>
internal sealed class ClaimCounter : IDisposable
{
    private readonly MeterListener _listener;
    private long _count;

    internal ClaimCounter(TestPlatform platform, string kind)
    {
        var meter = platform.Get<WorkMetrics>().Meter;
        _listener = new MeterListener
        {
            InstrumentPublished = (instrument, listener) =>
            {
                if (ReferenceEquals(instrument.Meter, meter) && instrument.Name == "work.claimed")
                {
                    listener.EnableMeasurementEvents(instrument);
                }
            },
        };
        _listener.SetMeasurementEventCallback<long>((_, value, tags, _) => Interlocked.Add(ref _count, Equals(tags[0].Value, kind) ? value : 0));
        _listener.Start();
    }

    internal long Count => Interlocked.Read(ref _count);

    public void Dispose() => _listener.Dispose();
}
