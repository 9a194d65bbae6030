using System.Collections.Concurrent;
using AgentPlatform.Postgres;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace AgentPlatform.Events;

/// <summary>
/// Announces committed events on <c>agent_events</c>, outside the transactions that stored them: one that notifies commits alone. An
/// announcement is a hint; one that is lost with its process is made good by the readers' polling.
/// </summary>
internal sealed class EventAnnouncer(Database database, ILogger<EventAnnouncer> log)
{
    private const int BatchSize = 200;

    /// <summary>A message that is answered passes through several transactions within a few milliseconds: their events are announced together.</summary>
    private static readonly TimeSpan Gathering = TimeSpan.FromMilliseconds(20);

    private readonly ConcurrentQueue<(Guid TenantId, Guid EventId)> _pending = new();
    private int _running;

    /// <summary>Returns at once. While one batch is on its way the next gathers.</summary>
    internal void Announce(Guid tenantId, Guid eventId)
    {
        _pending.Enqueue((tenantId, eventId));
        Start();
    }

    private void Start()
    {
        if (Interlocked.CompareExchange(ref _running, 1, 0) == 0)
        {
            _ = Task.Run(DrainAsync, CancellationToken.None);
        }
    }

    private async Task DrainAsync()
    {
        try
        {
            await Task.Delay(Gathering, TimeProvider.System);
            while (Take() is { Count: > 0 } batch)
            {
                foreach (var tenant in batch.GroupBy(e => e.TenantId, e => e.EventId))
                {
                    await AnnounceAsync(tenant.Key, [.. tenant]);
                }
            }
        }
        catch (Exception e) when (e is NpgsqlException or TimeoutException or ObjectDisposedException)
        {
            log.AnnouncementLost(e);
        }
        finally
        {
            Volatile.Write(ref _running, 0);
        }

        // Something may have come between the last look and the end.
        if (!_pending.IsEmpty)
        {
            Start();
        }
    }

    private List<(Guid TenantId, Guid EventId)> Take()
    {
        var batch = new List<(Guid, Guid)>();
        while (batch.Count < BatchSize && _pending.TryDequeue(out var next))
        {
            batch.Add(next);
        }

        return batch;
    }

    private async Task AnnounceAsync(Guid tenantId, Guid[] eventIds)
    {
        await using var tx = database.Begin(Actor.System(tenantId));
        tx.PostCall(Sql.Announce, tenantId, eventIds);
        await tx.CommitAsync(CancellationToken.None);
    }

    private static class Sql
    {
        internal const string Announce =
            """
            SELECT pg_notify('agent_events', events.announcement(e))
            FROM events.events e WHERE e.tenant_id = $1 AND e.id = ANY ($2) ORDER BY e.position
            """;
    }
}
