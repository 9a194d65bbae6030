using System.Text.Json;

namespace AgentPlatform.LocalHost.Durable;

/// <summary>Something an orchestrator awaits: an answer from the history, or an event.</summary>
internal interface IAwaited
{
    Type Type { get; }

    bool IsPending { get; }

    bool TryComplete(string? payload, DataConverter converter);

    void Fail(Exception failure);
}

internal sealed class Promise<T> : IAwaited
{
    // Without RunContinuationsAsynchronously: continuations go to the turn's scheduler, which keeps their order.
    private readonly TaskCompletionSource<T> _source = new();

    public Type Type => typeof(T);

    public bool IsPending => !_source.Task.IsCompleted;

    internal Task<T> Task => _source.Task;

    public bool TryComplete(string? payload, DataConverter converter)
    {
        try
        {
            return _source.TrySetResult(converter.Deserialize<T>(payload)!);
        }
        catch (Exception e) when (e is JsonException or NotSupportedException)
        {
            return _source.TrySetException(e);
        }
    }

    public void Fail(Exception failure) => _source.TrySetException(failure);

    internal bool TryCancel(CancellationToken ct) => _source.TrySetCanceled(ct);
}

/// <summary>Events by name, whatever its case: those that wait for somebody, and those somebody waits for.</summary>
internal sealed class EventInbox(DataConverter converter)
{
    private readonly Dictionary<string, Queue<IAwaited>> _waiting = new(StringComparer.OrdinalIgnoreCase);
    private readonly List<HistoryEvent> _early = [];

    /// <summary>Events nobody has waited for, in the order they came.</summary>
    internal IReadOnlyList<HistoryEvent> Early => _early;

    internal bool IsAwaited => _waiting.Values.Any(q => q.Any(p => p.IsPending));

    internal Task<T> WaitAsync<T>(string name, CancellationToken ct)
    {
        var promise = new Promise<T>();
        var early = _early.FindIndex(e => string.Equals(e.Name, name, StringComparison.OrdinalIgnoreCase));
        if (early >= 0)
        {
            promise.TryComplete(_early[early].Payload, converter);
            _early.RemoveAt(early);
            return promise.Task;
        }

        if (!_waiting.TryGetValue(name, out var queue))
        {
            _waiting[name] = queue = new Queue<IAwaited>();
        }
        else if (queue.FirstOrDefault(p => p.IsPending) is { } other && other.Type != typeof(T))
        {
            throw new ArgumentException($"The event '{name}' is awaited as {other.Type} already; it cannot be {typeof(T)} as well.", nameof(name));
        }

        queue.Enqueue(promise);
        ct.Register(() => promise.TryCancel(ct));
        return promise.Task;
    }

    /// <summary>Completes the first that still waits; otherwise keeps the event.</summary>
    internal void Receive(HistoryEvent raised)
    {
        while (_waiting.TryGetValue(raised.Name!, out var queue))
        {
            var promise = queue.Dequeue();
            if (queue.Count == 0)
            {
                _waiting.Remove(raised.Name!);
            }

            if (promise.TryComplete(raised.Payload, converter))
            {
                return;
            }
        }

        Keep(raised);
    }

    internal void Keep(HistoryEvent raised) => _early.Add(raised);
}
