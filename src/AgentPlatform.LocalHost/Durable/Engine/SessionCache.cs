using System.Collections.Concurrent;

namespace AgentPlatform.LocalHost.Durable;

/// <summary>Orchestrators kept in memory between their turns. One that another host has stepped since is of no use and goes.</summary>
internal sealed class SessionCache(DurableSettings settings, TimeProvider clock)
{
    private const int Most = 2000;
    private readonly ConcurrentDictionary<string, (OrchestrationSession Session, long Since)> _kept = new(StringComparer.Ordinal);

    /// <summary>Takes the session out, if it is as the instance was left.</summary>
    internal async Task<OrchestrationSession?> TakeAsync(InstanceHead head)
    {
        if (!_kept.TryRemove(head.Id, out var kept))
        {
            return null;
        }

        if (kept.Session.Execution == head.Execution && kept.Session.Fence == head.Fence - 1)
        {
            return kept.Session;
        }

        await kept.Session.DisposeAsync();
        return null;
    }

    internal async Task KeepAsync(InstanceHead head, OrchestrationSession session)
    {
        session.Fence = head.Fence;
        if (!settings.KeepSessions || _kept.Count >= Most || !_kept.TryAdd(head.Id, (session, clock.GetTimestamp())))
        {
            await session.DisposeAsync();
        }
    }

    /// <summary>Lets go of what has been idle for long.</summary>
    internal async Task TrimAsync()
    {
        foreach (var (id, kept) in _kept)
        {
            if (clock.GetElapsedTime(kept.Since) > settings.SessionIdle && _kept.TryRemove(new(id, kept)))
            {
                await kept.Session.DisposeAsync();
            }
        }
    }

    internal async Task ClearAsync()
    {
        foreach (var id in _kept.Keys)
        {
            if (_kept.TryRemove(id, out var kept))
            {
                await kept.Session.DisposeAsync();
            }
        }
    }
}
