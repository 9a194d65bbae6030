using Microsoft.Extensions.Options;

namespace AgentPlatform.Events.Live;

/// <summary>Tells who follows an aggregate when to look for its new events. A signal is a hint: the events themselves are read from the store.</summary>
public sealed class EventSignals
{
    private readonly EventListener _listener;
    private readonly IOptions<EventsOptions> _options;
    private readonly TimeProvider _clock;

    internal EventSignals(EventListener listener, IOptions<EventsOptions> options, TimeProvider clock) => (_listener, _options, _clock) = (listener, options, clock);

    /// <summary>Signals of one aggregate, from now until it is disposed of. Begin before the first reading, so that nothing falls between.</summary>
    public Signal Of(Guid tenantId, Guid aggregateId) => new(this, tenantId, aggregateId);

    public sealed class Signal : IDisposable
    {
        private readonly EventSignals _signals;
        private readonly EventListener.Subscription _subscription;

        internal Signal(EventSignals signals, Guid tenantId, Guid aggregateId) =>
            (_signals, _subscription) = (signals, signals._listener.Subscribe(tenantId, aggregateId));

        /// <summary>Until something was stored, or it is time to look all the same.</summary>
        public Task WaitAsync(CancellationToken ct) =>
            _subscription.WaitAsync(_signals._listener.IsListening ? _signals._options.Value.Poll : StreamEvents.Unheard, _signals._clock, ct);

        /// <summary>The notes that came since the last look, oldest first.</summary>
        public IReadOnlyList<LiveNote> TakeNotes() => _subscription.TakeNotes();

        public void Dispose() => _subscription.Dispose();
    }
}
