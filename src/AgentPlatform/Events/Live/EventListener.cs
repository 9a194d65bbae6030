using System.Collections.Concurrent;
using System.Text.Json;
using AgentPlatform.Kernel;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace AgentPlatform.Events.Live;

/// <summary>
/// One connection per process that listens on <c>agent_events</c> and <c>agent_notes</c> while anybody wants to know, and wakes those whose tenant
/// an event was of. It is a hint and nothing more: behind a transaction pooler it never comes, and the readers' polling finds the events. Notes
/// are handed over as they come.
/// </summary>
internal sealed class EventListener(NpgsqlDataSource source, TimeProvider clock, ILogger<EventListener> log) : IDisposable
{
    internal const string Channel = "agent_events";

    private static readonly TimeSpan Reconnect = TimeSpan.FromSeconds(2);

    private readonly ConcurrentDictionary<Subscription, (Guid TenantId, Guid? AggregateId)> _subscriptions = new();
    private readonly CancellationTokenSource _disposed = new();
    private readonly Lock _gate = new();
    private Task _listening = Task.CompletedTask;

    /// <summary>True while notifications arrive; else subscribers must poll more often.</summary>
    internal bool IsListening { get; private set; }

    internal bool HasSubscribers => !_subscriptions.IsEmpty;

    /// <summary>Wakes for every event of the tenant, or only for those of one aggregate.</summary>
    internal Subscription Subscribe(Guid tenantId, Guid? aggregateId = null)
    {
        var subscription = new Subscription(this);
        lock (_gate)
        {
            _subscriptions[subscription] = (tenantId, aggregateId);
            if (_listening.IsCompleted)
            {
                _listening = Task.Run(() => ListenAsync(_disposed.Token), CancellationToken.None);
            }
        }

        return subscription;
    }

    public void Dispose()
    {
        _disposed.Cancel();
        _disposed.Dispose();
    }

    private async Task ListenAsync(CancellationToken ct)
    {
        while (!NobodyListens())
        {
            try
            {
                await ListenOnceAsync(ct);
            }
            catch (OperationCanceledException) when (ct.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e) when (e is NpgsqlException or TimeoutException or IOException)
            {
                log.ListenerFailed(e);
                await Task.Delay(Reconnect, clock, ct);
            }
        }
    }

    private async Task ListenOnceAsync(CancellationToken ct)
    {
        await using var connection = await source.OpenConnectionAsync(ct);
        connection.Notification += (_, e) => Heard(e.Channel, e.Payload);
        foreach (var sql in new[] { Sql.ListenToNotes, Sql.Listen })
        {
            await using var listen = new NpgsqlCommand(sql, connection);
            await listen.ExecuteNonQueryAsync(ct);
        }

        try
        {
            IsListening = true;
            // What was stored while nobody listened announces itself to nobody: everyone looks once.
            Wake(_subscriptions.Keys);
            while (!_subscriptions.IsEmpty)
            {
                await connection.WaitAsync(TimeSpan.FromSeconds(30), ct);
            }
        }
        finally
        {
            IsListening = false;
            await UnlistenAsync(connection);
        }
    }

    /// <summary>The pool does not reset connections; whoever gets this one next shall not listen.</summary>
    private static async Task UnlistenAsync(NpgsqlConnection connection)
    {
        try
        {
            await using var unlisten = new NpgsqlCommand(Sql.Unlisten, connection);
            await unlisten.ExecuteNonQueryAsync(CancellationToken.None);
        }
        catch (Exception e) when (e is NpgsqlException or InvalidOperationException or IOException)
        {
            // It is broken, and the pool drops it.
        }
    }

    /// <summary>Under the lock, so that a subscriber that comes at this moment finds either a listener or a finished task.</summary>
    private bool NobodyListens()
    {
        lock (_gate)
        {
            return _subscriptions.IsEmpty;
        }
    }

    private void Heard(string channel, string payload)
    {
        using var json = JsonDocument.Parse(payload);
        var tenantId = json.RootElement.GetProperty("tenant_id").GetGuid();
        var aggregateId = json.RootElement.GetProperty("aggregate_id").GetGuid();
        if (channel == LiveNotes.Channel)
        {
            Note(tenantId, aggregateId, Json.Read<LiveNote>(json.RootElement.GetProperty("note")));
        }
        else
        {
            Wake(_subscriptions.Where(s => s.Value.TenantId == tenantId && (s.Value.AggregateId is null || s.Value.AggregateId == aggregateId)).Select(s => s.Key));
        }
    }

    /// <summary>Notes are for those who follow one aggregate.</summary>
    private void Note(Guid tenantId, Guid aggregateId, LiveNote note)
    {
        foreach (var subscription in _subscriptions.Where(s => s.Value.TenantId == tenantId && s.Value.AggregateId == aggregateId).Select(s => s.Key))
        {
            subscription.Note(note);
        }
    }

    private static void Wake(IEnumerable<Subscription> subscriptions)
    {
        foreach (var subscription in subscriptions)
        {
            subscription.Wake();
        }
    }

    /// <summary>One reader's wake-up; several notifications before it looks are one.</summary>
    internal sealed class Subscription(EventListener listener) : IDisposable
    {
        /// <summary>A reader that is slower than this misses the oldest.</summary>
        private const int MostNotes = 16;

        private readonly SemaphoreSlim _woken = new(0, 1);
        private readonly ConcurrentQueue<LiveNote> _notes = new();

        /// <summary>Until something was stored, or the time is up.</summary>
        internal async Task WaitAsync(TimeSpan atMost, TimeProvider clock, CancellationToken ct)
        {
            using var timeout = new CancellationTokenSource(atMost, clock);
            using var both = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, ct);
            try
            {
                await _woken.WaitAsync(both.Token);
            }
            catch (OperationCanceledException) when (!ct.IsCancellationRequested)
            {
                // Time to look without having been told.
            }
        }

        internal void Wake()
        {
            try
            {
                _woken.Release();
            }
            catch (SemaphoreFullException)
            {
                // Already woken.
            }
        }

        internal void Note(LiveNote note)
        {
            _notes.Enqueue(note);
            while (_notes.Count > MostNotes)
            {
                _notes.TryDequeue(out _);
            }

            Wake();
        }

        /// <summary>The notes since the last look, oldest first.</summary>
        internal IReadOnlyList<LiveNote> TakeNotes()
        {
            var taken = new List<LiveNote>();
            while (_notes.TryDequeue(out var note))
            {
                taken.Add(note);
            }

            return taken;
        }

        public void Dispose() => listener._subscriptions.TryRemove(this, out _);
    }

    private static class Sql
    {
        internal const string Listen = "LISTEN agent_events";

        internal const string ListenToNotes = "LISTEN agent_notes";

        internal const string Unlisten = "UNLISTEN *";
    }
}
